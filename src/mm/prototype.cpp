// Prototype PTEs: the pages of a segment, shared by everyone who maps it, and their traffic with the file.
#include <algorithm>
#include <cstring>

#include "mm/address_space.h"
#include "mm/memory_manager.h"

namespace vitrine::mm {

// An empty entry of a chunk (or a chunk that does not exist) stands for the original form.
Pte MemoryManager::prototype(const Segment& segment, u64 page) const {
  VITRINE_CHECK(page < segment.page_count);
  const auto& chunk = segment.chunks[page / Segment::kChunkPages];
  return chunk == nullptr ? Pte{} : chunk[page % Segment::kChunkPages];
}

void MemoryManager::set_prototype(Segment& segment, u64 page, Pte pte) {
  VITRINE_CHECK(page < segment.page_count);
  auto& chunk = segment.chunks[page / Segment::kChunkPages];
  if (chunk == nullptr) chunk = std::make_unique<Pte[]>(Segment::kChunkPages);
  chunk[page % Segment::kChunkPages] = pte;
}

// What a page is when no frame holds it. NT: a subsection PTE for files, the demand-zero template for page-file
// sections.
Pte MemoryManager::original_prototype(const Segment& segment, u64 page) const {
  const Subsection* subsection = segment.subsection_of(page);
  const Protection protection = subsection == nullptr ? Protection{Protection::kNoAccess} : subsection->protection;
  return segment.kind == SectionKind::page_file ? Pte::demand_zero(protection) : Pte::subsection(0, protection);
}

// The frame of a page, brought in if need be, with one more share for the PTE that the caller is about to make.
// Precondition: the page is committed and belongs to a subsection. Errors: no_memory, in_page_error or the device's.
// An in-page read of a slow device will suspend the fault here: the frame is then in transition with its read in
// progress, and others who fault on it wait for the same event.
Result<MemoryManager::Resident> MemoryManager::make_resident(Segment& segment, u64 page) {
  PfnDatabase& pfn = wiring_.memory.pfn();
  const Pte now = prototype(segment, page);
  const Pte original = original_prototype(segment, page);
  if (now.is_valid()) {
    pfn.add_share(now.pfn());
    return Resident{now.pfn()};
  }
  if (now.is_transition()) {
    pfn.reactivate(now.pfn());
    set_prototype(segment, page, Pte::valid(now.pfn(), original.protection(), true));
    return Resident{now.pfn()};
  }
  const Subsection& subsection = *segment.subsection_of(page);
  const u64 offset = (page - subsection.first_page) << kPageShift;
  const u64 file_bytes = segment.kind == SectionKind::file        ? segment.backing->size()
                         : segment.kind == SectionKind::page_file ? 0
                                                                  : subsection.file_bytes;
  const u64 from_file = offset < file_bytes ? std::min(file_bytes - offset, kPageSize) : 0;
  const auto frame = pfn.allocate(FrameUse::shared, from_file == kPageSize ? Contents::any : Contents::zeroed);
  if (!frame) return Failure(frame.error());
  Resident result{frame->pfn, from_file != 0, frame->was_zeroed_now};
  if (from_file != 0) {
    const std::span<std::byte> bytes(pfn.ram().page(frame->pfn), from_file);
    if (const Status status = segment.backing->read(subsection.file_offset + offset, bytes); !is_success(status)) {
      pfn.free(frame->pfn);
      return Failure(is_error(status) ? status : Status::in_page_error);
    }
  }
  if (frame->had_bytes) wiring_.backend.code_written(frame->pfn);
  pfn.set_pte(frame->pfn, PteLocation::in_segment(segment.id, page), original, true);
  set_prototype(segment, page, Pte::valid(frame->pfn, original.protection(), true));
  ++segment.resident_pages;
  return result;
}

// One PTE that mapped `pfn` is gone. NT: MiDecrementShareCount; the last one leaves the page in transition.
void MemoryManager::drop_resident(Pfn pfn, bool dirty) {
  PfnDatabase& database = wiring_.memory.pfn();
  if (dirty) database.mark_modified(pfn, true);
  const PteLocation where = database.pte_location(pfn);
  const Protection protection = database.original_pte(pfn).protection();
  if (database.drop_share(pfn) != 0) return;
  set_prototype(*segments_[where.segment()], where.segment_index(), Pte::transition(pfn, protection));
}

void MemoryManager::repurpose(PteLocation location, Pfn pfn) {
  VITRINE_CHECK(wiring_.memory.pfn().is_prototype(pfn));
  Segment& segment = *segments_[location.segment()];
  // A page-by-page section must not forget that the page is committed.
  set_prototype(segment, location.segment_index(), original_prototype(segment, location.segment_index()));
  --segment.resident_pages;
}

bool MemoryManager::reclaim() {
  PfnDatabase& database = wiring_.memory.pfn();
  for (u32 frame = database.list_head(PageLocation::modified); frame != ~0u; frame = database.list_next(Pfn{frame})) {
    const Pfn pfn{frame};
    if (!database.is_prototype(pfn)) continue;
    const PteLocation where = database.pte_location(pfn);
    Segment& segment = *segments_[where.segment()];
    if (segment.kind != SectionKind::file || !is_success(write_page(segment, where.segment_index(), pfn))) continue;
    database.written(pfn);
    return true;
  }
  return false;
}

Status MemoryManager::write_page(Segment& segment, u64 page, Pfn pfn) {
  const u64 offset = page << kPageShift;
  const u64 file_bytes = segment.backing->size();
  if (offset >= file_bytes) return Status::success;
  const std::span<const std::byte> bytes(wiring_.memory.pfn().ram().page(pfn),
                                         std::min(file_bytes - offset, kPageSize));
  return segment.backing->write(offset, bytes);
}

// NT: MmFlushSection. Dirty bits of all views are collected first.
Status MemoryManager::write_dirty_pages(Segment& segment, u64 first, u64 count) {
  PfnDatabase& database = wiring_.memory.pfn();
  for (View& view : segment.views) view.space->collect_dirty(view, first, count);
  Status result = Status::success;
  for (u64 page = first; page < first + count; ++page) {
    if (segment.chunks[page / Segment::kChunkPages] == nullptr) {
      page |= Segment::kChunkPages - 1;
      continue;
    }
    const Pte pte = prototype(segment, page);
    if ((!pte.is_valid() && !pte.is_transition()) || !database.is_modified(pte.pfn())) continue;
    const Status status = write_page(segment, page, pte.pfn());
    if (is_success(status))
      database.written(pte.pfn());
    else if (is_success(result))
      result = status;
  }
  return result;
}

Status MemoryManager::flush_file(const FileIdentity& file) {
  Segment* segment = find_segment(file, SectionKind::file);
  return segment == nullptr ? Status::success : write_dirty_pages(*segment, 0, segment->page_count);
}

// Calls `each(frame bytes, offset in the caller's buffer)` for the resident pages of a file's data section.
template <typename Each>
static void for_resident(u64 offset, u64 size, u64 page_count, Each each) {
  for (u64 done = 0; done < size;) {
    const u64 page = (offset + done) >> kPageShift;
    if (page >= page_count) return;
    const u64 inside = (offset + done) & kPageMask;
    const u64 length = std::min(kPageSize - inside, size - done);
    each(page, inside, done, length);
    done += length;
  }
}

void MemoryManager::overlay_file_read(const FileIdentity& file, u64 offset, std::span<std::byte> into) const {
  const Segment* segment = find_segment(file, SectionKind::file);
  if (segment == nullptr || segment->resident_pages == 0) return;
  for_resident(offset, into.size(), segment->page_count, [&](u64 page, u64 inside, u64 done, u64 length) {
    const Pte pte = prototype(*segment, page);
    if (!pte.is_valid() && !pte.is_transition()) return;
    std::memcpy(into.data() + done, wiring_.memory.pfn().ram().page(pte.pfn()) + inside, length);
  });
}

void MemoryManager::apply_file_write(const FileIdentity& file, u64 offset, std::span<const std::byte> from) {
  Segment* segment = find_segment(file, SectionKind::file);
  if (segment == nullptr || segment->resident_pages == 0) return;
  for_resident(offset, from.size(), segment->page_count, [&](u64 page, u64 inside, u64 done, u64 length) {
    const Pte pte = prototype(*segment, page);
    if (!pte.is_valid() && !pte.is_transition()) return;
    std::memcpy(wiring_.memory.pfn().ram().page(pte.pfn()) + inside, from.data() + done, length);
    wiring_.backend.code_written(pte.pfn());
  });
}

bool MemoryManager::has_image_section(const FileIdentity& file) const {
  return find_segment(file, SectionKind::image) != nullptr;
}

bool MemoryManager::can_truncate(const FileIdentity& file, u64 bytes) const {
  if (has_image_section(file)) return false;
  const Segment* segment = find_segment(file, SectionKind::file);
  if (segment == nullptr) return true;
  for (const View& view : segment->views) {
    if ((view.first_page + view.vad->pages()) * kPageSize > page_ceil(bytes)) return false;
  }
  return true;
}

void MemoryManager::file_truncated(const FileIdentity& file, u64 bytes) {
  Segment* segment = find_segment(file, SectionKind::file);
  if (segment == nullptr) return;
  PfnDatabase& database = wiring_.memory.pfn();
  for (u64 page = bytes >> kPageShift; page < segment->page_count && segment->resident_pages > 0; ++page) {
    const Pte pte = prototype(*segment, page);
    if (!pte.is_valid() && !pte.is_transition()) continue;
    const u64 start = page << kPageShift;
    if (start < bytes) {  // the page of the new end: what lies behind it reads as zero
      std::memset(database.ram().page(pte.pfn()) + (bytes - start), 0, kPageSize - (bytes - start));
    } else if (pte.is_transition()) {
      set_prototype(*segment, page, original_prototype(*segment, page));
      database.free(pte.pfn());
      --segment->resident_pages;
    }
  }
}

}  // namespace vitrine::mm
