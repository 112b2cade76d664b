// NtAllocateVirtualMemory: checks in NT's order [facts 10.5], then reserve, commit or reset.
#include <bit>

#include "mm/address_space.h"

namespace vitrine::mm {
namespace {

constexpr u32 kMaximumZeroBits = 20;

constexpr u32 kKnownTypes = mem::kCommit | mem::kReserve | mem::kReset | mem::kResetUndo | mem::kTopDown |
                            mem::kWriteWatch | mem::kPhysical | mem::kLargePages;

Status check_type(const AllocateRequest& request) {
  const u32 type = request.type;
  if ((type & ~kKnownTypes) != 0) return Status::invalid_parameter_5;
  if ((type & (mem::kCommit | mem::kReserve | mem::kReset | mem::kResetUndo)) == 0) return Status::invalid_parameter_5;
  if ((type & mem::kReset) != 0 && type != mem::kReset) return Status::invalid_parameter_5;
  if ((type & mem::kResetUndo) != 0 && type != mem::kResetUndo) return Status::invalid_parameter_5;
  if ((type & mem::kWriteWatch) != 0 && (type & mem::kReserve) == 0) return Status::invalid_parameter_5;
  if ((type & mem::kLargePages) != 0) {
    constexpr u32 kBoth = mem::kCommit | mem::kReserve;
    return (type & kBoth) == kBoth ? Status::privilege_not_held : Status::invalid_parameter_5;
  }
  if ((type & mem::kPhysical) != 0) {
    // AWE: only reserved, only read-write; mapping its pages needs a privilege that nobody holds here.
    if ((type & ~mem::kTopDown) != (mem::kReserve | mem::kPhysical)) return Status::invalid_parameter_5;
    return request.protect == page::kReadWrite ? Status::privilege_not_held : Status::invalid_parameter_6;
  }
  return Status::success;
}

}  // namespace

Result<Range> AddressSpace::allocate(const AllocateRequest& request) {
  if (request.zero_bits > kMaximumZeroBits && request.zero_bits < 32) return Failure(Status::invalid_parameter_3);
  if (const Status status = check_type(request); !is_success(status)) return Failure(status);
  const auto protection = protection_from_win32(request.protect);
  if (!protection) return Failure(protection.error());
  if (protection->is_write_copy()) return Failure(Status::invalid_page_protection);

  const Va highest = vads_.highest_plus_one();
  if (request.base >= highest) return Failure(Status::invalid_parameter_2);
  if (request.size == 0 || request.size > highest - request.base) return Failure(Status::invalid_parameter_4);
  Result<Range> result = Failure(Status::success);
  if ((request.type & (mem::kReset | mem::kResetUndo)) != 0) {
    const Va start = page_floor(request.base);
    const Va end = page_ceil(request.base + request.size);
    const Status status = reset_pages(start, end);
    result = is_success(status) ? Result<Range>(Range{start, end - start}) : Failure(status);
  } else if (request.placeholder == Placeholder::replace) {
    result = replace_placeholder(request, *protection);
  } else if (request.base == 0 || (request.type & mem::kReserve) != 0) {
    // NT: committing without an address reserves as well.
    result = reserve(request, *protection);
  } else {
    result = commit(page_floor(request.base), page_ceil(request.base + request.size), *protection);
  }
  finish();
  return result;
}

Result<Range> AddressSpace::reserve(const AllocateRequest& request, Protection protection) {
  const bool top_down = (request.type & mem::kTopDown) != 0;
  Va start = 0;
  Va end = 0;
  if (request.base == 0) {
    const u64 size = page_ceil(request.size);
    const auto place = find_room(size, kAllocationGranularity, request.zero_bits, top_down);
    if (!place) return Failure(place.error());
    start = *place;
    end = start + size;
  } else {
    start = align_down(request.base, kAllocationGranularity);
    end = page_ceil(request.base + request.size);
    if (const Status status = check_room(start, end); !is_success(status)) return Failure(status);
  }
  const bool watches = (request.type & mem::kWriteWatch) != 0;
  if (watches && request.placeholder != Placeholder::none) return Failure(Status::invalid_parameter_5);
  const auto vad = new_vad(start, end, false, watches);
  if (!vad) return Failure(vad.error());
  (*vad)->set_protection(protection);
  (*vad)->placeholder_ = request.placeholder == Placeholder::reserve ? 1 : 0;
  if (watches) (*vad)->set_type(VadType::write_watch);
  if ((request.type & mem::kCommit) != 0) {
    if (const Status status = charge(**vad, (*vad)->pages()); !is_success(status)) {
      delete_vad(**vad);
      return Failure(status);
    }
    (*vad)->mem_commit_ = 1;
  }
  return Range{start, end - start};
}

Result<Range> AddressSpace::commit(Va start, Va end, Protection protection) {
  Vad* vad = vads_.find(start);
  if (vad == nullptr || end > vad->end()) return Failure(Status::conflicting_addresses);
  Status status = Status::conflicting_addresses;
  if (vad->is_private()) {
    if (vad->type() != VadType::device_physical && vad->placeholder_ == 0) status = commit_private(*vad, start, end, protection);
  } else if (!vad->is_image()) {
    status = commit_section(*vad, start, end, protection);
  }
  return is_success(status) ? Result<Range>(Range{start, end - start}) : Failure(status);
}

// Pages that are committed keep their contents and get the new protection [NT: facts 8.7].
Status AddressSpace::commit_private(Vad& vad, Va start, Va end, Protection protection) {
  const u64 missing = ((end - start) >> kPageShift) - committed_pages(vad, start, end);
  if (vad.no_change_ != 0 && protection != vad.protection()) return Status::invalid_page_protection;
  if (missing != 0) VITRINE_TRY(charge(vad, missing));
  const bool whole = start == vad.start() && end == vad.end();
  if (whole && missing == vad.pages() && page_table_.next_used(start, end) == end) {
    vad.mem_commit_ = 1;
    vad.set_protection(protection);
    return Status::success;
  }
  u64 done = 0;
  for (Va va = start; va < end; va += kPageSize) {
    const Pte pte = page_table_.get(va);
    if (is_committed(vad, va, pte)) {
      const bool same = protection_of(vad, va, pte) == protection;
      if (const Status status = same ? Status::success : set_entry_protection(va, pte, protection); is_success(status))
        continue;
    } else if (is_success(page_table_.put(va, Pte::demand_zero(protection)))) {
      ++done;
      continue;
    }
    uncharge(vad, missing - done);  // no frame for a page table: what was done stays
    return Status::no_memory;
  }
  return Status::success;
}

// NT: pages of a SEC_RESERVE section are committed through any view of it, for all of them.
Status AddressSpace::commit_section(Vad& vad, Va start, Va end, Protection protection) {
  Segment& segment = *vad.view->segment;
  if (segment.kind != SectionKind::page_file || segment.commits_all) return Status::already_committed;
  if (!is_compatible(vad.view->maximum, protection)) return Status::section_protection;
  const u64 first = vad.view->first_page + ((start - vad.start()) >> kPageShift);
  const u64 count = (end - start) >> kPageShift;
  u64 missing = 0;
  for (u64 i = 0; i < count; ++i) missing += manager_.prototype(segment, first + i).is_empty() ? 1 : 0;
  VITRINE_TRY(manager_.memory().charge_commit(missing));
  segment.commit_charge += missing;
  for (u64 i = 0; i < count; ++i) {
    if (!manager_.prototype(segment, first + i).is_empty()) continue;
    manager_.set_prototype(segment, first + i, manager_.original_prototype(segment, first + i));
  }
  return protection == vad.protection() ? Status::success : protect_view(vad, start, end, protection);
}

// NT: MEM_RESET says that contents are of no interest; keeping them is allowed. The range is checked all the same.
Status AddressSpace::reset_pages(Va start, Va end) {
  const Vad* vad = vads_.find(start);
  if (vad == nullptr || end > vad->end()) return Status::conflicting_addresses;
  const bool anonymous = vad->is_private() || vad->view->segment->kind == SectionKind::page_file;
  return anonymous ? Status::success : Status::conflicting_addresses;
}

}  // namespace vitrine::mm
