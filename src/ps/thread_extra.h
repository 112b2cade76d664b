// ThreadExtra: what few threads ever have, so that the thread record need not hold it: a name, a start address of its
// own choice, an impersonation token. Kept by the process, by thread id; dropped when the thread object goes.
#pragma once

#include <string>

#include "base/task.h"
#include "ps/token.h"

namespace vitrine::ps {

inline constexpr u32 kDefaultPagePriority = 5;  // NT: MEMORY_PRIORITY_NORMAL

struct ThreadExtra {
  std::u16string name;                 // NtSetInformationThread class 38
  Va win32_start_address = 0;          // class 9; 0: the thread's own
  ob::Ref<TokenObject> impersonation;  // class 5; null: none
  u32 execution_state = 0x8000'0000;   // NtSetThreadExecutionState: ES_CONTINUOUS
  u32 page_priority = kDefaultPagePriority;
  Task<Status> routine;                // of a system thread; empty: a thread of user mode
};

}  // namespace vitrine::ps
