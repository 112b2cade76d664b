// PROCESS_*_INFORMATION and their numbers as a 64-bit guest passes them. [winternl.h, ntddk.h, processthreadsapi.h:
// public headers]
#pragma once

#include <cstddef>

#include "abi/strings.h"

namespace vitrine::abi {

enum class ProcessInformationClass : u32 {  // PROCESSINFOCLASS
  basic = 0,
  vm_counters = 3,
  times = 4,
  base_priority = 5,
  debug_port = 7,
  default_hard_error_mode = 12,
  pooled_usage_and_limits = 14,
  priority_class = 18,
  handle_count = 20,
  affinity_mask = 21,
  priority_boost = 22,
  session = 24,
  wow64 = 26,
  image_file_name = 27,
  debug_object_handle = 30,
  debug_flags = 31,
  execute_flags = 34,
  cookie = 36,
  image_information = 37,
  cycle_time = 38,
  thread_stack_allocation = 41,
  image_file_name_win32 = 43,
  handle_information = 51,
  command_line = 60,
  protection = 61,
  subsystem = 75,
  power_throttling_state = 77,
};

struct ProcessBasicInformation {
  u32 exit_status;
  u32 padding0;
  Va peb;
  u64 affinity_mask;
  i32 base_priority;
  u32 padding1;
  u64 unique_process_id;
  u64 inherited_from_unique_process_id;
};
static_assert(sizeof(ProcessBasicInformation) == 48);

// VM_COUNTERS, bytes, and the field that VM_COUNTERS_EX adds.
struct VmCounters {
  u64 peak_virtual_size, virtual_size;
  u32 page_fault_count;
  u32 padding;
  u64 peak_working_set_size, working_set_size;
  u64 quota_peak_paged_pool_usage, quota_paged_pool_usage, quota_peak_non_paged_pool_usage, quota_non_paged_pool_usage;
  u64 pagefile_usage, peak_pagefile_usage;
  u64 private_usage;
};
static_assert(sizeof(VmCounters) == 96);
inline constexpr u32 kVmCountersFirstForm = offsetof(VmCounters, private_usage);

struct PooledUsageAndLimits {
  u64 peak_paged_pool_usage, paged_pool_usage, paged_pool_limit;
  u64 peak_non_paged_pool_usage, non_paged_pool_usage, non_paged_pool_limit;
  u64 peak_pagefile_usage, pagefile_usage, pagefile_limit;
};
static_assert(sizeof(PooledUsageAndLimits) == 72);

struct ProcessPriorityClass {
  u8 foreground, priority_class;
};
struct ProcessHandleCount {
  u32 count, high_water;
};
struct ProcessCycleTime {
  u64 accumulated_cycles, current_cycle_count;
};

struct ProcessStackAllocation {  // PROCESS_STACK_ALLOCATION_INFORMATION
  u64 reserve_size, zero_bits;
  Va stack_base;
};
struct ProcessStackAllocationEx {
  u32 preferred_node, reserved0, reserved1, reserved2;
  ProcessStackAllocation allocation;
};
static_assert(sizeof(ProcessStackAllocation) == 24 && sizeof(ProcessStackAllocationEx) == 40);

struct ProcessHandleSnapshotHeader {
  u64 count, reserved;
};
struct ProcessHandleEntry {  // PROCESS_HANDLE_TABLE_ENTRY_INFO
  u64 handle, handle_count, pointer_count;
  u32 granted_access, type_index, attributes, reserved;
};
static_assert(sizeof(ProcessHandleEntry) == 40);

}  // namespace vitrine::abi
