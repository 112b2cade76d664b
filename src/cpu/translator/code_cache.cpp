#include "cpu/translator/code_cache.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/check.h"
#include "cpu/translator/frame.h"

namespace vitrine::cpu::translator {
namespace {
constexpr u64 kRoom = 64u << 10;  // more than the longest block takes in either part
}

CodeCache::CodeCache(u64 bytes) : bytes_(page_ceil(std::clamp<u64>(bytes, 1u << 20, 1u << 30))) {
  void* memory =
      mmap(nullptr, bytes_, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  VITRINE_CHECK(memory != MAP_FAILED);
  base_ = static_cast<u8*>(memory);
  hot_start_ = base_;
  hot_end_ = base_ + page_floor(bytes_ / 2);
  cold_start_ = hot_end_;
  cold_end_ = base_ + bytes_;
  hot.place(hot_start_);
  cold.place(cold_start_);
  // Large enough that growing, which copies, is rare; memory that is not used costs nothing.
  sites_.reserve(bytes_ / 512);
  exits_.reserve(bytes_ / 4096);
}

CodeCache::~CodeCache() { munmap(base_, bytes_); }

bool CodeCache::has_room() const {
  return static_cast<u64>(hot_end_ - hot.here()) >= kRoom && static_cast<u64>(cold_end_ - cold.here()) >= kRoom;
}

void CodeCache::set_mark() {
  hot_start_ = hot.here();
  cold_start_ = cold.here();
}

void CodeCache::clear() {
  hot.place(hot_start_);
  cold.place(cold_start_);
  blocks_.clear();
  frames_.clear();
  storage_.clear();
  sites_.clear();
  exits_.clear();
  far_jumps_.clear();
  far_by_page_.clear();
  instructions_.clear();
  fault_ranges_.clear();
}

Block& CodeCache::add_block() { return storage_.emplace_back(); }

void CodeCache::publish(Block& block) {
  blocks_.put(block.va, block.frame, block.variant, block);
  frames_[block.frame.value].push_back(&block);
  if (block.crossing) frames_[block.second_frame.value].push_back(&block);
}

std::vector<Block*> CodeCache::invalidate(Pfn frame) {
  const auto found = frames_.find(frame.value);
  if (found == frames_.end()) return {};
  std::vector<Block*> dropped = std::move(found->second);
  frames_.erase(found);
  std::erase_if(dropped, [](const Block* block) { return block->dead; });
  for (Block* block : dropped) block->dead = true;
  return dropped;
}

u32 CodeCache::add_site(const Site& site) {
  sites_.push_back(site);
  return static_cast<u32>(sites_.size() - 1);
}

u32 CodeCache::add_exit(const ChainExit& exit) {
  exits_.push_back(exit);
  return static_cast<u32>(exits_.size() - 1);
}

u32 CodeCache::add_far_jump(Va target) {
  VITRINE_CHECK(far_jumps_.size() < kFarJumps);
  const auto number = static_cast<u32>(far_jumps_.size());
  far_jumps_.push_back({target});
  far_by_page_[page_floor(target)].push_back(number);
  return number;
}

std::span<const u32> CodeCache::far_jumps_to(Va page) const {
  const auto found = far_by_page_.find(page);
  return found == far_by_page_.end() ? std::span<const u32>() : found->second;
}

const Instruction* CodeCache::keep(const Instruction& instruction) { return &instructions_.emplace_back(instruction); }

const FaultRange* CodeCache::find_fault_range(const u8* host) const {
  for (const FaultRange& range : fault_ranges_) {
    if (host >= range.begin && host < range.end) return &range;
  }
  return nullptr;
}

u64 CodeCache::used() const {
  return static_cast<u64>(hot.here() - hot_start_) + static_cast<u64>(cold.here() - cold_start_);
}

}  // namespace vitrine::cpu::translator
