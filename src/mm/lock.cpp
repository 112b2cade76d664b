// NtLockVirtualMemory and NtUnlockVirtualMemory [facts 8.14, 10.5], and flushing of views.
#include "mm/address_space.h"

namespace vitrine::mm {
namespace {

constexpr u8 kWorkingSetBit = 1, kPhysicalBit = 2;
constexpr u32 kReferenceLimit = 0xFFF0;  // a frame's reference count has 16 bits
constexpr u64 kFluidPages = 8;           // NT: the last pages of a working set must stay replaceable

u8 bit_of(LockKind kind) { return kind == LockKind::working_set ? kWorkingSetBit : kPhysicalBit; }

}  // namespace

Status AddressSpace::lock(Va base, u64 size, LockKind kind) {
  const auto range = checked_range(base, size, Status::invalid_parameter_2, Status::invalid_parameter_3);
  if (!range) return range.error();
  if (size == 0) return Status::invalid_parameter_3;
  const Va end = range->base + range->size;
  u64 missing = 0;
  for (Va va = range->base; va < end;) {
    const Vad* vad = vads_.find(va);
    if (vad == nullptr) return Status::access_violation;
    if (vad->type() != VadType::none && vad->type() != VadType::image_map && vad->type() != VadType::write_watch) {
      return Status::incompatible_file_map;
    }
    va = vad->end();
  }
  // The limit is small: a range that exceeds it is refused before any page is looked at.
  const u64 pages = range->size >> kPageShift;
  const u64 room = working_set_minimum_ > kFluidPages ? working_set_minimum_ - kFluidPages : 0;
  if (pages > room) return Status::working_set_quota;
  for (Va va = range->base; va < end; va += kPageSize) missing += locks_.contains(va) ? 0 : 1;
  if (locked_pages_ + missing > room) return Status::working_set_quota;
  bool all_locked = true;
  for (Va va = range->base; va < end; va += kPageSize) {
    const Status status = lock_page(va, kind);
    if (!is_success(status)) {
      finish();
      return status;
    }
    all_locked = all_locked && status == Status::was_locked;
  }
  finish();
  return all_locked ? Status::was_locked : Status::success;
}

Status AddressSpace::lock_page(Va va, LockKind kind) {
  if (const auto known = locks_.find(va); known != locks_.end()) {
    if ((known->second & bit_of(kind)) != 0) return Status::was_locked;
    known->second |= bit_of(kind);
    return Status::success;
  }
  Status status = Status::success;
  if (access_page(va, false, status) == nullptr) return status;
  PfnDatabase& pfn = manager_.memory().pfn();
  const Pfn frame = page_table_.get(va).pfn();
  if (pfn.use(frame) == FrameUse::system) return Status::incompatible_file_map;
  if (pfn.reference_count(frame) >= kReferenceLimit) return Status::insufficient_resources;
  VITRINE_TRY(manager_.memory().charge_resident(1));
  pfn.add_reference(frame);
  locks_.emplace(va, bit_of(kind));
  ++locked_pages_;
  return Status::success;
}

Status AddressSpace::unlock(Va base, u64 size, LockKind kind) {
  const auto range = checked_range(base, size, Status::invalid_parameter_2, Status::invalid_parameter_3);
  if (!range) return range.error();
  const Va end = range->base + range->size;
  u64 found = 0;
  auto first = locks_.lower_bound(range->base);
  for (auto it = first; it != locks_.end() && it->first < end; ++it) found += (it->second & bit_of(kind)) != 0 ? 1 : 0;
  if (found != range->size >> kPageShift) return Status::not_locked;  // NT: nothing is unlocked then
  for (auto it = first; it != locks_.end() && it->first < end;) {
    const Va va = it->first;
    it->second &= static_cast<u8>(~bit_of(kind));
    const bool gone = it->second == 0;
    ++it;
    if (gone) release_lock(va);
  }
  return Status::success;
}

void AddressSpace::release_lock(Va va) {
  const auto found = locks_.find(va);
  if (found == locks_.end()) return;
  locks_.erase(found);
  --locked_pages_;
  manager_.memory().return_resident(1);
  // A page that lost its access since it was locked keeps its frame in a transition entry.
  const Pte pte = page_table_.get(va);
  manager_.memory().pfn().drop_reference(pte.pfn());
}

Result<Range> AddressSpace::flush(Va base, u64 size) {
  const auto range = checked_range(base, size, Status::not_mapped_view, Status::not_mapped_view);
  if (!range) return Failure(range.error());
  const Vad* vad = vads_.find(range->base);
  if (vad == nullptr || vad->is_private()) return Failure(Status::not_mapped_view);
  const Va end = size == 0 ? vad->end() : range->base + range->size;
  if (end > vad->end()) return Failure(Status::not_mapped_view);
  View& view = *vad->view;
  if (view.segment->kind != SectionKind::file) return Failure(Status::not_mapped_data);
  const u64 first = view.first_page + ((range->base - vad->start()) >> kPageShift);
  const Status status = manager_.write_dirty_pages(*view.segment, first, (end - range->base) >> kPageShift);
  return is_success(status) ? Result<Range>(Range{range->base, end - range->base}) : Failure(status);
}

void AddressSpace::collect_dirty(View& view, u64 first, u64 count) {
  const Vad& vad = *view.vad;
  const u64 from = std::max(first, view.first_page);
  const u64 to = std::min(first + count, view.first_page + vad.pages());
  if (from >= to) return;
  const Va end = vad.start() + ((to - view.first_page) << kPageShift);
  Va va = page_table_.next_used(vad.start() + ((from - view.first_page) << kPageShift), end);
  for (; va < end; va = page_table_.next_used(va + kPageSize, end)) {
    const Pte pte = page_table_.get(va);
    if (!pte.is_dirty() || !pte.maps_prototype()) continue;
    manager_.memory().pfn().mark_modified(pte.pfn(), true);
    page_table_.set(va, Pte{pte.bits & ~cpu::pte::kDirty});
  }
  finish();
}

}  // namespace vitrine::mm
