#include "cpu/translator/arena.h"

#include <sys/mman.h>

#include <utility>

#include "base/check.h"

namespace vitrine::cpu::translator {

Reservation::Reservation(u64 bytes, bool executable) : mapped_(align_up(bytes, kLargePage) + kLargePage) {
  const int rights = PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0);
  memory_ = mmap(nullptr, mapped_, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  VITRINE_CHECK(memory_ != MAP_FAILED);
  data_ = reinterpret_cast<u8*>(align_up(reinterpret_cast<u64>(memory_), kLargePage));
  (void)madvise(data_, mapped_ - kLargePage, MADV_HUGEPAGE);  // a host that has none goes on with small ones
}

Reservation::~Reservation() {
  if (memory_ != nullptr) munmap(memory_, mapped_);
}

Reservation::Reservation(Reservation&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), mapped_(other.mapped_), data_(other.data_) {}

void* Arena::allocate(u64 bytes) {
  bytes = align_up(bytes, 64);
  VITRINE_CHECK(bytes <= kPiece);
  if (used_ + bytes > kPiece) {
    pieces_.emplace_back(kPiece, false);
    used_ = 0;
  }
  void* const at = pieces_.back().data() + used_;
  used_ += bytes;
  return at;
}

}  // namespace vitrine::cpu::translator
