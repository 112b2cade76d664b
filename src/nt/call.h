// Call: who asks for a service. Two pointers, copied into every service coroutine; both outlive it (a thread's object is
// kept alive by the thread's own life).
#pragma once

#include "ps/process.h"
#include "ps/thread.h"

namespace vitrine::nt {

struct Executive;

struct Call {
  Executive* executive;
  ps::Thread* thread;

  [[nodiscard]] Executive* operator->() const { return executive; }
  [[nodiscard]] ps::Process& process() const { return *thread->process; }
  [[nodiscard]] mm::AddressSpace& space() const { return *thread->process->space; }
};

}  // namespace vitrine::nt
