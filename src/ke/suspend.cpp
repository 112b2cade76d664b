// Suspension, freezing and alerts [facts 7.8].
#include "base/check.h"
#include "ke/kernel.h"

namespace vitrine::ke {
namespace {
// The suspend APC has no routines of its own: deliver_kernel_apcs is them.
constexpr ApcOperations kSuspendOperations{nullptr, nullptr, nullptr};
}  // namespace

void Kernel::init_suspend_apc(Thread& thread) {
  init_apc(thread.suspend_apc, thread, ApcKind::normal_kernel, kSuspendOperations, ApcEnvironment::original);
}

// Precondition: the sum of both counts has just become 1. An APC that is still queued from an earlier suspension will
// wait again if the semaphore that its resumption released is taken back.
void Kernel::begin_suspension(Thread& thread) {
  if (!insert_apc(thread.suspend_apc)) --thread.suspend_semaphore.signal_state;
}

void Kernel::release_suspension(Thread& thread) {
  ++thread.suspend_semaphore.signal_state;
  signal(thread.suspend_semaphore, kIncrementNone);
  exit_dispatcher();
}

Result<u32> Kernel::suspend_thread(Thread& thread) {
  const u32 previous = thread.suspend_count;
  if (previous == kMaximumSuspendCount) return Failure(Status::suspend_count_exceeded);
  if (!thread.apc_queueable) return previous;
  ++thread.suspend_count;
  if (previous == 0 && thread.freeze_count == 0) begin_suspension(thread);
  return previous;
}

u32 Kernel::resume_thread(Thread& thread) {
  const u32 previous = thread.suspend_count;
  if (previous == 0) return 0;
  --thread.suspend_count;
  if (thread.suspend_count == 0 && thread.freeze_count == 0) release_suspension(thread);
  return previous;
}

u32 Kernel::force_resume_thread(Thread& thread) {
  const u32 previous = u32{thread.suspend_count} + thread.freeze_count;
  if (previous == 0) return 0;
  thread.suspend_count = 0;
  thread.freeze_count = 0;
  release_suspension(thread);
  return previous;
}

void Kernel::freeze_thread(Thread& thread) {
  if (!thread.apc_queueable || thread.freeze_count == kMaximumSuspendCount) return;
  const bool first = thread.freeze_count == 0 && thread.suspend_count == 0;
  ++thread.freeze_count;
  if (first) begin_suspension(thread);
}

void Kernel::thaw_thread(Thread& thread) {
  if (thread.freeze_count == 0) return;
  --thread.freeze_count;
  if (thread.freeze_count == 0 && thread.suspend_count == 0) release_suspension(thread);
}

void Kernel::freeze_process(Process& process, const Thread* except) {
  for (Thread& thread : process.threads) {
    if (&thread != except) freeze_thread(thread);
  }
}

void Kernel::thaw_process(Process& process) {
  for (Thread& thread : process.threads) thaw_thread(thread);
}

bool Kernel::alert_thread(Thread& thread, Mode mode) {
  const bool previous = mode == Mode::kernel ? thread.alerted_kernel : thread.alerted_user;
  if (previous) return true;
  if (thread.state == ThreadState::waiting && thread.alertable && mode <= thread.wait_mode) {
    unwait(thread, Status::alerted, kIncrementAlert);
    exit_dispatcher();
  } else if (mode == Mode::kernel) {
    thread.alerted_kernel = true;
  } else {
    thread.alerted_user = true;
  }
  return false;
}

u32 Kernel::alert_resume_thread(Thread& thread) {
  alert_thread(thread, Mode::kernel);
  return resume_thread(thread);
}

Status Kernel::test_alert(Thread& thread, Mode mode) {
  const bool alerted = mode == Mode::kernel ? thread.alerted_kernel : thread.alerted_user;
  if (alerted) {
    if (mode == Mode::kernel) {
      thread.alerted_kernel = false;
    } else {
      thread.alerted_user = false;
    }
    return Status::alerted;
  }
  if (mode == Mode::user && !thread.apc_queues.user.empty()) thread.apc_flags.user_apc_pending = true;
  return Status::success;
}

void Kernel::alert_thread_by_id(Thread& thread) {
  if (thread.state == ThreadState::waiting && thread.wait_reason == WaitReason::wr_alert_by_thread_id) {
    unwait(thread, Status::alerted, kIncrementNone);
    exit_dispatcher();
  } else {
    thread.alert_by_id = true;
  }
}

}  // namespace vitrine::ke
