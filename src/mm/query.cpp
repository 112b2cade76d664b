// NtQueryVirtualMemory: MEMORY_BASIC_INFORMATION and the mapped file.
#include <algorithm>

#include "mm/address_space.h"

namespace vitrine::mm {

// NT: the region starts at the page asked for and goes up while state, protection and type stay the same, inside one
// Vad.
Result<MemoryBasicInformation> AddressSpace::query_basic(Va va) const {
  if (va >= vads_.highest_plus_one()) return Failure(Status::invalid_parameter);
  MemoryBasicInformation info;
  info.base_address = page_floor(va);
  const Vad* vad = vads_.find_at_or_after(va);
  if (vad == nullptr || !vad->contains(va)) {
    info.region_size = (vad == nullptr ? vads_.highest_plus_one() : vad->start()) - info.base_address;
    info.state = mem::kFree;
    info.protect = page::kNoAccess;
    return info;
  }
  info.allocation_base = vad->start();
  info.allocation_protect = protection_to_win32(vad->protection());
  info.type = vad->is_private() ? mem::kPrivate : vad->is_image() ? mem::kImage : mem::kMapped;
  const Pte pte = page_table_.get(info.base_address);
  const bool committed = is_committed(*vad, info.base_address, pte);
  info.state = committed ? mem::kCommit : mem::kReserve;
  if (committed) info.protect = protection_to_win32(protection_of(*vad, info.base_address, pte));
  info.region_size = uniform_end(*vad, info.base_address) - info.base_address;
  return info;
}

// Where the run of pages that look alike ends. Runs of empty entries are skipped as far as the Vad alone decides them.
Va AddressSpace::uniform_end(const Vad& vad, Va start) const {
  const Pte first = page_table_.get(start);
  const bool committed = is_committed(vad, start, first);
  const Protection protection = committed ? protection_of(vad, start, first) : Protection{};
  for (Va va = start; va < vad.end();) {
    const Pte pte = page_table_.get(va);
    if (is_committed(vad, va, pte) != committed) return va;
    if (committed && protection_of(vad, va, pte) != protection) return va;
    va = alike_until(vad, va, pte);
  }
  return vad.end();
}

Va AddressSpace::alike_until(const Vad& vad, Va va, Pte pte) const {
  if (!pte.is_empty()) return va + kPageSize;
  return std::min(page_table_.next_used(va, vad.end()), same_by_vad(vad, va));
}

// How far from `va` empty entries mean the same thing.
Va AddressSpace::same_by_vad(const Vad& vad, Va va) const {
  if (vad.is_private()) return vad.end();
  const View& view = *vad.view;
  const Segment& segment = *view.segment;
  const u64 page = view.first_page + ((va - vad.start()) >> kPageShift);
  if (segment.kind == SectionKind::image) {
    const Subsection* subsection = segment.subsection_of(page);
    if (subsection == nullptr) return va + kPageSize;
    const Va end = va + ((subsection->first_page + subsection->page_count - page) << kPageShift);
    return std::min(end, vad.end());
  }
  if (segment.kind == SectionKind::file || segment.commits_all) return vad.end();
  // Committed page by page: a chunk that does not exist is all reserved.
  if (segment.chunks[page / Segment::kChunkPages] != nullptr) return va + kPageSize;
  const u64 next_chunk = (page / Segment::kChunkPages + 1) * Segment::kChunkPages;
  return std::min(va + ((next_chunk - page) << kPageShift), vad.end());
}

Result<FileBacking*> AddressSpace::query_mapped_file(Va va) const {
  const Vad* vad = vads_.find(va);
  if (vad == nullptr || vad->is_private() || vad->view->segment->backing == nullptr)
    return Failure(Status::invalid_address);
  return vad->view->segment->backing;
}

}  // namespace vitrine::mm
