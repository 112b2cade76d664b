// NtProtectVirtualMemory [facts 10.5]. A page that a new protection makes inaccessible keeps its frame in a transition
// entry.
#include <algorithm>

#include "mm/address_space.h"

namespace vitrine::mm {

Result<ProtectOutcome> AddressSpace::protect(Va base, u64 size, u32 protect) {
  const auto wanted = protection_from_win32(protect);
  if (!wanted) return Failure(wanted.error());
  if (size == 0) return Failure(Status::invalid_parameter_3);
  const auto range = checked_range(base, size, Status::invalid_parameter_2, Status::invalid_parameter_3);
  if (!range) return Failure(range.error());
  const Va start = range->base;
  const Va end = start + range->size;
  Vad* vad = vads_.find(start);
  if (vad == nullptr || end > vad->end()) return Failure(Status::conflicting_addresses);
  if (vad->no_change_ != 0) return Failure(Status::invalid_page_protection);
  const Pte first = page_table_.get(start);
  if (!is_committed(*vad, start, first)) return Failure(Status::not_committed);
  ProtectOutcome outcome{*range, protection_to_win32(protection_of(*vad, start, first))};
  const Status status = protect_pages(*vad, start, end, *wanted);
  finish();
  return is_success(status) ? Result<ProtectOutcome>(outcome) : Failure(status);
}

Status AddressSpace::protect_pages(Vad& vad, Va start, Va end, Protection protection) {
  if (vad.is_private()) {
    if (protection.is_write_copy()) return Status::invalid_page_protection;
    if (committed_pages(vad, start, end) != (end - start) >> kPageShift) return Status::not_committed;
    return protect_private(vad, start, end, protection);
  }
  // NT: asking for write access to an image gives copies.
  if (vad.is_image() && protection.allows_write() && !protection.is_write_copy()) {
    const bool execute = protection.allows_execute();
    const u8 base = execute ? Protection::kExecuteWriteCopy : Protection::kWriteCopy;
    protection = {static_cast<u8>((protection.code & ~7) | base)};
  }
  if (!is_compatible(vad.view->maximum, protection)) return Status::section_protection;
  for (Va va = start; va < end;) {
    const Pte pte = page_table_.get(va);
    if (!is_committed(vad, va, pte)) return Status::not_committed;
    va = alike_until(vad, va, pte);
  }
  return protect_view(vad, start, end, protection);
}

Status AddressSpace::protect_private(Vad& vad, Va start, Va end, Protection protection) {
  if (start == vad.start() && end == vad.end() && vad.is_committed()) {
    // The untouched pages follow the Vad.
    vad.set_protection(protection);
    for (Va va = page_table_.next_used(start, end); va < end; va = page_table_.next_used(va + kPageSize, end)) {
      VITRINE_TRY(set_entry_protection(va, page_table_.get(va), protection));
    }
    return Status::success;
  }
  for (Va va = start; va < end; va += kPageSize) {
    VITRINE_TRY(set_entry_protection(va, page_table_.get(va), protection));
  }
  return Status::success;
}

// A private page (or private copy) gets a new protection in the form it has. Error: no_memory, for a page table.
Status AddressSpace::set_entry_protection(Va va, Pte old, Protection protection) {
  if (old.is_empty()) return page_table_.put(va, Pte::demand_zero(protection));
  if (!old.is_valid()) {
    page_table_.set(va, old.with_protection(protection));
    return Status::success;
  }
  if (protection.is_no_access() || protection.is_guard()) {
    manager_.memory().pfn().mark_modified(old.pfn(), true);
    page_table_.set(va, Pte::transition(old.pfn(), protection));
    hyperspace_.remove_entry();
    return Status::success;
  }
  Pte valid = Pte::valid(old.pfn(), protection, false);
  valid.bits |= old.bits & (cpu::pte::kAccessed | cpu::pte::kDirty);
  page_table_.set(va, valid);
  return Status::success;
}

// How many pages of a view cost commit (see is_charged_copy).
u64 AddressSpace::charged_copies(const Vad& vad, Va start, Va end) const {
  u64 copies = 0;
  for (Va va = start; va < end;) {
    const Pte pte = page_table_.get(va);
    const Va next = std::min(alike_until(vad, va, pte), end);
    if (is_charged_copy(vad, va, pte)) copies += (next - va) >> kPageShift;
    va = next;
  }
  return copies;
}

// Pages of a view. Those that become copy-on-write are charged, those that cease to be so are not any more.
Status AddressSpace::protect_view(Vad& vad, Va start, Va end, Protection protection) {
  const u64 before = charged_copies(vad, start, end);
  const u64 pages = (end - start) >> kPageShift;
  // Enough for every page first, so that no page is copied that nobody paid for.
  if (protection.is_write_copy()) VITRINE_TRY(charge(vad, pages - before));
  Status status = Status::success;
  const bool whole = start == vad.start() && end == vad.end() && !vad.is_image();
  if (whole) vad.set_protection(protection);  // the untouched pages follow the Vad
  for (Va va = whole ? page_table_.next_used(start, end) : start; va < end && is_success(status);) {
    status = set_view_protection(va, page_table_.get(va), protection);
    va = whole ? page_table_.next_used(va + kPageSize, end) : va + kPageSize;
  }
  const u64 paid = protection.is_write_copy() ? pages : before;
  uncharge(vad, paid - charged_copies(vad, start, end));
  return status;
}

Status AddressSpace::set_view_protection(Va va, Pte old, Protection protection) {
  const bool is_shared = old.is_empty() || old.is_vad_lookup() || old.maps_prototype();
  if (!is_shared) return set_entry_protection(va, old, protection.after_copy());
  if (old.is_valid() && !protection.is_no_access() && !protection.is_guard()) {
    Pte valid = Pte::valid(old.pfn(), protection, true);
    valid.bits |= old.bits & (cpu::pte::kAccessed | cpu::pte::kDirty);
    page_table_.set(va, valid);
    return Status::success;
  }
  if (old.is_valid()) {
    release_lock(va);
    manager_.drop_resident(old.pfn(), old.is_dirty());
    hyperspace_.remove_entry();
  }
  return page_table_.put(va, Pte::vad_lookup(protection));
}

}  // namespace vitrine::mm
