// NtMapViewOfSection and NtUnmapViewOfSection [facts 10.5].
#include <algorithm>

#include "mm/address_space.h"

namespace vitrine::mm {
namespace {

constexpr u32 kMaximumZeroBits = 20;
// NT: MEM_DOS_LIM rounds a page-aligned base down instead of refusing it.
constexpr u32 kKnownTypes = mem::kTopDown | mem::kReserve | mem::kLargePages | mem::kDosLimit;

}  // namespace

Result<MapOutcome> AddressSpace::map_view(const Section& section, const MapRequest& request) {
  if (request.inherit != 1 && request.inherit != 2) return Failure(Status::invalid_parameter_8);
  if ((request.type & ~kKnownTypes) != 0) return Failure(Status::invalid_parameter_9);
  const auto protection = protection_from_win32(request.protect);
  if (!protection) return Failure(protection.error());
  const Va highest = vads_.highest_plus_one();
  if (request.base >= highest) return Failure(Status::invalid_parameter_3);
  if (request.view_size > highest - request.base) return Failure(Status::invalid_parameter_3);
  if (request.zero_bits > kMaximumZeroBits && request.zero_bits < 32) return Failure(Status::invalid_parameter_4);
  MapRequest aligned = request;
  if ((request.type & mem::kDosLimit) != 0) aligned.base = align_down(request.base, kAllocationGranularity);
  // NT: a placeholder has pages for its grain, and so has what replaces it [Microsoft: MapViewOfFile3].
  const bool replaces = request.placeholder == Placeholder::replace;
  const u64 grain = replaces ? kPageSize : kAllocationGranularity;
  if (aligned.base % grain != 0 || request.offset % grain != 0) {
    return Failure(Status::mapped_alignment);
  }
  if (replaces) {
    const u64 size = page_ceil(request.view_size);
    if (section.is_image() || size == 0 || placeholder_at(aligned.base, aligned.base + size) == nullptr) {
      return Failure(Status::conflicting_addresses);
    }
    delete_vad(*placeholder_at(aligned.base, aligned.base + size));
    const auto replaced = map_data(section, aligned, *protection);
    // The placeholder's own record was given back just before, so there is one again.
    if (!replaced) (void)make_placeholder(aligned.base, aligned.base + size);
    finish();
    return replaced;
  }
  const auto outcome = section.is_image() ? map_image(section, aligned) : map_data(section, aligned, *protection);
  finish();
  return outcome;
}

// An image goes to its preferred base when nobody asks for another and it is free; else anywhere, and the loader
// relocates.
Result<MapOutcome> AddressSpace::map_image(const Section& section, const MapRequest& request) {
  const Segment& segment = *section.segment();
  const u64 whole = segment.page_count << kPageShift;
  if (request.offset >= whole) return Failure(Status::invalid_view_size);
  u64 size = request.view_size == 0 ? whole - request.offset : page_ceil(request.view_size);
  if (size > whole - request.offset) return Failure(Status::invalid_view_size);
  Va start = request.base;
  if (start == 0) {
    start = segment.image_base + request.offset;
    const bool fits = start >= vads_.lowest() && start < vads_.highest_plus_one() &&
                      size <= vads_.highest_plus_one() - start && is_success(check_room(start, start + size));
    if (!fits) {
      const auto place =
          find_room(size, kAllocationGranularity, request.zero_bits, (request.type & mem::kTopDown) != 0);
      if (!place) return Failure(place.error());
      start = *place;
    }
  } else {
    if (size > vads_.highest_plus_one() - start) return Failure(Status::invalid_parameter_3);
    if (const Status status = check_room(start, start + size); !is_success(status)) return Failure(status);
  }
  const u64 first_page = request.offset >> kPageShift;
  const auto vad = add_view(section, start, start + size, first_page, {Protection::kExecuteWriteCopy});
  if (!vad) return Failure(vad.error());
  (*vad)->set_type(VadType::image_map);
  (*vad)->set_protection({Protection::kExecuteWriteCopy});
  (*vad)->view->inherit = static_cast<Inherit>(request.inherit);
  u64 copies = 0;
  for (const Subsection& s : segment.subsections) {
    if (!s.protection.is_write_copy()) continue;
    const u64 from = std::max(s.first_page, first_page);
    const u64 to = std::min(s.first_page + s.page_count, first_page + (*vad)->pages());
    if (from < to) copies += to - from;
  }
  if (const Status status = charge(**vad, copies); !is_success(status)) {
    remove_view(**vad);
    return Failure(status);
  }
  const bool at_base = start == segment.image_base + request.offset;
  return MapOutcome{at_base ? Status::success : Status::image_not_at_base, {start, size}};
}

Result<MapOutcome> AddressSpace::map_data(const Section& section, const MapRequest& request, Protection protection) {
  if (request.offset >= section.size()) return Failure(Status::invalid_view_size);
  const u64 rest = section.size() - request.offset;
  if (request.view_size > rest && page_ceil(request.view_size) > page_ceil(rest))
    return Failure(Status::invalid_view_size);
  if (request.view_size > rest && section.kind() == SectionKind::file) return Failure(Status::invalid_view_size);
  if (!is_compatible(section.protection(), protection)) return Failure(Status::section_protection);
  const u64 size = page_ceil(request.view_size == 0 ? rest : request.view_size);
  Va start = request.base;
  if (start == 0) {
    const auto place = find_room(size, kAllocationGranularity, request.zero_bits, (request.type & mem::kTopDown) != 0);
    if (!place) return Failure(place.error());
    start = *place;
  } else {
    if (size > vads_.highest_plus_one() - start) return Failure(Status::invalid_parameter_3);
    if (const Status status = check_room(start, start + size); !is_success(status)) return Failure(status);
  }
  const auto vad = add_view(section, start, start + size, request.offset >> kPageShift, section.protection());
  if (!vad) return Failure(vad.error());
  (*vad)->set_protection(protection);
  (*vad)->no_change_ = (section.attributes() & sec::kNoChange) != 0 ? 1 : 0;
  (*vad)->view->inherit = static_cast<Inherit>(request.inherit);
  if (protection.is_write_copy()) {
    if (const Status status = charge(**vad, (*vad)->pages()); !is_success(status)) {
      remove_view(**vad);
      return Failure(status);
    }
  }
  // NT: a commit size commits the first pages of a SEC_RESERVE section.
  const u64 commit_bytes = std::min(request.commit_size, size);
  if (commit_bytes != 0 && section.kind() == SectionKind::page_file && !section.segment()->commits_all) {
    const Status status = commit_section(**vad, start, start + page_ceil(commit_bytes), protection);
    if (!is_success(status)) {
      remove_view(**vad);
      return Failure(status);
    }
  }
  return MapOutcome{Status::success, {start, size}};
}

Result<Vad*> AddressSpace::add_view(const Section& section, Va start, Va end, u64 first_page, Protection maximum) {
  const auto vad = new_vad(start, end, true, false);
  if (!vad) return vad;
  View* view = new View;
  view->segment = section.segment();
  view->space = this;
  view->vad = *vad;
  view->first_page = first_page;
  view->maximum = maximum;
  (*vad)->view = view;
  section.segment()->views.push_back(*view);
  ++manager_.view_count_;
  return vad;
}

void AddressSpace::remove_view(Vad& vad) {
  delete_entries(vad.start(), vad.end());
  uncharge(vad, vad.commit_charge());
  View* view = vad.view;
  Segment& segment = *view->segment;
  view->link.unlink();
  delete view;
  --manager_.view_count_;
  delete_vad(vad);
  manager_.release_segment(segment);
}

Status AddressSpace::unmap_view(Va va, Placeholder leaves) {
  Vad* vad = vads_.find(va);
  if (vad == nullptr || vad->is_private()) return Status::not_mapped_view;
  if (vad->secured_ != 0) return Status::invalid_page_protection;
  const Va start = vad->start();
  const Va end = vad->end();
  if (leaves == Placeholder::reserve && vad->is_image()) return Status::invalid_parameter;
  remove_view(*vad);
  const Status status = leaves == Placeholder::reserve ? make_placeholder(start, end) : Status::success;
  finish();
  return status;
}

}  // namespace vitrine::mm
