// NtFreeVirtualMemory: decommit or release, whole or in part [facts 10.5].
#include "mm/address_space.h"

namespace vitrine::mm {

Result<Range> AddressSpace::free(Va base, u64 size, u32 type) {
  if (type != mem::kDecommit && type != mem::kRelease) return Failure(Status::invalid_parameter_4);
  const auto range = checked_range(base, size, Status::invalid_parameter_2, Status::invalid_parameter_3);
  if (!range) return Failure(range.error());
  Vad* vad = vads_.find(range->base);
  if (vad == nullptr) return Failure(Status::memory_not_allocated);
  Va start = range->base;
  Va end = start + range->size;
  if (size == 0) {
    // Everything, named by its first page.
    if (start != vad->start()) return Failure(Status::free_vm_not_at_base);
    end = vad->end();
  }
  if (end > vad->end()) return Failure(Status::unable_to_free_vm);
  if (!vad->is_private()) return Failure(Status::unable_to_delete_section);
  if (vad->no_change_ != 0) return Failure(Status::invalid_page_protection);
  const Status status = type == mem::kDecommit ? decommit(*vad, start, end) : release(*vad, start, end);
  finish();
  return is_success(status) ? Result<Range>(Range{start, end - start}) : Failure(status);
}

// A Vad that is committed as a whole remembers each page that is not by a marker; in others an empty entry says it
// (NT writes the marker there too; an empty table can be given back).
Status AddressSpace::decommit(Vad& vad, Va start, Va end) {
  if (start == vad.start() && end == vad.end()) {
    delete_entries(start, end);
    uncharge(vad, vad.commit_charge());
    vad.mem_commit_ = 0;
    return Status::success;
  }
  const u64 committed = committed_pages(vad, start, end);
  if (!vad.is_committed()) {
    delete_entries(start, end);
    uncharge(vad, committed);
    return Status::success;
  }
  u64 done = 0;
  for (Va va = start; va < end; va += kPageSize) {
    const Pte pte = page_table_.get(va);
    if (pte.is_decommitted()) continue;
    // The table first: when there is no frame for one, the page is still as it was.
    if (const Status status = page_table_.ensure(va); !is_success(status)) {
      uncharge(vad, done);
      return status;
    }
    if (!pte.is_empty()) delete_entry(va, pte);
    if (const Status status = page_table_.put(va, Pte::decommitted()); !is_success(status)) {
      uncharge(vad, done);
      return status;
    }
    ++done;
  }
  uncharge(vad, done);
  return Status::success;
}

// The four cases of NT: all, the front, the tail, the middle (which makes a second Vad).
Status AddressSpace::release(Vad& vad, Va start, Va end) {
  const u64 committed = committed_pages(vad, start, end);
  const Va old_start = vad.start();
  const Va old_end = vad.end();
  const bool front = start == old_start;
  const bool tail = end == old_end;
  if (front && tail) {
    delete_entries(start, end);
    uncharge(vad, committed);
    delete_vad(vad);
    return Status::success;
  }
  if (front || tail) {
    delete_entries(start, end);
    uncharge(vad, committed);
    vads_.resize(vad, front ? end : old_start, front ? old_end : start);
    virtual_bytes_ -= end - start;
    return Status::success;
  }
  const u64 committed_above = committed_pages(vad, end, old_end);
  vads_.resize(vad, old_start, start);
  virtual_bytes_ -= old_end - start;  // new_vad counts the upper part again
  const auto upper = new_vad(end, old_end, false, vad.long_ != 0);
  if (!upper) {
    vads_.resize(vad, old_start, old_end);
    virtual_bytes_ += old_end - start;
    return upper.error();
  }
  delete_entries(start, end);
  uncharge(vad, committed);
  (*upper)->set_commit_charge(committed_above);
  vad.set_commit_charge(vad.commit_charge() - committed_above);
  (*upper)->set_protection(vad.protection());
  (*upper)->set_type(vad.type());
  (*upper)->mem_commit_ = vad.mem_commit_;
  return Status::success;
}

}  // namespace vitrine::mm
