#include "mm/kernel_region.h"

#include <algorithm>
#include <bit>

namespace vitrine::mm {

KernelRegion::KernelRegion(const sim::Region& region, u32 pte_bytes, PhysicalMemory& memory)
    : region_(region), total_(region.bytes >> kPageShift), tables_(memory, pte_bytes) {
  VITRINE_CHECK(total_ > 0 && total_ <= 1ull << 31);  // an index fits a KernelStack beside its flag
}

// Bits beyond the bitmap's end are clear: those PTEs were never used.
bool KernelRegion::find_run(u64 from, u32 count, u64& found) const {
  const u64 mapped = bitmap_.size() * 64;
  u64 start = from;
  while (start + count <= total_) {
    // The first used PTE at or after `start`, as far as it matters.
    u64 used = start;
    const u64 limit = std::min(start + count, mapped);
    while (used < limit) {
      const u64 word = bitmap_[used / 64] >> (used % 64);
      if (word != 0) {
        used += static_cast<u64>(std::countr_zero(word));
        break;
      }
      used = (used / 64 + 1) * 64;
    }
    if (used >= limit) {
      found = start;
      return true;
    }
    // Past the used ones behind it.
    start = used;
    while (start < mapped) {
      const u64 word = ~bitmap_[start / 64] >> (start % 64);
      if (word != 0) {
        start += static_cast<u64>(std::countr_zero(word));
        break;
      }
      start = (start / 64 + 1) * 64;
    }
  }
  return false;
}

Result<u32> KernelRegion::allocate(u32 count) {
  VITRINE_CHECK(count > 0);
  u64 first = 0;
  u64& hint = hints_[count];
  if (!find_run(hint, count, first)) {
    hint = total_;
    ++failures_;
    return Failure(Status::insufficient_resources);
  }
  hint = first;
  if (const Status status = tables_.use(first, count); !is_success(status)) return Failure(status);
  if (bitmap_.size() * 64 < first + count) bitmap_.resize((first + count + 63) / 64);
  for (u64 i = first; i < first + count; ++i) bitmap_[i / 64] |= 1ull << (i % 64);
  used_ += count;
  hint = first + count;
  return static_cast<u32>(first);
}

void KernelRegion::free(u32 first, u32 count) {
  for (u64 i = first; i < u64{first} + count; ++i) {
    VITRINE_CHECK((bitmap_[i / 64] >> (i % 64) & 1) != 0);
    bitmap_[i / 64] &= ~(1ull << (i % 64));
  }
  used_ -= count;
  tables_.release(first, count);
  // A run of n may now start up to n - 1 PTEs earlier.
  for (auto& [size, hint] : hints_) hint = std::min(hint, u64{first} - std::min<u64>(first, size - 1));
}

}  // namespace vitrine::mm
