// KernelRegion: the allocator of a region of kernel address space that is given out in pages: system PTEs (kernel
// stacks, I/O and MDL maps), views of the system cache. A bitmap with hints, one bit per PTE, as NT's
// MI_SYSTEM_PTE_TYPE. The region's own page tables are charged while one of their PTEs is in use.
//
// Owns addresses only; no bytes exist behind them. Refuses: what a PTE maps.
// NT: facts 3.2, 8.12. The kernel-stack region of nt61-x64 holds 128 GB / 28 KB = 4,793,490 small stacks.
#pragma once

#include <map>
#include <vector>

#include "base/status.h"
#include "mm/physical_memory.h"
#include "mm/region_tables.h"
#include "sim/profile.h"

namespace vitrine::mm {

class KernelRegion {
 public:
  KernelRegion(const sim::Region& region, u32 pte_bytes, PhysicalMemory& memory);

  // The index of the first of `count` adjacent PTEs. Errors: insufficient_resources (no such run), commitment_limit,
  // no_memory (page-table page).
  [[nodiscard]] Result<u32> allocate(u32 count);
  void free(u32 first, u32 count);

  [[nodiscard]] Va address(u32 index) const { return region_.start + (u64{index} << kPageShift); }
  [[nodiscard]] u64 total() const { return total_; }
  [[nodiscard]] u64 used() const { return used_; }
  // Requests for which the region had no room.
  [[nodiscard]] u64 failures() const { return failures_; }
  [[nodiscard]] u64 table_pages() const { return tables_.pages(); }

 private:
  [[nodiscard]] bool find_run(u64 from, u32 count, u64& found) const;

  sim::Region region_;
  u64 total_;
  u64 used_ = 0;
  u64 failures_ = 0;
  std::map<u32, u64> hints_;  // by size of run: no free run of that size starts below
  std::vector<u64> bitmap_;   // up to the highest PTE ever used
  RegionTables tables_;
};

}  // namespace vitrine::mm
