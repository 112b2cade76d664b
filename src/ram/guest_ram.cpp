#include "ram/guest_ram.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

namespace vitrine::ram {

namespace {

constexpr int kReadWrite = PROT_READ | PROT_WRITE;

// The mapping keeps the file; nobody else ever has its descriptor.
void* map_shared(u64 bytes) {
  const int file = memfd_create("vitrine-ram", MFD_CLOEXEC);
  if (file < 0) return MAP_FAILED;
  void* base = MAP_FAILED;
  if (ftruncate(file, static_cast<off_t>(bytes)) == 0)
    base = mmap(nullptr, bytes, kReadWrite, MAP_SHARED | MAP_NORESERVE, file, 0);
  const int reason = errno;
  close(file);
  errno = reason;
  return base;
}

}  // namespace

std::expected<GuestRam, std::string> GuestRam::create(u64 bytes, Sharing sharing) {
  if (bytes == 0 || bytes > (1ull << 46)) return std::unexpected(std::string("guest memory size out of range"));
  const u64 rounded = page_ceil(bytes);
  void* base = sharing == Sharing::shared
                   ? map_shared(rounded)
                   : mmap(nullptr, rounded, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return std::unexpected(std::string(std::strerror(errno)));
  return GuestRam(static_cast<std::byte*>(base), rounded >> kPageShift, sharing);
}

GuestRam::GuestRam(GuestRam&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      page_count_(std::exchange(other.page_count_, 0)),
      sharing_(other.sharing_) {}

GuestRam& GuestRam::operator=(GuestRam&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(page_count_, other.page_count_);
  std::swap(sharing_, other.sharing_);
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
  // A private anonymous mapping reads as zero after MADV_DONTNEED, a file's after MADV_REMOVE; where the host refuses
  // (locked pages) the bytes are cleared by hand.
  const int advice = sharing_ == Sharing::shared ? MADV_REMOVE : MADV_DONTNEED;
  if (madvise(start, count << kPageShift, advice) != 0) std::memset(start, 0, count << kPageShift);
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
