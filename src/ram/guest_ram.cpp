#include "ram/guest_ram.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

namespace vitrine::ram {

std::expected<GuestRam, std::string> GuestRam::create(u64 bytes) {
  if (bytes == 0 || bytes > (1ull << 46)) return std::unexpected(std::string("guest memory size out of range"));
  const u64 rounded = page_ceil(bytes);
  void* base = mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return std::unexpected(std::string(std::strerror(errno)));
  return GuestRam(static_cast<std::byte*>(base), rounded >> kPageShift);
}

GuestRam::GuestRam(GuestRam&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), page_count_(std::exchange(other.page_count_, 0)) {}

GuestRam& GuestRam::operator=(GuestRam&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(page_count_, other.page_count_);
  return *this;
}

GuestRam::~GuestRam() {
  if (base_ != nullptr) munmap(base_, page_count_ << kPageShift);
}

void GuestRam::expect_dense_use(Pfn first, u64 count) {
  VITRINE_CHECK(first.value <= page_count_ && count <= page_count_ - first.value);
  (void)madvise(base_ + first.address(), count << kPageShift, MADV_HUGEPAGE);  // slower where it is refused
}

void GuestRam::discard(Pfn first, u64 count) {
  VITRINE_CHECK(first.value <= page_count_ && count <= page_count_ - first.value);
  if (count == 0) return;
  std::byte* start = base_ + first.address();
  // Shared RAM reads as zero after MADV_REMOVE, which the host refuses for a private anonymous mapping; that one reads as zero after
  // MADV_DONTNEED. Where the host refuses both (locked pages) the bytes are cleared by hand.
  const u64 bytes = count << kPageShift;
  if (madvise(start, bytes, MADV_REMOVE) != 0 && madvise(start, bytes, MADV_DONTNEED) != 0) std::memset(start, 0, bytes);
}

u64 GuestRam::resident_bytes(Pfn first, u64 count) const {
  VITRINE_CHECK(first.value <= page_count_ && count <= page_count_ - first.value);
  constexpr u64 kChunkPages = 1u << 16;
  std::vector<unsigned char> state(std::min(count, kChunkPages));
  u64 resident = 0;
  for (u64 done = 0; done < count; done += kChunkPages) {
    const u64 here = std::min(kChunkPages, count - done);
    if (mincore(base_ + first.address() + (done << kPageShift), here << kPageShift, state.data()) != 0) break;
    resident += static_cast<u64>(std::count_if(state.begin(), state.begin() + static_cast<std::ptrdiff_t>(here),
                                               [](unsigned char page) { return (page & 1) != 0; }));
  }
  return resident << kPageShift;
}

}  // namespace vitrine::ram
