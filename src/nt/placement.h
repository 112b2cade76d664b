// Placement: where memory without an address of the caller's may lie, beyond what zero bits can say: the MEM_EXTENDED_PARAMETERs
// of NtAllocateVirtualMemoryEx and NtMapViewOfSectionEx.
#pragma once

#include "abi/memory_information.h"
#include "nt/capture.h"

namespace vitrine::nt {

struct Placement {
  Va floor = 0;
  Va ceiling = 0;  // exclusive; 0: the end of user space
  u64 alignment = mm::kAllocationGranularity;
  [[nodiscard]] bool is_anywhere() const { return floor == 0 && ceiling == 0 && alignment == mm::kAllocationGranularity; }
};

// Errors: invalid_parameter (unknown or repeated kinds, alignments and limits that NT refuses, requirements together with an
// address), not_supported (partitions and physical memory other than the system's), access_violation.
[[nodiscard]] Result<Placement> capture_placement(Call call, UserPtr<abi::MemExtendedParameter> parameters, u32 count, bool has_base);

// The base of a free range of `bytes` there. Error: no_memory. Precondition: bytes is not 0 and fits into user space.
[[nodiscard]] Result<Va> find_place(const mm::AddressSpace& space, u64 bytes, const Placement& placement, bool top_down);

}  // namespace vitrine::nt
