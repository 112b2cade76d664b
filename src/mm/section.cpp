#include "mm/section.h"

#include <algorithm>

#include "mm/memory_manager.h"

namespace vitrine::mm {

const Subsection* Segment::subsection_of(u64 page) const {
  auto after = std::ranges::upper_bound(subsections, page, {}, &Subsection::first_page);
  if (after == subsections.begin()) return nullptr;
  const Subsection& found = *std::prev(after);
  return page - found.first_page < found.page_count ? &found : nullptr;
}

Section& Section::operator=(Section&& other) noexcept {
  if (this == &other) return *this;
  reset();
  manager_ = std::exchange(other.manager_, nullptr);
  segment_ = std::exchange(other.segment_, nullptr);
  size_ = other.size_;
  attributes_ = other.attributes_;
  protection_ = other.protection_;
  return *this;
}

void Section::reset() {
  if (segment_ == nullptr) return;
  Segment& segment = *std::exchange(segment_, nullptr);
  --segment.section_count;
  std::exchange(manager_, nullptr)->release_segment(segment);
}

bool Section::is_image() const { return segment_->kind == SectionKind::image; }
SectionKind Section::kind() const { return segment_->kind; }

// NT: an image section reports SEC_IMAGE and its size; file-backed data sections report SEC_FILE.
SectionBasicInformation Section::basic_information() const {
  SectionBasicInformation info;
  info.allocation_attributes = attributes_;
  if (segment_->kind != SectionKind::page_file) info.allocation_attributes |= sec::kFile;
  if (segment_->kind == SectionKind::file) info.allocation_attributes &= ~(sec::kCommit | sec::kReserve);
  info.maximum_size = size_;
  return info;
}

Result<SectionImageInformation> Section::image_information() const {
  if (!is_image()) return Failure(Status::section_not_image);
  return segment_->image;
}

Result<u64> Section::extend(u64 bytes) {
  if (segment_->kind != SectionKind::file) return Failure(Status::section_not_extended);
  if (bytes <= size_) return size_;
  if (bytes > kMaximumSegmentPages * kPageSize) return Failure(Status::section_too_big);
  if (bytes > segment_->backing->size()) {
    if (const Status status = segment_->backing->extend(bytes); !is_success(status)) return Failure(status);
  }
  if (const Status status = manager_->grow_segment(*segment_, bytes); !is_success(status)) return Failure(status);
  size_ = bytes;
  return size_;
}

ob::TypeTraits section_type_traits(u32 body_bytes) {
  ob::TypeTraits traits;
  traits.name = u"Section";
  traits.pool = ex::PoolType::paged;
  traits.tag = ex::pool_tag("Sect");
  traits.body_bytes = body_bytes;
  traits.valid_access = kSectionAllAccess;
  // NT: generic mapping of sections [ntddk.h]: standard rights plus map rights.
  traits.mapping = {0x20000 | kSectionQuery | kSectionMapRead, 0x20000 | kSectionMapWrite, 0x20000 | kSectionMapExecute,
                    kSectionAllAccess};
  traits.delete_object = [](ob::Object& object) { static_cast<SectionObject&>(object).section.reset(); };
  return traits;
}

}  // namespace vitrine::mm
