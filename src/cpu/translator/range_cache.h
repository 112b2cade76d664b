// The range cache: of accesses of one form (the same registers, size and right) the pages that they touched last, if
// those lie together on the host. Generated code compares an address with the entry of its form, whose place in the
// frame is known when it is translated: no index to be made, and what leads to the host does not wait for the address.
// An access whose entry keeps missing goes back to the TLB (Refill::scattered).
//
// An entry holds pages that the TLB had with that right, and must go when they do. Plain data, as refill.h.
#pragma once

#include "base/types.h"

namespace vitrine::cpu::translator {

inline constexpr u32 kRanges = 8192;

// Zero matches nothing; no initialisers, so that the array stays untouched memory until it is used.
struct Range {
  Va start;
  u64 limit;  // an access of the form's size may begin at less than this behind `start`
  u64 delta;  // from guest addresses to the host's
  // How it has been doing.
  u32 review;   // Refill::review
  u16 misses;   // since then
  u16 longest;  // pages that it ever held
};
static_assert(sizeof(Range) == 32, "two in a line of the host's cache");

// The same for the stack: one entry for all accesses by the stack pointer that are no larger than kStackAccess, of
// either right; it holds pages that may be written. It lies where generated code reaches it with the shortest
// displacement.
inline constexpr u32 kStackAccess[2] = {16, 64};
struct StackRange {
  Va start;
  u64 limit[2];  // by the size of the access
  u64 delta;
};
// The number of that entry.
inline constexpr u32 kStackRange = kRanges + 1;
// The number of none.
inline constexpr u32 kNoRange = kRanges;

// What finds the entries that hold a page.
class RangeUse {
 public:
  // An entry holds the pages from `first` to `last` now.
  void note(u32 number, Va first, Va last) {
    filled_[number / 64] |= 1ull << number % 64;
    for (Va at = first >> kRegionShift; at <= last >> kRegionShift; ++at) regions_[at % kRegions / 64] |= bit(at);
  }
  // Empties the entries that hold the page, and those near it: what takes many pages away pays for the first.
  void forget(Range* ranges, Va page) {
    const u64 region = page >> kRegionShift;
    if ((regions_[region % kRegions / 64] & bit(region)) == 0) return;
    forget_if(ranges, [region](const Range& range) {
      const u64 first = range.start >> kRegionShift, last = (range.start + range.limit + kPageSize) >> kRegionShift;
      return (region - first) % kRegions <= last - first;
    });
    regions_[region % kRegions / 64] &= ~bit(region);
  }
  void forget_all(Range* ranges) {
    forget_if(ranges, [](const Range&) { return true; });
    for (u64& word : regions_) word = 0;
  }

 private:
  static constexpr u32 kRegionShift = 21;  // the reach of a page table
  static constexpr u32 kRegions = 4096;
  [[nodiscard]] static u64 bit(u64 region) { return 1ull << region % 64; }
  template <typename Goes>
  void forget_if(Range* ranges, const Goes& goes) {
    for (u32 word = 0; word < kRanges / 64; ++word) {
      for (u64 left = filled_[word]; left != 0; left &= left - 1) {
        const u32 number = word * 64 + static_cast<u32>(__builtin_ctzll(left));
        if (!goes(ranges[number])) continue;
        ranges[number].limit = 0;
        filled_[word] &= ~(1ull << number % 64);
      }
    }
  }

  u64 filled_[kRanges / 64] = {};
  u64 regions_[kRegions / 64] = {};  // by the low bits of their number: some entry holds a page there
};

}  // namespace vitrine::cpu::translator
