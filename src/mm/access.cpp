// The kernel's own access to user memory, page by page through the page table.
#include <algorithm>
#include <bit>
#include <cstring>

#include "mm/address_space.h"

namespace vitrine::mm {
namespace {

// One fault makes a page valid; a second follows when a write meets copy-on-write. More means that nothing helps.
constexpr u32 kMaximumTries = 4;

}  // namespace

// The host bytes of the page of `va`, or null with the status of the fault.
std::byte* AddressSpace::access_page(Va va, bool for_write, Status& status) {
  PfnDatabase& pfn = manager_.memory().pfn();
  for (u32 i = 0; i < kMaximumTries; ++i) {
    const Pte pte = page_table_.get(va);
    if (pte.is_valid() && (!for_write || (pte.bits & cpu::pte::kWrite) != 0)) {
      page_table_.mark(va, cpu::pte::kAccessed | (for_write ? cpu::pte::kDirty : 0));
      if (for_write) manager_.backend().code_written(pte.pfn());
      return pfn.ram().page(pte.pfn());
    }
    const u32 error = (pte.is_valid() ? cpu::page_fault::kProtection : 0) | (for_write ? cpu::page_fault::kWrite : 0);
    status = handle_fault(va, error, ke::Mode::kernel).status;
    if (!is_success(status)) return nullptr;
  }
  status = Status::access_violation;
  return nullptr;
}

namespace {

// Calls `each(va, bytes done, bytes of this page)` for the pages of a range until one fails.
template <typename Each>
Status for_pages(Va highest, Va va, u64 size, u64* done_out, Each each) {
  u64 done = 0;
  Status status = Status::success;
  if (size != 0 && (va >= highest || size > highest - va)) status = Status::access_violation;
  while (is_success(status) && done < size) {
    const u64 length = std::min(kPageSize - ((va + done) & kPageMask), size - done);
    status = each(va + done, done, length);
    if (is_success(status)) done += length;
  }
  if (done_out != nullptr) *done_out = done;
  return status;
}

}  // namespace

Status AddressSpace::read(Va va, std::span<std::byte> into, u64* done) {
  return for_pages(vads_.highest_plus_one(), va, into.size(), done, [&](Va at, u64 offset, u64 length) {
    Status status = Status::success;
    const std::byte* page = access_page(at, false, status);
    if (page != nullptr) std::memcpy(into.data() + offset, page + (at & kPageMask), length);
    return page == nullptr ? status : Status::success;
  });
}

Status AddressSpace::write(Va va, std::span<const std::byte> from, u64* done) {
  return for_pages(vads_.highest_plus_one(), va, from.size(), done, [&](Va at, u64 offset, u64 length) {
    Status status = Status::success;
    std::byte* page = access_page(at, true, status);
    if (page != nullptr) std::memcpy(page + (at & kPageMask), from.data() + offset, length);
    return page == nullptr ? status : Status::success;
  });
}

Status AddressSpace::fill(Va va, u64 size, std::byte value) {
  return for_pages(vads_.highest_plus_one(), va, size, nullptr, [&](Va at, u64, u64 length) {
    Status status = Status::success;
    std::byte* page = access_page(at, true, status);
    if (page != nullptr) std::memset(page + (at & kPageMask), std::to_integer<int>(value), length);
    return page == nullptr ? status : Status::success;
  });
}

// NT: alignment is checked before the range; reading touches nothing, writing touches each page [WDK,
// ProbeForRead/Write].
Status AddressSpace::probe(Va va, u64 size, u64 alignment, bool for_write) {
  if (size == 0) return Status::success;
  if (alignment != 0 && std::has_single_bit(alignment) && va % alignment != 0) return Status::datatype_misalignment;
  if (va >= vads_.highest_plus_one() || size > vads_.highest_plus_one() - va) return Status::access_violation;
  if (!for_write) return Status::success;
  return for_pages(vads_.highest_plus_one(), va, size, nullptr, [&](Va at, u64, u64) {
    Status status = Status::success;
    return access_page(at, true, status) == nullptr ? status : Status::success;
  });
}

}  // namespace vitrine::mm
