#include "csr/heap.h"

namespace vitrine::csr {

// NT: a request and its header are rounded up to the granule [HEAP_ENTRY: 8 bytes on x86, 16 on x64].
BlockHeap::BlockHeap(mm::AddressSpace& space, const sim::Profile& profile, u64 bytes)
    : space_(space),
      header_bytes_(profile.sizes.heap_header),
      block_bytes_(align_up(bytes + header_bytes_, header_bytes_)),
      per_segment_(static_cast<u32>(kSegmentBytes / block_bytes_)) {
  VITRINE_CHECK(per_segment_ > 0);
}

Status BlockHeap::ready(u32 number) {
  const u32 index = number / per_segment_;
  if (segments_.size() <= index) segments_.resize(index + 1);
  if (segments_[index] != nullptr) return Status::success;
  const auto range =
      space_.allocate({.size = kSegmentBytes, .type = mm::mem::kReserve, .protect = mm::page::kReadWrite});
  if (!range) return range.error();
  segments_[index] = std::make_unique<Segment>();
  segments_[index]->base = range->base;
  return Status::success;
}

Status BlockHeap::take(u32 number) {
  VITRINE_TRY(ready(number));
  const Place where = place(number);
  Segment& segment = *segments_[where.segment];
  const u64 first = where.offset / kPageSize;
  const u64 last = (where.offset + block_bytes_ - 1) / kPageSize;
  ++segment.blocks;
  Status status = Status::success;
  u64 page = first;
  for (; page <= last && is_success(status); ++page) {
    if (segment.in_page[page] == 0) {
      status = space_.commit_shadow_page(segment.base + page * kPageSize);
      if (!is_success(status)) break;
      ++committed_pages_;
    }
    ++segment.in_page[page];
  }
  if (is_success(status)) {
    ++blocks_;
    return status;
  }
  while (page > first) leave_page(segment, --page);
  if (--segment.blocks == 0) {
    (void)space_.free(segment.base, 0, mm::mem::kRelease);
    segments_[where.segment].reset();
  }
  return status;
}

void BlockHeap::leave_page(Segment& segment, u64 page) {
  if (--segment.in_page[page] != 0) return;
  VITRINE_CHECK(space_.free(segment.base + page * kPageSize, kPageSize, mm::mem::kDecommit).has_value());
  --committed_pages_;
}

void BlockHeap::give_back(u32 number) {
  const Place where = place(number);
  Segment& segment = *segments_[where.segment];
  const u64 last = (where.offset + block_bytes_ - 1) / kPageSize;
  for (u64 page = where.offset / kPageSize; page <= last; ++page) leave_page(segment, page);
  --blocks_;
  if (--segment.blocks != 0) return;
  VITRINE_CHECK(space_.free(segment.base, 0, mm::mem::kRelease).has_value());
  segments_[where.segment].reset();
}

Va BlockHeap::address(u32 number) const {
  const Place where = place(number);
  return segments_[where.segment]->base + where.offset + header_bytes_;
}

}  // namespace vitrine::csr
