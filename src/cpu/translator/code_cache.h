// CodeCache: the host memory for generated code and every table that points into it. Bounded: when it is full
// everything is dropped at once, between two runs of generated code. Blocks are keyed by (frame, address, variant), so
// that processes that map the same frame at the same address share them.
//
// Hot code grows in the lower part, cold code (slow paths, unlinked exits) in the upper, so that hot loops stay dense.
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "cpu/translator/block_table.h"
#include "cpu/translator/emitter.h"

namespace vitrine::cpu::translator {

class CodeCache {
 public:
  explicit CodeCache(u64 bytes);
  ~CodeCache();
  CodeCache(const CodeCache&) = delete;
  CodeCache& operator=(const CodeCache&) = delete;

  // Room for any one block, hot and cold.
  [[nodiscard]] bool has_room() const;
  // Forgets every block; what lies below the mark (the stubs) stays.
  void clear();
  // Everything emitted so far survives `clear`.
  void set_mark();

  [[nodiscard]] Block* find(Va va, Pfn frame, Variant variant) const { return blocks_.find(va, frame, variant); }
  [[nodiscard]] Block& add_block();
  void publish(Block& block);
  // `block` serves this variant, too.
  void publish_as(Block& block, Variant variant) { blocks_.put(block.va, block.frame, variant, block); }
  // Drops the blocks of a frame; returns them (dead, still valid until `clear`) so that jump caches can forget them.
  [[nodiscard]] std::vector<Block*> invalidate(Pfn frame);
  [[nodiscard]] bool has_code(Pfn frame) const { return frames_.contains(frame.value); }

  u32 add_site(const Site& site);
  [[nodiscard]] const Site& site(u32 number) const { return sites_[number]; }
  u32 add_exit(const ChainExit& exit);
  [[nodiscard]] const ChainExit& exit(u32 number) const { return exits_[number]; }
  // Precondition: there are fewer than kFarJumps.
  u32 add_far_jump(Va target);
  [[nodiscard]] u32 far_jump_count() const { return static_cast<u32>(far_jumps_.size()); }
  [[nodiscard]] const FarJump& far_jump(u32 number) const { return far_jumps_[number]; }
  // The numbers of those that lead into a page.
  [[nodiscard]] std::span<const u32> far_jumps_to(Va page) const;
  [[nodiscard]] const Instruction* keep(const Instruction& instruction);
  void add_fault_range(const FaultRange& range) { fault_ranges_.push_back(range); }
  [[nodiscard]] const FaultRange* find_fault_range(const u8* host) const;
  [[nodiscard]] bool contains(const void* host) const { return host >= base_ && host < base_ + bytes_; }

  Emitter hot, cold;
  [[nodiscard]] u64 used() const;

 private:
  u8* base_ = nullptr;
  u64 bytes_ = 0;
  u8 *hot_start_ = nullptr, *hot_end_ = nullptr, *cold_start_ = nullptr, *cold_end_ = nullptr;
  BlockTable blocks_;
  std::unordered_map<u64, std::vector<Block*>> frames_;  // by frame number; looked up only
  std::deque<Block> storage_;
  std::vector<Site> sites_;
  std::vector<ChainExit> exits_;
  std::vector<FarJump> far_jumps_;
  std::unordered_map<Va, std::vector<u32>> far_by_page_;  // looked up only
  std::deque<Instruction> instructions_;
  std::vector<FaultRange> fault_ranges_;
};

}  // namespace vitrine::cpu::translator
