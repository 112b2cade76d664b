// The numbers of the Win32 and native memory API: page protections, allocation types, section attributes, and the
// records that queries return. Layout only. [public WDK headers: winnt.h, ntddk.h, winternl.h]
#pragma once

#include <cstddef>

#include "base/types.h"

namespace vitrine::mm {

namespace page {  // PAGE_*
inline constexpr u32 kNoAccess = 0x01, kReadOnly = 0x02, kReadWrite = 0x04, kWriteCopy = 0x08;
inline constexpr u32 kExecute = 0x10, kExecuteRead = 0x20, kExecuteReadWrite = 0x40, kExecuteWriteCopy = 0x80;
inline constexpr u32 kGuard = 0x100, kNoCache = 0x200, kWriteCombine = 0x400;
}  // namespace page

namespace mem {  // MEM_*
inline constexpr u32 kCommit = 0x1000, kReserve = 0x2000, kDecommit = 0x4000, kRelease = 0x8000, kFree = 0x10000;
inline constexpr u32 kPrivate = 0x20000, kMapped = 0x40000, kReset = 0x80000, kTopDown = 0x100000;
inline constexpr u32 kWriteWatch = 0x200000, kPhysical = 0x400000, kRotate = 0x800000, kImage = 0x1000000;
inline constexpr u32 kResetUndo = 0x1000000, kLargePages = 0x20000000, kDosLimit = 0x40000000;
}  // namespace mem

namespace sec {  // SEC_*
inline constexpr u32 kBased = 0x200000, kNoChange = 0x400000, kFile = 0x800000, kImage = 0x1000000,
                     kReserve = 0x4000000;
inline constexpr u32 kCommit = 0x8000000, kNoCache = 0x10000000, kLargePages = 0x80000000;
}  // namespace sec

// MEMORY_BASIC_INFORMATION, 64-bit.
struct MemoryBasicInformation {
  Va base_address = 0;
  Va allocation_base = 0;
  u32 allocation_protect = 0;
  u16 partition_id = 0;
  u16 reserved = 0;
  u64 region_size = 0;
  u32 state = 0;
  u32 protect = 0;
  u32 type = 0;
  u32 reserved2 = 0;
};
static_assert(sizeof(MemoryBasicInformation) == 48 && offsetof(MemoryBasicInformation, state) == 32);

// SECTION_BASIC_INFORMATION, 64-bit.
struct SectionBasicInformation {
  Va base_address = 0;
  u32 allocation_attributes = 0;
  u32 reserved = 0;
  u64 maximum_size = 0;
};
static_assert(sizeof(SectionBasicInformation) == 24);

// SECTION_IMAGE_INFORMATION, 64-bit.
struct SectionImageInformation {
  Va transfer_address = 0;
  u32 zero_bits = 0;
  u32 reserved = 0;
  u64 maximum_stack_size = 0;
  u64 committed_stack_size = 0;
  u32 subsystem_type = 0;
  u16 subsystem_minor = 0, subsystem_major = 0;
  u16 os_major = 0, os_minor = 0;
  u16 image_characteristics = 0;
  u16 dll_characteristics = 0;
  u16 machine = 0;
  u8 contains_code = 0;
  u8 image_flags = 0;
  u32 loader_flags = 0;
  u32 image_file_size = 0;
  u32 checksum = 0;
};
static_assert(sizeof(SectionImageInformation) == 64 && offsetof(SectionImageInformation, machine) == 48);

inline constexpr u64 kAllocationGranularity = 64 * 1024;  // NT: MM_ALLOCATION_GRANULARITY
inline constexpr u64 kGranulePages = kAllocationGranularity / kPageSize;

}  // namespace vitrine::mm
