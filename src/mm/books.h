// Books: every counter that mm keeps for the whole machine, at one moment. What a process or thread took must be back
// when it is gone: `Books` before and after compare equal (lists and peaks, which may differ, are not in `held`).
#pragma once

#include "base/types.h"

namespace vitrine::mm {

struct HeldBooks {
  u64 committed_pages = 0;
  i64 resident_available_pages = 0;
  u64 available_pages = 0;  // zeroed + free + standby
  u64 modified_pages = 0;
  u64 private_pages = 0;  // frames by use
  u64 shared_pages = 0;
  u64 page_table_pages = 0;
  u64 kernel_stack_pages = 0;
  u64 shadow_pages = 0;
  u64 pool_pages = 0;
  u64 system_pages = 0;
  u64 system_ptes = 0;
  u64 system_table_pages = 0;
  u64 system_cache_pages = 0;  // addresses of views
  u64 system_cache_table_pages = 0;
  u64 hyperspace_pages = 0;  // frames: working-set lists, VAD bitmaps and the tables that map them
  u64 kernel_stacks = 0;
  u64 vads = 0;
  u64 views = 0;
  u64 segments = 0;
  u64 spaces = 0;
  bool operator==(const HeldBooks&) const = default;
};

struct Books {
  HeldBooks held;
  u64 commit_limit_pages = 0;
  u64 peak_committed_pages = 0;
  u64 total_pages = 0;
  u64 reserved_pages = 0;  // the PFN database's own
  u64 zeroed_pages = 0, free_pages = 0, standby_pages = 0;
  u64 never_used_pages = 0;  // part of the free ones
  u64 page_faults = 0;
  u64 demand_zero_faults = 0, soft_faults = 0, hard_faults = 0, copy_on_write_faults = 0;
};

}  // namespace vitrine::mm
