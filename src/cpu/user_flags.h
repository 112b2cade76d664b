// Bits of RFLAGS that user mode can change and a context does not restore by itself.
#pragma once

#include "cpu/context.h"

namespace vitrine::cpu {

inline constexpr u64 kRflagsResume = 1u << 16;  // RF: the next instruction meets no execution breakpoint
inline constexpr u64 kRflagsNested = 1u << 14;  // NT
// What POPF and IRET set: kUserRflagsMask, NT and ID.
inline constexpr u64 kPoppedRflags = kUserRflagsMask | kRflagsNested | 1u << 21;

}  // namespace vitrine::cpu
