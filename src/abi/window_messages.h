// What a program sees of message queues: MSG, the QS_ bits, the flags of the calls that wait. [winuser.h]
#pragma once

#include "base/types.h"

namespace vitrine::abi {

struct Message {  // MSG
  u64 window;
  u32 message;
  u32 padding;
  u64 wparam, lparam;
  u32 time;  // GetTickCount
  i32 x, y;  // of the pointer, which nobody moves
  u32 reserved;
};
static_assert(sizeof(Message) == 48);

inline constexpr u32 kWmQuit = 0x12, kWmTimer = 0x113;

namespace queue_status {  // QS_
inline constexpr u32 kPostMessage = 0x8, kTimer = 0x10, kAllPostMessage = 0x100;
inline constexpr u32 kAllInput = 0x4FF, kValid = 0x1FFF;
}  // namespace queue_status

namespace peek {  // PM_
inline constexpr u32 kRemove = 1;
inline constexpr u32 kStatusShift = 16;  // PM_QS_: which kinds of message, as QS_ bits; none: all
}  // namespace peek

namespace message_wait {  // MWMO_
inline constexpr u32 kWaitAll = 1, kAlertable = 2, kInputAvailable = 4, kValid = 7;
}  // namespace message_wait

namespace user_object {  // UOI_ and USEROBJECTFLAGS
inline constexpr u32 kFlags = 1, kName = 2, kType = 3, kUserSid = 4;
struct Flags {
  u32 inherit, reserved, flags;
};
inline constexpr u32 kStationVisible = 1;  // WSF_VISIBLE
}  // namespace user_object

// Errors that a GUI service leaves in TEB.LastErrorValue. [winerror.h]
namespace win32_error {
inline constexpr u32 kInvalidHandle = 6, kInvalidParameter = 87, kCallNotImplemented = 120, kInsufficientBuffer = 122,
                     kNoAccess = 998, kInvalidFlags = 1004, kInvalidWindowHandle = 1400, kInvalidThreadId = 1444,
                     kNotEnoughQuota = 1816;
}  // namespace win32_error

}  // namespace vitrine::abi
