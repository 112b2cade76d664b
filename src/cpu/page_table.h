// The x64 four-level page-table format, as the processor reads it. Knows nothing of NT: every entry whose present bit
// is clear is opaque here (mm's software forms live in those). Source: Intel SDM vol. 3A ch. 4.5, AMD APM vol. 2
// ch. 5.3.
#pragma once

#include "base/types.h"

namespace vitrine::cpu {

namespace pte {
inline constexpr u64 kPresent = 1ull << 0;
inline constexpr u64 kWrite = 1ull << 1;
inline constexpr u64 kUser = 1ull << 2;
inline constexpr u64 kAccessed = 1ull << 5;
inline constexpr u64 kDirty = 1ull << 6;
inline constexpr u64 kLarge = 1ull << 7;
inline constexpr u64 kNoExecute = 1ull << 63;
inline constexpr u64 kFrameMask = 0x000F'FFFF'FFFF'F000ull;
[[nodiscard]] constexpr Pfn frame(u64 entry) { return Pfn{(entry & kFrameMask) >> kPageShift}; }
}  // namespace pte

// Page-fault error code bits, as the hardware pushes them (SDM vol. 3A 4.7).
namespace page_fault {
inline constexpr u32 kProtection = 1u << 0;  // set: a present page refused; clear: not present
inline constexpr u32 kWrite = 1u << 1;
inline constexpr u32 kUser = 1u << 2;
inline constexpr u32 kFetch = 1u << 4;
}  // namespace page_fault

// Exception vectors (SDM vol. 3A table 6-1).
enum class Vector : u8 {
  divide_error = 0,
  debug = 1,
  breakpoint = 3,
  overflow = 4,
  bound = 5,
  invalid_opcode = 6,
  device_not_available = 7,
  double_fault = 8,
  stack_fault = 12,
  general_protection = 13,
  page_fault = 14,
  x87_error = 16,
  alignment_check = 17,
  simd_error = 19,
  // Software interrupt `int n` that is none of the above: `Exit::error_code` holds n.
  software_interrupt = 255,
};

}  // namespace vitrine::cpu
