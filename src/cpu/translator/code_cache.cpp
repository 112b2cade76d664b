#include "cpu/translator/code_cache.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "cpu/translator/frame.h"

namespace vitrine::cpu::translator {
namespace {
constexpr u64 kRoom = 64u << 10;  // more than the longest block takes in either part
}  // namespace

CodeCache::CodeCache(u64 bytes, u64 frames)
    : bytes_(page_ceil(std::clamp<u64>(bytes, 1u << 20, 1u << 30))),
      memory_(bytes_, true),
      base_(memory_.data()),
      blocks_(arena_, frames) {
  hot_start_ = base_;
  hot_end_ = base_ + page_floor(bytes_ / 2);
  cold_start_ = hot_end_;
  cold_end_ = base_ + bytes_;
  hot.place(hot_start_);
  cold.place(cold_start_);
}

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
  storage_.clear();
  sites_.clear();
  exits_.clear();
  side_exits_.clear();
  far_jumps_.clear();
  far_by_page_.clear();
  instructions_.clear();
  range_numbers_.clear();
  hot_ranges_.clear();
  cold_ranges_.clear();
}

void CodeCache::publish(Block& block) {
  blocks_.put(block.variant, block);
  blocks_.depend(block.frame, block);
  if (block.crossing) blocks_.depend(block.second_frame, block);
}

std::vector<Block*> CodeCache::invalidate(Pfn frame) {
  std::vector<Block*> dropped = blocks_.drop(frame);
  std::erase_if(dropped, [](const Block* block) { return block->dead; });
  for (Block* block : dropped) block->dead = true;
  return dropped;
}

u32 CodeCache::add_site(const Site& site) {
  sites_.push_back(site);
  return static_cast<u32>(sites_.size() - 1);
}

u32 CodeCache::add_side_exit(const SideExit& exit) {
  side_exits_.push_back(exit);
  return static_cast<u32>(side_exits_.size() - 1);
}

u32 CodeCache::add_exit(const ChainExit& exit) {
  exits_.push_back(exit);
  return static_cast<u32>(exits_.size() - 1);
}

namespace {
// An unconditional jump, and what replaces it where nothing may move.
constexpr u8 kJump = 0xE9, kNop[] = {0x0F, 0x1F, 0x44, 0x00, 0x00};

bool is_jump(const u8* displacement) { return displacement[-1] == kJump; }
}  // namespace

// The conditional jump of a pair goes the other way on the other condition; the second jump is not needed any more.
void CodeCache::turn_round(ChainExit& exit) {
  u8* const first = exit.displacement;
  u8* const second = first + 5;
  VITRINE_CHECK(is_jump(second));
  i32 relative = 0;
  std::memcpy(&relative, second, sizeof relative);
  first[-1] ^= 1;
  Emitter::patch(first, second + 4 + relative);
  if (exit.other != kNoExit) exits_[exit.other].displacement = first;
  exit.displacement = nullptr;
}

void CodeCache::make_way(u32 number) {
  ChainExit& exit = exits_[number];
  if (exit.pair && exit.displacement + 9 == hot.here()) {
    turn_round(exit);
  } else if (is_jump(exit.displacement) && exit.displacement + 4 == hot.here()) {
    exit.displacement = nullptr;
  } else {
    return;
  }
  hot.place(hot.here() - sizeof kNop);
}

void CodeCache::link(u32 number, const u8* entry) {
  ChainExit& exit = exits_[number];
  u8* const displacement = exit.displacement;
  if (displacement == nullptr) return;
  if (exit.pair && entry == displacement + 9) {
    turn_round(exit);
    std::memcpy(displacement + 4, kNop, sizeof kNop);
  } else if (is_jump(displacement) && entry == displacement + 4) {
    std::memcpy(displacement - 1, kNop, sizeof kNop);
  } else {
    Emitter::patch(displacement, entry);
  }
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
  const std::vector<FaultRange>& ranges = host < cold_start_ ? hot_ranges_ : cold_ranges_;
  const auto after = std::ranges::upper_bound(ranges, host, {}, &FaultRange::begin);
  if (after == ranges.begin()) return nullptr;
  const FaultRange& range = *std::prev(after);
  return host < range.end ? &range : nullptr;
}

u64 CodeCache::used() const {
  return static_cast<u64>(hot.here() - hot_start_) + static_cast<u64>(cold.here() - cold_start_);
}

}  // namespace vitrine::cpu::translator
