// CodeCache: the host memory for generated code and every table that points into it. Bounded: when it is full
// everything is dropped at once, between two runs of generated code. Blocks are keyed by (frame, address, variant), so
// that processes that map the same frame at the same address share them.
//
// Hot code grows in the lower part, cold code (slow paths, unlinked exits) in the upper, so that hot loops stay dense.
#pragma once

#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

#include "cpu/translator/arena.h"
#include "cpu/translator/block_table.h"
#include "cpu/translator/emitter.h"
#include "cpu/translator/range_numbers.h"

namespace vitrine::cpu::translator {

class CodeCache {
 public:
  // For code in so many guest frames.
  CodeCache(u64 bytes, u64 frames);
  CodeCache(const CodeCache&) = delete;
  CodeCache& operator=(const CodeCache&) = delete;
  // For tables that live as long as this.
  [[nodiscard]] Arena& arena() { return arena_; }

  // Room for any one block, hot and cold.
  [[nodiscard]] bool has_room() const;
  // Forgets every block; what lies below the mark (the stubs) stays.
  void clear();
  // Everything emitted so far survives `clear`.
  void set_mark();

  [[nodiscard]] Block* find(Va va, Pfn frame, const Variant& variant) const { return blocks_.find(va, frame, variant); }
  [[nodiscard]] Block& add_block() { return storage_.push_back({}); }
  [[nodiscard]] std::size_t block_count() const { return storage_.size(); }
  void publish(Block& block);
  // `block` serves this variant, too.
  void publish_as(Block& block, const Variant& variant) { blocks_.put(variant, block); }
  // Drops the blocks of a frame; returns them (dead, still valid until `clear`) so that jump caches can forget them.
  [[nodiscard]] std::vector<Block*> invalidate(Pfn frame);
  [[nodiscard]] bool has_code(Pfn frame) const { return blocks_.has_code(frame); }
  [[nodiscard]] const u64* with_code() const { return blocks_.with_code(); }

  u32 add_site(const Site& site);
  [[nodiscard]] const Site& site(u32 number) const { return sites_[number]; }
  u32 add_exit(const ChainExit& exit);
  [[nodiscard]] ChainExit& exit(u32 number) { return exits_[number]; }
  // The target of an exit is about to be emitted: if its jump is the last of the hot code, the target takes its place. So
  // code lies as it first ran.
  void make_way(u32 number);
  // From now on the exit leads to its target's `entry`.
  void link(u32 number, const u8* entry);
  // Precondition: there are fewer than kSideExits.
  u32 add_side_exit(const SideExit& exit);
  [[nodiscard]] u32 side_exit_count() const { return static_cast<u32>(side_exits_.size()); }
  [[nodiscard]] SideExit& side_exit(u32 number) { return side_exits_[number]; }
  // Precondition: there are fewer than kFarJumps.
  u32 add_far_jump(Va target);
  [[nodiscard]] u32 far_jump_count() const { return static_cast<u32>(far_jumps_.size()); }
  [[nodiscard]] const FarJump& far_jump(u32 number) const { return far_jumps_[number]; }
  // The numbers of those that lead into a page.
  [[nodiscard]] std::span<const u32> far_jumps_to(Va page) const;
  [[nodiscard]] const Instruction* keep(const Instruction& instruction);
  // Precondition: it lies after those of the same part that were added before.
  void add_fault_range(const FaultRange& range) {
    (range.begin < cold_start_ ? hot_ranges_ : cold_ranges_).push_back(range);
  }
  [[nodiscard]] const FaultRange* find_fault_range(const u8* host) const;
  [[nodiscard]] bool contains(const void* host) const { return host >= base_ && host < base_ + bytes_; }

  [[nodiscard]] u32 range_number(const RangeForm& form) { return range_numbers_.number(form); }

  Emitter hot, cold;
  [[nodiscard]] u64 used() const;

 private:
  void turn_round(ChainExit& exit);

  u64 bytes_;
  Reservation memory_;
  u8* base_;
  u8 *hot_start_ = nullptr, *hot_end_ = nullptr, *cold_start_ = nullptr, *cold_end_ = nullptr;
  Arena arena_;
  BlockTable blocks_;
  Table<Block> storage_{arena_};
  Table<Site> sites_{arena_};
  Table<ChainExit> exits_{arena_};
  Table<SideExit> side_exits_{arena_};
  std::vector<FarJump> far_jumps_;
  std::unordered_map<Va, std::vector<u32>> far_by_page_;  // looked up only
  std::deque<Instruction> instructions_;
  RangeNumbers range_numbers_;
  std::vector<FaultRange> hot_ranges_, cold_ranges_;  // by address: code grows upwards
};

}  // namespace vitrine::cpu::translator
