// What our avrt.dll asks of \Device\MMCSS. NT's own requests are not documented; these are the machine's own, buffered,
// for any access.
#pragma once

#include "base/types.h"

namespace vitrine::abi::multimedia_control {

// In: one or two task names, UTF-16, each ended by a NUL; out: u32, the task's index. The open file is the
// registration: its last handle's close ends it.
inline constexpr u32 kJoin = 0x222000;
inline constexpr u32 kSetPriority = 0x222004;          // in: i32, -2 to 2
inline constexpr u32 kQueryResponsiveness = 0x222008;  // out: u32, per cent

}  // namespace vitrine::abi::multimedia_control
