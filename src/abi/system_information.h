// SYSTEM_INFORMATION_CLASS and its records as a 64-bit guest lays them out. [winternl.h; public symbols; the names of
// the fields as in "Windows NT/2000 Native API Reference", Nebbett]
#pragma once

#include <array>

#include "abi/strings.h"
#include "abi/thread_information.h"

namespace vitrine::abi {

enum class SystemInformationClass : u32 {
  basic = 0,
  processor = 1,
  performance = 2,
  time_of_day = 3,
  process = 5,
  processor_performance = 8,
  module = 11,
  handle = 16,
  file_cache = 21,
  interrupt = 23,
  time_adjustment = 28,
  kernel_debugger = 35,
  registry_quota = 37,
  current_time_zone = 44,
  extended_process = 57,
  shared_data_alignment = 58,
  emulation_basic = 62,
  emulation_processor = 63,
  extended_handle = 64,
  logical_processor = 73,
  firmware_table = 76,
  dynamic_time_zone = 102,
  code_integrity = 103,
  logical_processor_ex = 107,
  native_basic = 114,
  kernel_debugger_ex = 149,
  cpu_set = 175,
  supported_architectures = 181,
  wine_version = 1000,
};

struct SystemBasicInformation {
  u32 reserved;
  u32 timer_resolution;  // 100 ns: the clock interval
  u32 page_size, physical_pages, lowest_physical_page, highest_physical_page;
  u64 allocation_granularity;
  Va lowest_user_address, highest_user_address;
  u64 active_processors;
  u8 processor_count;
  std::array<u8, 7> padding;
};
static_assert(sizeof(SystemBasicInformation) == 64);

struct SystemProcessorInformation {
  u16 architecture, level, revision, maximum_processors;
  u32 feature_bits;
};
static_assert(sizeof(SystemProcessorInformation) == 12);
inline constexpr u16 kArchitectureIntel = 0, kArchitectureAmd64 = 9;  // PROCESSOR_ARCHITECTURE_*

struct SystemPerformanceInformation {
  i64 idle_time, read_transfer_count, write_transfer_count, other_transfer_count;
  u32 read_operations, write_operations, other_operations;
  u32 available_pages, committed_pages, commit_limit, peak_commitment, page_faults, copy_on_write_faults,
      transition_faults;
  u32 cache_transition_faults, demand_zero_faults, pages_read, page_read_ios, cache_reads, cache_ios;
  u32 dirty_pages_written, dirty_write_ios, mapped_pages_written, mapped_write_ios;
  u32 paged_pool_pages, nonpaged_pool_pages, paged_pool_allocations, paged_pool_frees, nonpaged_pool_allocations,
      nonpaged_pool_frees;
  u32 free_system_ptes;
  std::array<u32, 5> system_code;
  u32 available_paged_pool_pages;
  std::array<u32, 21> resident_and_cache;
  u32 copy_read_wait, copy_read_no_wait_miss, copy_read_wait_miss;  // CcCopyReadXxx
  std::array<u32, 9> cache_writing;
  u32 context_switches, first_level_tb_fills, second_level_tb_fills, system_calls;
};
static_assert(sizeof(SystemPerformanceInformation) == 312);

struct SystemTimeOfDayInformation {
  i64 boot_time, current_time, time_zone_bias;  // 100 ns; FILETIMEs
  u32 time_zone_id, reserved;
  u64 boot_time_bias, sleep_time_bias;
};
static_assert(sizeof(SystemTimeOfDayInformation) == 48);

struct SystemVmCounters {  // VM_COUNTERS_EX, bytes
  u64 peak_virtual_size, virtual_size;
  u32 page_fault_count, padding;
  u64 peak_working_set_size, working_set_size;
  u64 peak_paged_pool, paged_pool, peak_nonpaged_pool, nonpaged_pool;
  u64 pagefile_usage, peak_pagefile_usage, private_usage;
};
static_assert(sizeof(SystemVmCounters) == 96);

struct SystemProcessInformation {
  u32 next_entry_offset, thread_count;
  i64 private_working_set_size;  // bytes
  u32 hard_fault_count, peak_thread_count;
  u64 cycle_time;
  i64 create_time, user_time, kernel_time;  // 100 ns
  UnicodeString image_name;
  u32 base_priority, padding;
  u64 process_id, parent_process_id;
  u32 handle_count, session_id;
  u64 unique_key;
  SystemVmCounters memory;
  std::array<u64, 6> io_counters;
};
static_assert(sizeof(SystemProcessInformation) == 0x100);

struct SystemThreadInformation {
  i64 kernel_time, user_time, create_time;  // 100 ns
  u32 wait_time, padding;
  Va start_address;
  ClientId client_id;
  u32 priority, base_priority, context_switches, state, wait_reason, padding2;
};
static_assert(sizeof(SystemThreadInformation) == 0x50);

struct SystemExtendedThreadInformation {
  SystemThreadInformation thread;
  Va stack_base, stack_limit;  // of the kernel stack
  Va win32_start_address, teb_base;
  std::array<u64, 3> reserved;
};
static_assert(sizeof(SystemExtendedThreadInformation) == 0x88);

struct SystemProcessorPerformanceInformation {
  i64 idle_time, kernel_time, user_time, dpc_time, interrupt_time;  // 100 ns; kernel time includes idle time
  u32 interrupt_count, padding;
};
static_assert(sizeof(SystemProcessorPerformanceInformation) == 48);

struct SystemModule {  // RTL_PROCESS_MODULE_INFORMATION
  u64 section;
  Va mapped_base, image_base;
  u32 image_size, flags;
  u16 load_order, init_order, load_count, name_offset;
  std::array<char, 256> name;
};
static_assert(sizeof(SystemModule) == 296);

struct SystemHandleEntry {
  u32 process_id;
  u8 type_index, attributes;
  u16 handle;
  Va object;
  u32 granted_access, padding;
};
static_assert(sizeof(SystemHandleEntry) == 24);
struct SystemHandleEntryEx {
  Va object;
  u64 process_id, handle;
  u32 granted_access;
  u16 creator_back_trace, type_index;
  u32 attributes, reserved;
};
static_assert(sizeof(SystemHandleEntryEx) == 40);

struct SystemCacheInformation {
  u64 current_size, peak_size;  // bytes
  u32 page_faults, padding;
  u64 minimum_working_set, maximum_working_set;  // pages
  u64 current_size_with_transition, peak_size_with_transition;
  u32 repurposed, flags;
};
static_assert(sizeof(SystemCacheInformation) == 64);

inline constexpr u32 kInterruptInformationBytes = 24;  // SYSTEM_INTERRUPT_INFORMATION, per processor

struct SystemTimeAdjustment {
  u32 adjustment, increment;  // 100 ns
  u8 disabled;
  std::array<u8, 3> padding;
};
static_assert(sizeof(SystemTimeAdjustment) == 12);

struct SystemRegistryQuota {
  u32 allowed, used;  // bytes
  u64 paged_pool_size;
};

struct TimeZoneInformation {  // RTL_DYNAMIC_TIME_ZONE_INFORMATION; the older form ends after daylight_bias
  i32 bias;                   // minutes
  std::array<char16_t, 32> standard_name;
  std::array<u16, 8> standard_date;
  i32 standard_bias;
  std::array<char16_t, 32> daylight_name;
  std::array<u16, 8> daylight_date;
  i32 daylight_bias;
  std::array<char16_t, 128> key_name;
  u8 dynamic_daylight_disabled;
  std::array<u8, 3> padding;
};
static_assert(sizeof(TimeZoneInformation) == 432);
inline constexpr u32 kTimeZoneFirstFormBytes = 172;

struct CodeIntegrityInformation {
  u32 length, options;
};
inline constexpr u32 kCodeIntegrityEnabled = 1;

// Processor topology.
enum class ProcessorRelation : u32 { core, numa_node, cache, package, group, all = 0xFFFF };
struct CacheDescriptor {
  u8 level, associativity;
  u16 line_size;
  u32 size;  // bytes
  u32 type;  // 0 unified, 1 instruction, 2 data
};
static_assert(sizeof(CacheDescriptor) == 12);
struct LogicalProcessor {  // SYSTEM_LOGICAL_PROCESSOR_INFORMATION
  u64 mask;
  u32 relation, padding;
  std::array<u8, 16> detail;  // core and node: a number first; cache: CacheDescriptor
};
static_assert(sizeof(LogicalProcessor) == 32);
struct RelationHeader {
  u32 relation, size;
};
struct ProcessorRelationship {
  u8 flags, efficiency_class;
  std::array<u8, 20> reserved;
  u16 group_count;
  GroupAffinity affinity;
};
static_assert(sizeof(ProcessorRelationship) == 40);
struct NumaNodeRelationship {
  u32 node;
  std::array<u8, 20> reserved;
  GroupAffinity affinity;
};
static_assert(sizeof(NumaNodeRelationship) == 40);
struct CacheRelationship {
  CacheDescriptor cache;
  std::array<u8, 20> reserved;
  GroupAffinity affinity;
};
static_assert(sizeof(CacheRelationship) == 48);
struct GroupRelationship {
  u16 maximum_groups, active_groups;
  std::array<u8, 20> reserved;
  u8 maximum_processors, active_processors;
  std::array<u8, 38> reserved2;
  u64 mask;
};
static_assert(sizeof(GroupRelationship) == 72);
struct CpuSetInformation {
  u32 size, type, id;
  u16 group;
  u8 logical_processor, core, last_level_cache, numa_node, efficiency_class, flags;
  u32 scheduling_class;
  u64 allocation_tag;
};
static_assert(sizeof(CpuSetInformation) == 32);
inline constexpr u32 kFirstCpuSetId = 0x100;

inline constexpr u16 kMachineAmd64 = 0x8664;  // IMAGE_FILE_MACHINE_AMD64

}  // namespace vitrine::abi
