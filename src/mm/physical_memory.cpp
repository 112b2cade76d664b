#include "mm/physical_memory.h"

#include <algorithm>

namespace vitrine::mm {

PhysicalMemory::PhysicalMemory(ram::GuestRam& ram, const sim::Profile& profile, u64 page_file_pages)
    : pfn_(ram, profile.sizes.pfn_entry),
      commit_limit_(pfn_.total() - pfn_.reserved() + page_file_pages),
      resident_available_(static_cast<i64>(pfn_.total() - pfn_.reserved())),
      pool_tables_{{{*this, profile.pointer_size}, {*this, profile.pointer_size}, {*this, profile.pointer_size}}},
      pool_regions_(ex::pool_regions(profile.layout)) {}

Status PhysicalMemory::charge_commit(u64 pages) {
  if (pages > commit_limit_ - committed_) {
    ++commit_failures_;
    return Status::commitment_limit;
  }
  committed_ += pages;
  peak_committed_ = std::max(peak_committed_, committed_);
  return Status::success;
}

void PhysicalMemory::return_commit(u64 pages) {
  VITRINE_CHECK(pages <= committed_);
  committed_ -= pages;
}

Status PhysicalMemory::charge_resident(u64 pages) {
  if (static_cast<i64>(pages) > resident_available_) {
    ++resident_failures_;
    return Status::insufficient_resources;
  }
  resident_available_ -= static_cast<i64>(pages);
  return Status::success;
}

void PhysicalMemory::return_resident(u64 pages) { resident_available_ += static_cast<i64>(pages); }

Result<FrameRun> PhysicalMemory::allocate_system_page() {
  if (const Status status = charge_commit(1); !is_success(status)) return Failure(status);
  Status status = charge_resident(1);
  if (is_success(status)) {
    const auto frame = pfn_.allocate_run(1, FrameUse::system);
    if (frame) return *frame;
    status = frame.error();
    return_resident(1);
  }
  return_commit(1);
  return Failure(status);
}

void PhysicalMemory::free_system_page(FrameRun page) {
  pfn_.free_run(page, 1, FrameUse::system);
  return_resident(1);
  return_commit(1);
}

u64 PhysicalMemory::pool_table_pages() const {
  u64 pages = 0;
  for (const RegionTables& tables : pool_tables_) pages += tables.pages();
  return pages;
}

// NT: a pool allocation that finds no commit, no resident memory or no page fails with one status, whatever the cause.
Status PhysicalMemory::charge_pool_pages(ex::PoolType type, Va first, u64 pages) {
  const bool paged = type != ex::PoolType::nonpaged;
  RegionTables& tables = pool_tables_[static_cast<u32>(type)];
  const u64 index = (first - pool_regions_[static_cast<u32>(type)].start) >> kPageShift;
  if (!is_success(charge_commit(pages))) return Status::insufficient_resources;
  if (is_success(tables.use(index, pages))) {
    if (paged || is_success(take_frames(index, pages))) return Status::success;
    tables.release(index, pages);
  }
  return_commit(pages);
  return Status::insufficient_resources;
}

Status PhysicalMemory::take_frames(u64 first, u64 pages) {
  VITRINE_TRY(charge_resident(pages));
  if (nonpaged_frames_.size() < first + pages) nonpaged_frames_.resize(first + pages);
  for (u64 i = 0; i < pages; ++i) {
    const auto frame = pfn_.allocate_run(1, FrameUse::pool);
    if (!frame) {
      for (u64 j = 0; j < i; ++j) pfn_.free_run(FrameRun{nonpaged_frames_[first + j]}, 1, FrameUse::pool);
      return_resident(pages);
      return frame.error();
    }
    nonpaged_frames_[first + i] = frame->bits;
  }
  return Status::success;
}

void PhysicalMemory::return_pool_pages(ex::PoolType type, Va first, u64 pages) {
  RegionTables& tables = pool_tables_[static_cast<u32>(type)];
  const u64 index = (first - pool_regions_[static_cast<u32>(type)].start) >> kPageShift;
  tables.release(index, pages);
  return_commit(pages);
  if (type != ex::PoolType::nonpaged) return;
  return_resident(pages);
  for (u64 i = 0; i < pages; ++i) pfn_.free_run(FrameRun{nonpaged_frames_[index + i]}, 1, FrameUse::pool);
}

}  // namespace vitrine::mm
