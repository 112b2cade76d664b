// Segments: how sections come to be and end. What is in their pages: prototype.cpp; images: image_segment.cpp.
#include <algorithm>

#include "mm/address_space.h"
#include "mm/memory_manager.h"

namespace vitrine::mm {
namespace {

constexpr u32 kKnownAttributes =
    sec::kCommit | sec::kReserve | sec::kBased | sec::kLargePages | sec::kImage | sec::kNoCache | sec::kNoChange;

// NT: NtCreateSection's checks of the two flag words [facts 10.5].
Status check_request(const SectionRequest& request) {
  const u32 attributes = request.attributes;
  const u32 kinds = attributes & (sec::kCommit | sec::kReserve | sec::kImage);
  if ((attributes & ~kKnownAttributes) != 0 || kinds == 0) return Status::invalid_parameter_6;
  if ((kinds & sec::kCommit) != 0 && (kinds & sec::kReserve) != 0) return Status::invalid_parameter_6;
  if ((kinds & sec::kImage) != 0 && (attributes & ~(sec::kImage | sec::kNoChange | sec::kBased)) != 0) {
    return Status::invalid_parameter_6;
  }
  if ((attributes & sec::kLargePages) != 0)
    return Status::invalid_parameter_6;  // not offered: no page is that large here
  return Status::success;
}

}  // namespace

Result<Section> MemoryManager::create_section(const SectionRequest& request) {
  if (const Status status = check_request(request); !is_success(status)) return Failure(status);
  if ((request.page_protection & (page::kNoCache | page::kGuard | page::kNoAccess | page::kWriteCombine)) != 0) {
    return Failure(Status::invalid_page_protection);
  }
  const auto protection = protection_from_win32(request.page_protection);
  if (!protection) return Failure(protection.error());
  u64 size = request.maximum_size;
  const auto segment = open_segment(request, *protection, size);
  if (!segment) return Failure(segment.error());
  Section section;
  section.manager_ = this;
  section.segment_ = *segment;
  section.size_ = size;
  section.attributes_ = request.attributes;
  section.protection_ = *protection;
  ++(*segment)->section_count;
  return section;
}

// Finds or makes the segment; `size` becomes the section's size in bytes.
Result<Segment*> MemoryManager::open_segment(const SectionRequest& request, Protection protection, u64& size) {
  if ((request.attributes & sec::kImage) != 0) {
    if (request.file == nullptr) return Failure(Status::invalid_file_for_section);
    Segment* known = find_segment(request.file->identity(), SectionKind::image);
    const auto segment = known != nullptr ? Result<Segment*>(known) : make_image_segment(*request.file);
    if (segment) size = (*segment)->byte_size;
    return segment;
  }
  constexpr u64 kMaximumBytes = kMaximumSegmentPages * kPageSize;
  if (request.file == nullptr) {
    if (size == 0) return Failure(Status::invalid_parameter_4);
    if (size > kMaximumBytes) return Failure(Status::section_too_big);
    size = page_ceil(size);
    return make_page_file_segment(size, (request.attributes & sec::kCommit) != 0);
  }
  const u64 file_bytes = request.file->size();
  if (size == 0) size = file_bytes;
  if (size == 0) return Failure(Status::mapped_file_size_zero);
  if (size > kMaximumBytes) return Failure(Status::section_too_big);
  if (size > file_bytes) {
    // NT: a section larger than its file grows the file, which takes a writable section.
    if (!protection.allows_write() || protection.is_write_copy()) return Failure(Status::section_too_big);
    if (const Status status = request.file->extend(size); !is_success(status)) return Failure(status);
  }
  return make_file_segment(*request.file, size);
}

Segment* MemoryManager::find_segment(const FileIdentity& file, SectionKind kind) const {
  const auto found = file_segments_.find({file, kind});
  return found == file_segments_.end() ? nullptr : segments_[found->second].get();
}

Result<Segment*> MemoryManager::new_segment(SectionKind kind, FileBacking* backing, u64 page_count, u32 subsections) {
  if (free_segment_ids_.empty() && segments_.size() >= kMaximumSegments) return Failure(Status::insufficient_resources);
  const sim::StructureSizes& sizes = wiring_.profile.sizes;
  ex::Pool& pool = wiring_.pool;
  auto segment_block = pool.allocate(sites_.segment, sizes.segment);
  if (!segment_block) return Failure(segment_block.error());
  auto control_block = pool.allocate(sites_.control_area, sizes.control_area + u64{subsections} * sizes.subsection);
  auto prototype_block = control_block ? pool.allocate(sites_.prototypes, page_count * wiring_.profile.pointer_size)
                                       : Result<ex::PoolBlock>(Failure(Status::insufficient_resources));
  if (!prototype_block) {
    if (control_block) pool.free(*control_block);
    pool.free(*segment_block);
    return Failure(Status::insufficient_resources);
  }
  u32 id = static_cast<u32>(segments_.size());
  if (free_segment_ids_.empty()) {
    segments_.emplace_back();
  } else {
    id = free_segment_ids_.back();
    free_segment_ids_.pop_back();
  }
  segments_[id] = std::make_unique<Segment>();
  Segment& segment = *segments_[id];
  segment.id = id;
  segment.kind = kind;
  segment.page_count = page_count;
  segment.byte_size = page_count * kPageSize;
  segment.chunks.resize((page_count + Segment::kChunkPages - 1) / Segment::kChunkPages);
  segment.segment_block = *segment_block;
  segment.control_block = *control_block;
  segment.prototype_block = *prototype_block;
  if (backing != nullptr) {
    segment.backing = backing;
    segment.identity = backing->identity();
    backing->retain();
    file_segments_[{segment.identity, kind}] = id;
  }
  ++segment_count_;
  return &segment;
}

Result<Segment*> MemoryManager::make_file_segment(FileBacking& file, u64 bytes) {
  if (Segment* known = find_segment(file.identity(), SectionKind::file)) {
    const Status status = bytes > known->byte_size ? grow_segment(*known, bytes) : Status::success;
    return is_success(status) ? Result<Segment*>(known) : Failure(status);
  }
  const auto segment = new_segment(SectionKind::file, &file, bytes_to_pages(bytes), 1);
  if (!segment) return segment;
  (*segment)->byte_size = bytes;
  (*segment)->subsections.push_back(
      {.page_count = (*segment)->page_count, .protection = {Protection::kExecuteReadWrite}});
  return segment;
}

Result<Segment*> MemoryManager::make_page_file_segment(u64 bytes, bool commits_all) {
  const u64 pages = bytes >> kPageShift;
  const u64 charge = commits_all ? pages : 0;
  if (const Status status = wiring_.memory.charge_commit(charge); !is_success(status)) return Failure(status);
  const auto segment = new_segment(SectionKind::page_file, nullptr, pages, 1);
  if (!segment) {
    wiring_.memory.return_commit(charge);
    return segment;
  }
  (*segment)->commits_all = commits_all;
  (*segment)->commit_charge = charge;
  (*segment)->subsections.push_back({.page_count = pages, .protection = {Protection::kExecuteReadWrite}});
  return segment;
}

// Precondition: a data file's segment.
Status MemoryManager::grow_segment(Segment& segment, u64 bytes) {
  const u64 pages = bytes_to_pages(bytes);
  if (pages > segment.page_count) {
    auto block = wiring_.pool.allocate(sites_.prototypes, pages * wiring_.profile.pointer_size);
    if (!block) return block.error();
    wiring_.pool.free(segment.prototype_block);
    segment.prototype_block = *block;
    segment.page_count = pages;
    segment.subsections[0].page_count = pages;
    segment.chunks.resize((pages + Segment::kChunkPages - 1) / Segment::kChunkPages);
  }
  segment.byte_size = std::max(segment.byte_size, bytes);
  return Status::success;
}

void MemoryManager::release_segment(Segment& segment) {
  if (segment.section_count == 0 && segment.views.empty()) delete_segment(segment);
}

void MemoryManager::delete_segment(Segment& segment) {
  // A failing device loses the data here, as NT's lazy writer does ("delayed write failed").
  if (segment.kind == SectionKind::file) static_cast<void>(write_dirty_pages(segment, 0, segment.page_count));
  for (u64 page = 0; page < segment.page_count && segment.resident_pages > 0; ++page) {
    if (segment.chunks[page / Segment::kChunkPages] == nullptr) {
      page |= Segment::kChunkPages - 1;
      continue;
    }
    const Pte pte = prototype(segment, page);
    if (!pte.is_transition()) continue;
    wiring_.memory.pfn().free(pte.pfn());
    --segment.resident_pages;
  }
  VITRINE_CHECK(segment.resident_pages == 0);
  wiring_.memory.return_commit(segment.commit_charge);
  wiring_.pool.free(segment.prototype_block);
  wiring_.pool.free(segment.control_block);
  wiring_.pool.free(segment.segment_block);
  if (segment.backing != nullptr) {
    file_segments_.erase({segment.identity, segment.kind});
    segment.backing->release();
  }
  free_segment_ids_.push_back(segment.id);
  --segment_count_;
  segments_[segment.id].reset();
}

}  // namespace vitrine::mm
