// PhysicalMemory: the machine's two budgets and its frames. Commit is a promise of pages (RAM plus page files);
// resident-available memory is what may still become nonpageable. Made before the pool, which takes its pages here;
// MemoryManager is made after it.
//
// Owns the PFN database and both books. Refuses: per-process charges (AddressSpace, ps quotas).
// NT: MmTotalCommittedPages, MmTotalCommitLimit, MmResidentAvailablePages [facts 8.7, 8.14].
#pragma once

#include <array>
#include <vector>

#include "ex/pool_regions.h"
#include "mm/pfn_database.h"
#include "mm/region_tables.h"
#include "sim/profile.h"

namespace vitrine::mm {

class PhysicalMemory final : public ex::PageSource {
 public:
  // `page_file_pages` is the room of all page files together.
  PhysicalMemory(ram::GuestRam& ram, const sim::Profile& profile, u64 page_file_pages);

  [[nodiscard]] PfnDatabase& pfn() { return pfn_; }
  [[nodiscard]] const PfnDatabase& pfn() const { return pfn_; }

  // Error: commitment_limit; nothing is charged then.
  Status charge_commit(u64 pages);
  // Precondition: at least that many are charged.
  void return_commit(u64 pages);
  // Nonpageable pages. Error: insufficient_resources.
  Status charge_resident(u64 pages);
  void return_resident(u64 pages);
  // A nonpageable page of the kernel's own, without bytes: charged to both budgets. Errors: commitment_limit,
  // insufficient_resources, no_memory.
  [[nodiscard]] Result<FrameRun> allocate_system_page();
  void free_system_page(FrameRun page);

  [[nodiscard]] u64 commit_limit() const { return commit_limit_; }
  [[nodiscard]] u64 committed() const { return committed_; }
  [[nodiscard]] u64 peak_committed() const { return peak_committed_; }
  [[nodiscard]] i64 resident_available() const { return resident_available_; }
  // Requests that found the budget used up.
  [[nodiscard]] u64 commit_failures() const { return commit_failures_; }
  [[nodiscard]] u64 resident_failures() const { return resident_failures_; }
  // Page tables that map pool.
  [[nodiscard]] u64 pool_table_pages(ex::PoolType type) const { return pool_tables_[static_cast<u32>(type)].pages(); }
  [[nodiscard]] u64 pool_table_pages() const;
  // A page file was added or grew.
  void add_commit_limit(u64 pages) { commit_limit_ += pages; }

  // ex::PageSource: nonpaged pool takes a frame for each page, the pageable pools commit only.
  Status charge_pool_pages(ex::PoolType type, Va first, u64 pages) override;
  void return_pool_pages(ex::PoolType type, Va first, u64 pages) override;

 private:
  Status take_frames(u64 first, u64 pages);

  PfnDatabase pfn_;
  std::vector<u32> nonpaged_frames_;  // frame run of each page of nonpaged pool, grown on demand
  u64 commit_limit_;
  u64 committed_ = 0;
  u64 peak_committed_ = 0;
  i64 resident_available_;
  u64 commit_failures_ = 0, resident_failures_ = 0;
  std::array<RegionTables, ex::kPoolTypes.size()> pool_tables_;  // by PoolType, as the regions that they map
  const std::array<sim::Region, ex::kPoolTypes.size()> pool_regions_;
};

}  // namespace vitrine::mm
