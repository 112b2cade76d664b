#include "mm/physical_memory.h"

#include <algorithm>

namespace vitrine::mm {

PhysicalMemory::PhysicalMemory(ram::GuestRam& ram, const sim::Profile& profile, u64 page_file_pages)
    : pfn_(ram, profile.sizes.pfn_entry),
      nonpaged_start_(profile.layout.nonpaged_pool.start),
      commit_limit_(pfn_.total() - pfn_.reserved() + page_file_pages),
      resident_available_(static_cast<i64>(pfn_.total() - pfn_.reserved())) {}

Status PhysicalMemory::charge_commit(u64 pages) {
  if (pages > commit_limit_ - committed_) return Status::commitment_limit;
  committed_ += pages;
  peak_committed_ = std::max(peak_committed_, committed_);
  return Status::success;
}

void PhysicalMemory::return_commit(u64 pages) {
  VITRINE_CHECK(pages <= committed_);
  committed_ -= pages;
}

Status PhysicalMemory::charge_resident(u64 pages) {
  if (static_cast<i64>(pages) > resident_available_) return Status::insufficient_resources;
  resident_available_ -= static_cast<i64>(pages);
  return Status::success;
}

void PhysicalMemory::return_resident(u64 pages) { resident_available_ += static_cast<i64>(pages); }

// NT: a pool allocation that finds no commit, no resident memory or no page fails with one status, whatever the cause.
Status PhysicalMemory::charge_pool_pages(ex::PoolType type, Va first, u64 pages) {
  if (!is_success(charge_commit(pages))) return Status::insufficient_resources;
  if (type == ex::PoolType::paged) return Status::success;
  if (!is_success(charge_resident(pages))) {
    return_commit(pages);
    return Status::insufficient_resources;
  }
  const u64 index = (first - nonpaged_start_) >> kPageShift;
  if (nonpaged_frames_.size() < index + pages) nonpaged_frames_.resize(index + pages);
  for (u64 i = 0; i < pages; ++i) {
    const auto frame = pfn_.allocate_run(1, FrameUse::pool);
    if (!frame) {
      for (u64 j = 0; j < i; ++j) pfn_.free_run(FrameRun{nonpaged_frames_[index + j]}, 1, FrameUse::pool);
      return_resident(pages);
      return_commit(pages);
      return Status::insufficient_resources;
    }
    nonpaged_frames_[index + i] = frame->bits;
  }
  return Status::success;
}

void PhysicalMemory::return_pool_pages(ex::PoolType type, Va first, u64 pages) {
  return_commit(pages);
  if (type == ex::PoolType::paged) return;
  return_resident(pages);
  const u64 index = (first - nonpaged_start_) >> kPageShift;
  for (u64 i = 0; i < pages; ++i) pfn_.free_run(FrameRun{nonpaged_frames_[index + i]}, 1, FrameUse::pool);
}

}  // namespace vitrine::mm
