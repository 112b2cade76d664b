// PoolRegion: the addresses of one pool type: whole pages by a bitmap, shared pages by one bit per granule. Internal to
// Pool.
//
// Owns no frames (the PageSource does) and no books (Pool does). Every position is relative to the region's start.
#pragma once

#include <array>
#include <bit>
#include <map>
#include <memory>
#include <vector>

#include "base/status.h"
#include "ex/page_source.h"
#include "sim/profile.h"

namespace vitrine::ex {

class PoolRegion {
 public:
  PoolRegion(PoolType type, sim::Region region, u32 granule_bytes, PageSource* source);

  // Takes `granules` (1 to granules per page - 1) of one page. Returns the granule's number in the region.
  [[nodiscard]] Result<u64> allocate_granules(u32 granules);
  // Precondition: exactly this was allocated (checked: all its granules are in use).
  void free_granules(u64 first, u32 granules);
  // Takes whole pages, contiguous. Returns the first page's number in the region.
  [[nodiscard]] Result<u64> allocate_pages(u64 pages);
  void free_pages(u64 first, u64 pages);

  // Lengths of runs too long for a PoolBlock's length field, by first page.
  void remember_run(u64 first, u64 pages) { long_runs_[first] = pages; }
  [[nodiscard]] u64 run_length(u64 first) const;
  void forget_run(u64 first) { long_runs_.erase(first); }

  [[nodiscard]] bool is_allocated(u64 granule) const;
  // Precondition: the page is shared by small blocks.
  [[nodiscard]] u32 used_granules(u64 page) const;
  [[nodiscard]] Va start() const { return region_.start; }
  [[nodiscard]] u64 bytes() const { return region_.bytes; }
  [[nodiscard]] u64 pages_in_use() const { return pages_in_use_; }
  [[nodiscard]] u64 page_count() const { return page_count_; }
  // Requests for which the region had no room.
  [[nodiscard]] u64 failures() const { return failures_; }
  [[nodiscard]] u32 granules_per_page() const { return granules_per_page_; }

 private:
  static constexpr u32 kNone = ~u32{0};
  static constexpr u32 kPagesPerChunk = 256;
  static constexpr u16 kNotShared = 0xFFFF;
  static constexpr u32 kMaximumGranules = 512;  // per page: x86's

  // A shared page: links of the list of pages with the same largest free run. Plain data, 12 bytes and the bitmap.
  struct SharedPage {
    u32 next;
    u32 previous;
    u16 largest = kNotShared;  // longest free run, in granules
    u16 free = 0;              // free granules
  };
  struct Chunk {
    std::array<SharedPage, kPagesPerChunk> pages;
    std::unique_ptr<u64[]> bits;  // words_per_page_ per page; set: in use
  };
  struct Run {
    u32 first, length;
  };
  struct Runs {
    Run best;  // shortest that is long enough, first among equals; length 0: none
    u32 largest;
  };

  [[nodiscard]] SharedPage& shared(u32 page) { return chunks_[page / kPagesPerChunk]->pages[page % kPagesPerChunk]; }
  [[nodiscard]] const SharedPage* find_shared(u64 page) const;
  [[nodiscard]] u64* bits(u32 page) {
    return &chunks_[page / kPagesPerChunk]->bits[(page % kPagesPerChunk) * words_per_page_];
  }
  [[nodiscard]] Runs scan(const u64* words, u32 wanted) const;
  [[nodiscard]] Result<u32> new_shared_page();
  void link(u32 page);
  void unlink(u32 page);
  void mark_pages(u64 first, u64 pages, bool used);
  [[nodiscard]] bool page_used(u64 page) const;
  [[nodiscard]] u64 find_pages(u64 from, u64 to, u64 pages) const;

  const PoolType type_;
  const sim::Region region_;
  PageSource* const source_;
  const u32 granules_per_page_;
  const u32 words_per_page_;
  const u64 page_count_;
  u64 pages_in_use_ = 0;
  u64 failures_ = 0;
  u64 lowest_free_ = 0;    // no free page lies below
  u64 run_hint_ = 0;       // where the last search for a long run ended
  std::vector<u64> used_;  // one bit per page, up to the highest page ever used
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::array<u32, kMaximumGranules + 1> heads_;            // by largest free run
  std::array<u64, kMaximumGranules / 64 + 1> nonempty_{};  // which heads are not kNone
  std::map<u64, u64> long_runs_;
};

}  // namespace vitrine::ex
