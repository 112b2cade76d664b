// Heap: CSRSS's process heap as books: addresses, commit and frames in its own address space as a Windows heap would
// take them; the contents are host records elsewhere. Blocks of one size lie side by side, as the low-fragmentation
// front end of 6.1 lays them; a page is committed with its first block and given back with its last.
//
// Owns the reservations. Refuses: blocks of mixed sizes in one page, contents.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "mm/address_space.h"

namespace vitrine::csr {

// The blocks of one size. A block is its number; whoever holds it gives it back.
class BlockHeap {
 public:
  // `space` outlives it. `bytes` without the heap's header; header and granule are the profile's.
  BlockHeap(mm::AddressSpace& space, const sim::Profile& profile, u64 bytes);
  BlockHeap(const BlockHeap&) = delete;
  BlockHeap& operator=(const BlockHeap&) = delete;

  // Takes block `number`: numbers are handed out by whoever keeps the records. Errors: no_memory (address space or
  // frames), commitment_limit. Nothing is kept on failure.
  [[nodiscard]] Status take(u32 number);
  void give_back(u32 number);

  // A block with its header, rounded [heap granule].
  [[nodiscard]] u64 block_bytes() const { return block_bytes_; }
  [[nodiscard]] u64 blocks() const { return blocks_; }
  [[nodiscard]] u64 committed_pages() const { return committed_pages_; }
  // Where the block's contents would be. Precondition: taken.
  [[nodiscard]] Va address(u32 number) const;

 private:
  static constexpr u64 kSegmentBytes = 1u << 20;
  static constexpr u64 kSegmentPages = kSegmentBytes / kPageSize;
  struct Segment {
    Va base = 0;
    u32 blocks = 0;
    std::array<u16, kSegmentPages> in_page{};  // blocks that touch each page
  };
  struct Place {
    u32 segment;
    u64 offset;
  };
  [[nodiscard]] Place place(u32 number) const {
    return {number / per_segment_, u64{number % per_segment_} * block_bytes_};
  }
  [[nodiscard]] Status ready(u32 number);
  void leave_page(Segment& segment, u64 page);

  mm::AddressSpace& space_;
  u64 header_bytes_, block_bytes_;
  u32 per_segment_;
  std::vector<std::unique_ptr<Segment>> segments_;  // null: not reserved
  u64 blocks_ = 0, committed_pages_ = 0;
};

}  // namespace vitrine::csr
