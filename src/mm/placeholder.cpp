// Placeholders and write watch.
#include <algorithm>

#include "mm/address_space.h"

namespace vitrine::mm {

// The placeholder that is exactly this range; null.
Vad* AddressSpace::placeholder_at(Va start, Va end) const {
  Vad* vad = vads_.find(start);
  return vad != nullptr && vad->placeholder_ != 0 && vad->start() == start && vad->end() == end ? vad : nullptr;
}

// Precondition: the range is free. Errors: insufficient_resources, quota_exceeded.
Status AddressSpace::make_placeholder(Va start, Va end) {
  const auto vad = new_vad(start, end, false, false);
  if (!vad) return vad.error();
  (*vad)->set_protection({Protection::kNoAccess});
  (*vad)->placeholder_ = 1;
  return Status::success;
}

Result<Range> AddressSpace::replace_placeholder(const AllocateRequest& request, Protection protection) {
  const Va end = request.base + page_ceil(request.size);
  Vad* vad = (request.base & kPageMask) == 0 ? placeholder_at(request.base, end) : nullptr;
  if (vad == nullptr) return Failure(Status::conflicting_addresses);
  if ((request.type & mem::kWriteWatch) != 0) return Failure(Status::invalid_parameter_5);
  if ((request.type & mem::kCommit) != 0) {
    if (const Status status = charge(*vad, vad->pages()); !is_success(status)) return Failure(status);
    vad->mem_commit_ = 1;
  }
  vad->placeholder_ = 0;
  vad->set_protection(protection);
  return Range{request.base, end - request.base};
}

Result<Range> AddressSpace::preserve_placeholder(Va base, u64 size) {
  const auto range = checked_range(base, size, Status::invalid_parameter_2, Status::invalid_parameter_3);
  if (!range) return range;
  Vad* vad = vads_.find(range->base);
  if (vad == nullptr) return Failure(Status::memory_not_allocated);
  if (!vad->is_private() || vad->no_change_ != 0) return Failure(Status::conflicting_addresses);
  const Va start = range->base;
  const Va end = size == 0 ? vad->end() : start + range->size;
  const Va old_start = vad->start();
  const Va old_end = vad->end();
  if (end > old_end) return Failure(Status::conflicting_addresses);
  if (vad->placeholder_ == 0) {
    // Memory becomes a placeholder as a whole only.
    if (start != old_start || end != old_end) return Failure(Status::conflicting_addresses);
    delete_entries(start, end);
    uncharge(*vad, vad->commit_charge());
    vad->mem_commit_ = 0;
    vad->set_type(VadType::none);
    vad->set_protection({Protection::kNoAccess});
    vad->placeholder_ = 1;
    finish();
    return Range{start, end - start};
  }
  // Up to three placeholders instead of one; all there is to lose is the room for their records.
  const auto shrink = [&](Va to) {
    virtual_bytes_ -= vad->end() - to;
    vads_.resize(*vad, vad->start(), to);
  };
  const auto grow_back = [&] {
    virtual_bytes_ += old_end - vad->end();
    vads_.resize(*vad, old_start, old_end);
  };
  if (end < old_end) {
    shrink(end);
    if (const Status status = make_placeholder(end, old_end); !is_success(status)) {
      grow_back();
      return Failure(status);
    }
  }
  if (start > old_start) {
    shrink(start);
    if (const Status status = make_placeholder(start, end); !is_success(status)) {
      if (Vad* upper = placeholder_at(end, old_end)) delete_vad(*upper);
      grow_back();
      return Failure(status);
    }
  }
  return Range{start, end - start};
}

Result<Range> AddressSpace::coalesce_placeholders(Va base, u64 size) {
  const auto range = checked_range(base, size, Status::invalid_parameter_2, Status::invalid_parameter_3);
  if (!range || size == 0) return range ? Result<Range>(Failure(Status::invalid_parameter_3)) : range;
  const Va end = range->base + range->size;
  Vad* first = vads_.find(range->base);
  if (first == nullptr) return Failure(Status::memory_not_allocated);
  if (first->start() != range->base) return Failure(Status::conflicting_addresses);
  // NT: at least two, and the range is all of them [Microsoft: VirtualFree].
  Vad* last = nullptr;
  for (Vad* vad = first; vad != nullptr && vad->placeholder_ != 0; vad = vads_.next(*vad)) {
    if (last != nullptr && vad->start() != last->end()) break;
    last = vad;
    if (vad->end() >= end) break;
  }
  if (last == nullptr || last == first || last->end() != end) return Failure(Status::conflicting_addresses);
  while (first->end() != end) {
    Vad& following = *vads_.next(*first);
    const Va to = following.end();
    virtual_bytes_ += to - first->end();
    delete_vad(following);
    vads_.resize(*first, range->base, to);
  }
  return *range;
}

Result<std::vector<Va>> AddressSpace::written_pages(Va base, u64 size, u64 capacity, bool forget) {
  const Va start = page_floor(base);
  const Vad* vad = vads_.find(base);
  const bool watched = vad != nullptr && vad->is_private() && vad->type() == VadType::write_watch;
  if (!watched || size == 0 || size > vad->end() - base) return Failure(Status::invalid_parameter_1);
  const Va end = page_ceil(base + size);
  PfnDatabase& database = manager_.memory().pfn();
  std::vector<Va> written;
  for (Va va = page_table_.next_used(start, end); va < end && written.size() < capacity;
       va = page_table_.next_used(va + kPageSize, end)) {
    const Pte pte = page_table_.get(va);
    if (!pte.is_valid() && !pte.is_transition()) continue;
    // A page that lost its access keeps in its frame's record that it was written.
    if (!pte.is_dirty() && !database.is_modified(pte.pfn())) continue;
    written.push_back(va);
    if (!forget) continue;
    if (database.is_modified(pte.pfn())) database.mark_modified(pte.pfn(), false);
    if (pte.is_valid()) page_table_.set(va, Pte{pte.bits & ~cpu::pte::kDirty});
  }
  if (forget) finish();
  return written;
}

}  // namespace vitrine::mm
