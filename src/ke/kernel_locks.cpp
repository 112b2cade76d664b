#include "ke/kernel_locks.h"

#include "base/check.h"

namespace vitrine::ke {

bool try_acquire_fast_mutex(Thread& thread, FastMutex& mutex) {
  VITRINE_CHECK(mutex.owner != &thread && !thread.at_apc_level);
  if (mutex.count != 1) return false;
  mutex.count = 0;
  mutex.owner = &thread;
  thread.at_apc_level = true;
  return true;
}

// NT: ExAcquireFastMutex raises to APC_LEVEL first: the wait is not interrupted by kernel APCs [WDK].
Task<Status> acquire_fast_mutex(Kernel* kernel, Thread* thread, FastMutex* mutex) {
  VITRINE_CHECK(mutex->owner != thread && !thread->at_apc_level && kernel->irql() < Irql::dispatch);
  thread->at_apc_level = true;
  if (--mutex->count < 0) {
    ++mutex->contention;
    const WaitParameters parameters{WaitReason::wr_fast_mutex, Mode::kernel, false, std::nullopt};
    const Status status = co_await kernel->wait_single(thread, &mutex->event.header, parameters);
    if (status != Status::success) {
      ++mutex->count;
      thread->at_apc_level = false;
      co_return status;
    }
  }
  mutex->owner = thread;
  co_return Status::success;
}

// NT: the event is set with KeSetEventBoostPriority: the next owner is not to wait behind its lesser priority
// [facts 6.5].
void release_fast_mutex(Kernel& kernel, Thread& thread, FastMutex& mutex) {
  VITRINE_CHECK(mutex.owner == &thread && thread.at_apc_level);
  mutex.owner = nullptr;
  if (++mutex.count <= 0) kernel.set_event_boost_priority(mutex.event);
  thread.at_apc_level = false;
}

bool try_acquire_guarded_mutex(Kernel& kernel, Thread& thread, GuardedMutex& mutex) {
  VITRINE_CHECK(mutex.owner != &thread);
  if (mutex.locked) return false;
  kernel.enter_guarded_region(thread);
  mutex.locked = true;
  mutex.owner = &thread;
  return true;
}

Task<Status> acquire_guarded_mutex(Kernel* kernel, Thread* thread, GuardedMutex* mutex) {
  VITRINE_CHECK(mutex->owner != thread && kernel->irql() < Irql::dispatch);
  kernel->enter_guarded_region(*thread);
  bool woken = false;
  while (mutex->locked) {
    if (!woken) ++mutex->contention;
    ++mutex->waiters;
    if (woken) mutex->waiter_woken = false;
    const Status status = co_await kernel->wait_gate(thread, &mutex->gate);
    if (status != Status::success) {
      --mutex->waiters;
      kernel->leave_guarded_region(*thread);
      co_return status;
    }
    woken = true;
  }
  if (woken) mutex->waiter_woken = false;
  mutex->locked = true;
  mutex->owner = thread;
  co_return Status::success;
}

void release_guarded_mutex(Kernel& kernel, Thread& thread, GuardedMutex& mutex) {
  VITRINE_CHECK(mutex.owner == &thread);
  mutex.owner = nullptr;
  mutex.locked = false;
  if (mutex.waiters > 0 && !mutex.waiter_woken) {
    --mutex.waiters;
    mutex.waiter_woken = true;
    kernel.signal_gate(mutex.gate);
  }
  kernel.leave_guarded_region(thread);
}

}  // namespace vitrine::ke
