// RegionTables: the page-table pages that map a region of kernel address space: one is charged and gets a frame while
// any page that it maps is in use. The tables of system PTEs and of both pools.
//
// Owns the charges and frames of leaf tables. Refuses: the levels above (NT makes those once for all, at boot),
// contents.
#pragma once

#include <vector>

#include "base/status.h"
#include "mm/pfn_database.h"

namespace vitrine::mm {

class PhysicalMemory;

class RegionTables {
 public:
  // `memory` outlives it. `pte_bytes`: 8 on x64, 4 on x86.
  RegionTables(PhysicalMemory& memory, u32 pte_bytes)
      : memory_(memory), ptes_per_table_(static_cast<u32>(kPageSize / pte_bytes)) {}
  RegionTables(const RegionTables&) = delete;
  RegionTables& operator=(const RegionTables&) = delete;

  // Pages [first, first + count) of the region come into use; none of them is. Errors: commitment_limit,
  // insufficient_resources, no_memory; nothing is kept then.
  [[nodiscard]] Status use(u64 first, u64 count);
  void release(u64 first, u64 count);
  [[nodiscard]] u64 pages() const { return pages_; }

 private:
  struct Table {
    u32 used = 0;
    FrameRun frame;
  };
  [[nodiscard]] Status charge(Table& table);
  void give_back(Table& table);

  PhysicalMemory& memory_;
  u32 ptes_per_table_;
  u64 pages_ = 0;
  std::vector<Table> tables_;  // up to the highest one ever used
};

}  // namespace vitrine::mm
