// The kernel's own mutexes that are no dispatcher objects. Neither may be taken twice by one thread; both are for
// kernel mode and wait without timeout, not alertable [WDK].
//
//   FastMutex     count and event; its owner runs at APC_LEVEL. The releaser hands it to the first waiter, with the
//   lock boost. GuardedMutex  count and gate (5.2 SP1 and later); its owner is in a guarded region. A release wakes one
//   waiter, which must
//                 compete again: a thread that comes by meanwhile may take it [ROS].
#pragma once

#include "base/task.h"
#include "ke/dispatcher_object.h"
#include "ke/kernel.h"

namespace vitrine::ke {

struct FastMutex {
  i32 count = 1;  // 1 free; 0 owned; -n owned with n waiters
  Thread* owner = nullptr;
  u32 contention = 0;  // acquisitions that had to wait
  Event event{EventKind::synchronization};
};

struct GuardedMutex {
  bool locked = false;
  bool waiter_woken = false;  // one has been let out of the gate and has not run yet: no second one is
  u32 waiters = 0;            // at the gate
  Thread* owner = nullptr;
  u32 contention = 0;
  Gate gate;
};

// success; or, without the mutex, the status with which the wait was aborted from outside.
Task<Status> acquire_fast_mutex(Kernel* kernel, Thread* thread, FastMutex* mutex);
bool try_acquire_fast_mutex(Thread& thread, FastMutex& mutex);
void release_fast_mutex(Kernel& kernel, Thread& thread, FastMutex& mutex);

Task<Status> acquire_guarded_mutex(Kernel* kernel, Thread* thread, GuardedMutex* mutex);
bool try_acquire_guarded_mutex(Kernel& kernel, Thread& thread, GuardedMutex& mutex);
void release_guarded_mutex(Kernel& kernel, Thread& thread, GuardedMutex& mutex);

}  // namespace vitrine::ke
