// What a thread waits for in user mode: an address (RtlWaitOnAddress, critical sections, SRW locks, condition
// variables), and, when that address is part of a critical section, who owns it. The kernel knows neither; both are
// read from the thread's own memory.
//
// Wine's ntdll links a waiter's record {list entry; address; thread id} that lies on the waiter's stack; a record
// counts only if its neighbours in the list point back to it. A critical section counts only if its debug information
// points back to it, or (without one) if its semaphore is the handle that is waited for, and if its owner is a live
// thread of the process. [seen in Wine 8.0's user mode; RTL_CRITICAL_SECTION: winnt.h]
#pragma once

#include <optional>

#include "kd/target.h"

namespace vitrine::kd {

struct CriticalSection {
  Va address = 0;
  const ps::Thread* owner = nullptr;  // a live thread
  u32 recursion = 0;
};

struct UserWait {
  std::optional<Va> address;               // that a WaitOnAddress wait is for
  std::optional<CriticalSection> section;  // that it belongs to
};

// Precondition: the thread waits and has entered user mode.
[[nodiscard]] UserWait find_user_wait(const Target& target, const ps::Thread& thread);

}  // namespace vitrine::kd
