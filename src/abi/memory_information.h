// Records and numbers of the virtual-memory and section services as a 64-bit guest passes them. Those that mm itself
// fills are in mm/memory_constants.h. [winnt.h, ntifs.h: public WDK headers]
#pragma once

#include <cstddef>

#include "base/types.h"

namespace vitrine::abi {

// MEMORY_INFORMATION_CLASS; the two of Wine ask for the Unix half of a module.
enum class MemoryInformationClass : u32 {
  basic = 0,
  working_set = 1,
  mapped_file_name = 2,
  region = 3,
  working_set_ex = 4,
  wine_unix_functions = 1000,
  wine_unix_wow64_functions = 1001,
};

struct MemoryRegionInformation {  // MEMORY_REGION_INFORMATION
  Va allocation_base;
  u32 allocation_protect;
  u32 region_type;  // memory_region::
  u64 region_size;
  u64 commit_size;
  u64 partition_id;
  u64 node_preference;
};
static_assert(sizeof(MemoryRegionInformation) == 48);
inline constexpr u32 kMemoryRegionFirstForm = offsetof(MemoryRegionInformation, commit_size);  // before Windows 8.1

namespace memory_region {
inline constexpr u32 kPrivate = 1, kMappedDataFile = 2, kMappedImage = 4, kMappedPageFile = 8, kMappedPhysical = 16;
}

struct MemoryWorkingSetExInformation {  // MEMORY_WORKING_SET_EX_INFORMATION
  Va virtual_address;
  u64 attributes;  // working_set_ex::
};
static_assert(sizeof(MemoryWorkingSetExInformation) == 16);

namespace working_set_ex {
inline constexpr u64 kValid = 1;
inline constexpr u32 kShareCountShift = 1;       // 3 bits
inline constexpr u32 kWin32ProtectionShift = 4;  // 11 bits
inline constexpr u64 kShared = 1ull << 15;
}  // namespace working_set_ex

struct MemExtendedParameter {  // MEM_EXTENDED_PARAMETER
  u64 type_and_reserved;       // type in the low 8 bits
  u64 value;
};
static_assert(sizeof(MemExtendedParameter) == 16);
enum class MemExtendedParameterType : u8 {
  invalid = 0,
  address_requirements,
  numa_node,
  partition_handle,
  user_physical_handle,
  attribute_flags,
  maximum,
};

struct MemAddressRequirements {  // MEM_ADDRESS_REQUIREMENTS
  Va lowest_starting_address;
  Va highest_ending_address;  // inclusive
  u64 alignment;              // bytes
};
static_assert(sizeof(MemAddressRequirements) == 24);

struct MemoryRangeEntry {  // MEMORY_RANGE_ENTRY
  Va virtual_address;
  u64 number_of_bytes;
};

// VIRTUAL_MEMORY_INFORMATION_CLASS
enum class VirtualMemoryInformationClass : u32 { prefetch = 0, page_priority = 1, cfg_call_target = 2 };

// Placeholder bits of allocation and free types. [winnt.h, Windows 10 1803]
inline constexpr u32 kMemReplacePlaceholder = 0x4000, kMemReservePlaceholder = 0x40000;
inline constexpr u32 kMemCoalescePlaceholders = 0x1, kMemPreservePlaceholder = 0x2;

}  // namespace vitrine::abi
