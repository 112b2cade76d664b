// Access rights of processes, threads and tokens, and what the generic ones stand for. [winnt.h; facts 10.3]
#pragma once

#include "se/access.h"

namespace vitrine::ps {

namespace process_access {
inline constexpr u32 kTerminate = 0x1, kCreateThread = 0x2, kSetSessionId = 0x4, kVmOperation = 0x8, kVmRead = 0x10,
                     kVmWrite = 0x20, kDuplicateHandle = 0x40, kCreateProcess = 0x80, kSetQuota = 0x100,
                     kSetInformation = 0x200, kQueryInformation = 0x400, kSuspendResume = 0x800,
                     kQueryLimitedInformation = 0x1000, kAll = 0x1F'FFFF;
}
namespace thread_access {
inline constexpr u32 kTerminate = 0x1, kSuspendResume = 0x2, kAlert = 0x4, kGetContext = 0x8, kSetContext = 0x10,
                     kSetInformation = 0x20, kQueryInformation = 0x40, kSetThreadToken = 0x80, kImpersonate = 0x100,
                     kDirectImpersonation = 0x200, kSetLimitedInformation = 0x400, kQueryLimitedInformation = 0x800,
                     kAll = 0x1F'FFFF;
}
namespace token_access {
inline constexpr u32 kAssignPrimary = 0x1, kDuplicate = 0x2, kImpersonate = 0x4, kQuery = 0x8, kQuerySource = 0x10,
                     kAdjustPrivileges = 0x20, kAdjustGroups = 0x40, kAdjustDefault = 0x80, kAdjustSessionId = 0x100,
                     kAll = 0xF'01FF;
}

// read, write, execute, all: as the types' GENERIC_MAPPINGs [wdm.h; WI6 ch. 6].
inline constexpr se::GenericMapping kProcessMapping{0x2'0410, 0x2'0BEA, 0x12'1001, process_access::kAll};
inline constexpr se::GenericMapping kThreadMapping{0x2'0048, 0x2'0437, 0x12'0800, thread_access::kAll};
inline constexpr se::GenericMapping kTokenMapping{0x2'0008, 0x2'00E0, 0x2'0004, token_access::kAll};

}  // namespace vitrine::ps
