// Vad and VadTree: which ranges of an address space are reserved, mapped or committed. An AVL tree by address that also
// knows its largest gaps, so that a place for a new range is found in O(log n) from either end however many ranges
// there are.
//
// Owns the Vads. Refuses: page tables, pool (the caller books each Vad and stores the block in it), meaning of views.
// Invariants: ranges are disjoint, inside [lowest, highest); gap sizes are right after every operation.
// NT: MMVAD_SHORT / MMVAD / MMVAD_LONG in EPROCESS.VadRoot [facts 8.6]; NT searches gaps by hint or bitmap, with the
// same result.
#pragma once

#include <memory>
#include <vector>

#include "base/types.h"
#include "ex/pool.h"
#include "mm/memory_constants.h"
#include "mm/pte.h"

namespace vitrine::mm {

struct View;  // what a mapped range shows: section.h

// NT: MI_VAD_TYPE.
enum class VadType : u8 {
  none,
  device_physical,
  image_map,
  awe,
  write_watch,
  large_pages,
  rotate_physical,
  large_page_section
};

// The links of the tree; a node of their own so that the tree's head need not be a Vad.
struct VadNode {
  VadNode* parent = nullptr;
  VadNode* left = nullptr;
  VadNode* right = nullptr;
  u64 start_vpn_ : 36 = 0;
  u64 protection_ : 5 = 0;
  u64 type_ : 3 = 0;
  u64 no_change_ : 1 = 0;   // NT: protect and free that remove access are refused
  u64 mem_commit_ : 1 = 0;  // committed as a whole: an empty PTE means "committed, untouched"
  u64 private_ : 1 = 0;
  u64 secured_ : 1 = 0;  // one secured range, the whole Vad
  u64 shadow_ : 1 = 0;   // `cookie`: bytes come from the PageInitializer
  u64 inherit_share_ : 1 = 0;
  u64 locked_ : 1 = 0;
  u64 long_ : 1 = 0;  // booked as MMVAD_LONG
  u64 balance_ : 2 = 0;
  u64 placeholder_ : 1 = 0;  // reserved only to be replaced: by memory or a view of exactly its size
  u64 spare_ : 8 = 0;
};

// 72 bytes, everything included. Rare parts of mapped ranges are in a View.
struct Vad : VadNode {
  u64 end_vpn_ : 36 = 0;  // inclusive
  u64 commit_low_ : 28 = 0;
  u64 largest_gap_ : 36 = 0;  // pages, in this subtree (gaps before its members); 16 GB: as large or larger
  u64 commit_high_ : 8 = 0;
  u64 spare2_ : 20 = 0;
  u64 largest_granule_gap_ : 36 = 0;  // the same counted from the next 64 KB boundary
  u64 pool_low_ : 28 = 0;
  u64 gap_before_ : 36 = 0;  // pages between the predecessor (or the lowest address) and this
  u64 pool_high_ : 28 = 0;
  union {
    View* view = nullptr;  // mapped
    u64 cookie;            // shadow
  };

  [[nodiscard]] Va start() const { return u64{start_vpn_} << kPageShift; }
  [[nodiscard]] Va end() const { return (u64{end_vpn_} + 1) << kPageShift; }  // exclusive
  [[nodiscard]] u64 pages() const { return end_vpn_ - start_vpn_ + 1; }
  [[nodiscard]] bool contains(Va va) const { return va >= start() && va < end(); }
  [[nodiscard]] Protection protection() const { return {static_cast<u8>(protection_)}; }
  void set_protection(Protection p) { protection_ = p.code; }
  [[nodiscard]] VadType type() const { return static_cast<VadType>(type_); }
  void set_type(VadType type) { type_ = static_cast<u8>(type); }
  [[nodiscard]] bool is_private() const { return private_ != 0; }
  [[nodiscard]] bool is_committed() const { return mem_commit_ != 0; }
  // Null for private memory.
  [[nodiscard]] View* view_or_null() const { return is_private() ? nullptr : view; }
  [[nodiscard]] bool is_image() const { return type() == VadType::image_map; }
  // Pages of this range that are charged against commit.
  [[nodiscard]] u64 commit_charge() const { return u64{commit_high_} << 28 | u64{commit_low_}; }
  void set_commit_charge(u64 pages) {
    commit_low_ = pages & ((1ull << 28) - 1);
    commit_high_ = pages >> 28;
  }
  [[nodiscard]] ex::PoolBlock pool_block() const { return {u64{pool_high_} << 28 | u64{pool_low_}}; }
  void set_pool_block(ex::PoolBlock block) {
    pool_low_ = block.bits & ((1ull << 28) - 1);
    pool_high_ = block.bits >> 28;
  }
};
static_assert(sizeof(Vad) == 72);

enum class SearchFrom : u8 { bottom, top };

class VadTree {
 public:
  // The range of addresses that may be given out, 64 KB aligned.
  VadTree(Va lowest, Va highest_plus_one);
  ~VadTree();
  VadTree(const VadTree&) = delete;
  VadTree& operator=(const VadTree&) = delete;

  [[nodiscard]] Va lowest() const { return lowest_; }
  [[nodiscard]] Va highest_plus_one() const { return highest_; }
  [[nodiscard]] u64 size() const { return count_; }

  // The Vad that contains `va`; null. O(log n), O(1) near the last hit.
  [[nodiscard]] Vad* find(Va va) const;
  // The first Vad that ends above `va`; null.
  [[nodiscard]] Vad* find_at_or_after(Va va) const;
  [[nodiscard]] bool overlaps(Va start, Va end) const;
  [[nodiscard]] Vad* first() const;
  [[nodiscard]] Vad* next(const Vad& vad) const;
  [[nodiscard]] Vad* previous(const Vad& vad) const;

  // Where `bytes` (a multiple of the page size, > 0) fit at a multiple of `alignment` (the page size or 64 KB or a
  // larger power of two) inside [floor, ceiling): the lowest such address, or the highest. 0: nowhere.
  [[nodiscard]] Va find_gap(u64 bytes, u64 alignment, SearchFrom from, Va floor, Va ceiling) const;

  // Precondition: page-aligned, inside the range, no overlap. Owned by the tree; all flags clear.
  Vad& insert(Va start, Va end);
  // Precondition: `vad` is in the tree. Its view and pool block are the caller's to give up before.
  void erase(Vad& vad);
  // Moves either end of a live Vad. Precondition: start < end, page-aligned, no overlap with its neighbours.
  void resize(Vad& vad, Va start, Va end);

  // Checks order, balance and gaps, for tests and kd. O(n).
  [[nodiscard]] bool is_consistent() const;
  [[nodiscard]] u64 host_bytes() const;

 private:
  static constexpr u32 kFirstSlab = 32, kSlab = 512;  // Vads per host allocation
  [[nodiscard]] Vad* root() const;
  void refresh_gap(Vad& vad);
  [[nodiscard]] Vad* new_vad();
  void release_vad(Vad* vad);

  Va lowest_, highest_;
  VadNode head_;
  u64 count_ = 0;
  mutable Vad* hint_ = nullptr;
  std::vector<std::unique_ptr<Vad[]>> slabs_;
  Vad* free_ = nullptr;
  u32 slab_used_ = 0;
};

}  // namespace vitrine::mm
