// OBJ_ attributes, duplicate options and the access rights of the object manager's own and the synchronisation types.
// [ntdef.h, winnt.h, wdm.h]
#pragma once

#include "base/types.h"

namespace vitrine::abi {

namespace obj {
inline constexpr u32 kInherit = 0x002;
inline constexpr u32 kPermanent = 0x010;
inline constexpr u32 kExclusive = 0x020;
inline constexpr u32 kCaseInsensitive = 0x040;
inline constexpr u32 kOpenIf = 0x080;
inline constexpr u32 kOpenLink = 0x100;
inline constexpr u32 kKernelHandle = 0x200;
inline constexpr u32 kForceAccessCheck = 0x400;
inline constexpr u32 kValidAttributes = 0x7F2;
}  // namespace obj

namespace duplicate {
inline constexpr u32 kCloseSource = 1;
inline constexpr u32 kSameAccess = 2;
inline constexpr u32 kSameAttributes = 4;
}  // namespace duplicate

namespace directory_access {
inline constexpr u32 kQuery = 1, kTraverse = 2, kCreateObject = 4, kCreateSubdirectory = 8, kAll = 0xF'000F;
}
namespace symbolic_link_access {
inline constexpr u32 kQuery = 1, kAll = 0xF'0001;
}
namespace event_access {
inline constexpr u32 kQueryState = 1, kModifyState = 2, kAll = 0x1F'0003;
}
namespace semaphore_access {
inline constexpr u32 kQueryState = 1, kModifyState = 2, kAll = 0x1F'0003;
}
namespace mutant_access {
inline constexpr u32 kQueryState = 1, kAll = 0x1F'0001;
}
namespace timer_access {
inline constexpr u32 kQueryState = 1, kModifyState = 2, kAll = 0x1F'0003;
}
namespace keyed_event_access {
inline constexpr u32 kWait = 1, kWake = 2, kAll = 0xF'0003;
}
namespace key_access {
inline constexpr u32 kQueryValue = 1, kSetValue = 2, kCreateSubKey = 4, kEnumerateSubKeys = 8, kNotify = 0x10,
                     kCreateLink = 0x20, kWow64_64 = 0x100, kWow64_32 = 0x200, kRead = 0x2'0019, kWrite = 0x2'0006,
                     kAll = 0xF'003F;
}

}  // namespace vitrine::abi
