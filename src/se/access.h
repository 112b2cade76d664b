// Access masks: standard and generic rights, and the mapping of generic rights per object type. [winnt.h]
#pragma once

#include "base/types.h"
#include "ke/types.h"

namespace vitrine::se {

// Of the caller: kernel callers skip probing and access checks [facts 10.2].
using ke::Mode;

namespace access {
inline constexpr u32 kDelete = 0x0001'0000;
inline constexpr u32 kReadControl = 0x0002'0000;
inline constexpr u32 kWriteDac = 0x0004'0000;
inline constexpr u32 kWriteOwner = 0x0008'0000;
inline constexpr u32 kSynchronize = 0x0010'0000;
inline constexpr u32 kStandardRightsRequired = 0x000F'0000;
inline constexpr u32 kStandardRightsAll = 0x001F'0000;
inline constexpr u32 kSpecificRightsAll = 0x0000'FFFF;
inline constexpr u32 kAccessSystemSecurity = 0x0100'0000;
inline constexpr u32 kMaximumAllowed = 0x0200'0000;
inline constexpr u32 kGenericAll = 0x1000'0000;
inline constexpr u32 kGenericExecute = 0x2000'0000;
inline constexpr u32 kGenericWrite = 0x4000'0000;
inline constexpr u32 kGenericRead = 0x8000'0000;
inline constexpr u32 kGenericBits = 0xF000'0000;
}  // namespace access

struct GenericMapping {
  u32 read, write, execute, all;
};

// RtlMapGenericMask: generic bits become the type's specific ones; the others stay.
[[nodiscard]] constexpr u32 map_generic(u32 mask, const GenericMapping& mapping) {
  if ((mask & access::kGenericRead) != 0) mask |= mapping.read;
  if ((mask & access::kGenericWrite) != 0) mask |= mapping.write;
  if ((mask & access::kGenericExecute) != 0) mask |= mapping.execute;
  if ((mask & access::kGenericAll) != 0) mask |= mapping.all;
  return mask & ~access::kGenericBits;
}

}  // namespace vitrine::se
