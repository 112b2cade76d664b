// Where a thread begins, as NT's lists of threads say it.
#pragma once

#include "ps/process.h"

namespace vitrine::ps {

// NT: ETHREAD.StartAddress: where user mode begins. That is RtlUserThreadStart for every thread of a program since 6.0; the
// routine that the program named is Win32StartAddress. "This address will be the same for most threads" [WI5 table 5-12].
[[nodiscard]] inline Va start_address_of(const Thread& thread) {
  const Va common = thread.process->entry_points.rtl_user_thread_start;
  return common != 0 ? common : thread.start_address;
}

}  // namespace vitrine::ps
