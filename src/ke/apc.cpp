// APC queues and delivery [facts 7.7].
#include "ke/apc.h"

#include "base/check.h"
#include "ke/irql.h"
#include "ke/kernel.h"

namespace vitrine::ke {

void Kernel::init_apc(Apc& apc, Thread& thread, ApcKind kind, const ApcOperations& operations,
                      ApcEnvironment environment) {
  VITRINE_CHECK(!apc.inserted);
  apc.thread = &thread;
  apc.kind = kind;
  apc.operations = &operations;
  apc.environment = environment;
}

// Which of the thread's two states gets it. `insert` means whatever is current when it is inserted.
ApcQueues& Kernel::queues_for(Apc& apc) {
  Thread& thread = *apc.thread;
  if (apc.environment == ApcEnvironment::original && thread.saved_apc_state != nullptr)
    return thread.saved_apc_state->queues;
  return thread.apc_queues;
}

bool Kernel::kernel_apc_deliverable(const Thread& thread) {
  const Apc* first = thread.apc_queues.kernel.front();
  if (first == nullptr || thread.special_apc_disable != 0 || thread.at_apc_level) return false;
  if (first->kind == ApcKind::special_kernel) return true;
  return thread.kernel_apc_disable == 0 && !thread.apc_flags.kernel_apc_in_progress;
}

bool Kernel::insert_apc(Apc& apc, i8 increment) {
  Thread& thread = *apc.thread;
  if (apc.inserted || !thread.apc_queueable) return false;
  ApcQueues& queues = queues_for(apc);
  const bool current = &queues == &thread.apc_queues;
  apc.inserted = true;
  if (apc.kind == ApcKind::user) {
    if (apc.exits_thread) {
      queues.user.push_front(apc);
    } else {
      queues.user.push_back(apc);
    }
    if (current && thread.state == ThreadState::waiting && thread.wait_mode == Mode::user &&
        (thread.alertable || thread.apc_flags.user_apc_pending)) {
      thread.apc_flags.user_apc_pending = true;
      unwait(thread, Status::user_apc, increment);
    }
  } else {
    Apc* normal = nullptr;  // special ones go before the first of these
    if (apc.kind == ApcKind::special_kernel) {
      normal = queues.kernel.front();
      while (normal != nullptr && normal->kind == ApcKind::special_kernel) normal = queues.kernel.next(*normal);
    }
    if (normal != nullptr) {
      queues.kernel.insert_before(*normal, apc);
    } else {
      queues.kernel.push_back(apc);
    }
    (current ? thread.apc_flags : thread.saved_apc_state->flags).kernel_apc_pending = true;
    const bool waiting = thread.state == ThreadState::waiting || thread.state == ThreadState::gate_wait;
    if (current && waiting && kernel_apc_deliverable(thread)) unwait(thread, Status::kernel_apc, increment);
  }
  exit_dispatcher();
  return true;
}

bool Kernel::remove_apc(Apc& apc) {
  if (!apc.inserted) return false;
  apc.link.unlink();
  apc.inserted = false;
  Thread& thread = *apc.thread;
  if (thread.apc_queues.kernel.empty()) thread.apc_flags.kernel_apc_pending = false;
  if (thread.apc_queues.user.empty()) thread.apc_flags.user_apc_pending = false;
  return true;
}

// NT: PsExitSpecialApc's first stage happens in deliver_kernel_apcs: the APC re-queues itself for user mode
// [facts 5.14].
bool Kernel::insert_exit_apc(Apc& apc) {
  VITRINE_CHECK(apc.kind == ApcKind::special_kernel);
  Thread& thread = *apc.thread;
  apc.exits_thread = true;
  if (!insert_apc(apc, kIncrementExitApc)) return false;
  thread.terminating = true;
  force_resume_thread(thread);
  return true;
}

void Kernel::run_kernel_apc(Thread& thread, Apc& apc) {
  apc.link.unlink();
  apc.inserted = false;
  record(trace::EventType::apc_deliver, thread.thread_id, static_cast<u64>(apc.kind));
  if (apc.exits_thread) {
    apc.kind = ApcKind::user;
    thread.apc_flags.user_apc_pending = true;
    if (!insert_apc(apc)) run_down_apc(apc);  // the thread is exiting by itself
    return;
  }
  // The kernel routine may free the APC: everything needed afterwards is read before.
  const ApcOperations& operations = *apc.operations;
  const bool normal = apc.kind == ApcKind::normal_kernel;
  if (normal) thread.apc_flags.kernel_apc_in_progress = true;
  if (operations.kernel_routine != nullptr) {
    const RaisedIrql raised(cpu(thread.next_processor), Irql::apc);
    operations.kernel_routine(*this, apc, nullptr);
  }
  if (!normal) return;
  if (operations.normal_routine != nullptr) operations.normal_routine(*this, thread);
  thread.apc_flags.kernel_apc_in_progress = false;
}

ApcOutcome Kernel::deliver_kernel_apcs(Thread& thread) {
  VITRINE_CHECK(thread.state == ThreadState::running);
  static constexpr WaitParameters kSuspendWait{WaitReason::suspended, Mode::kernel, false, std::nullopt};
  for (;;) {
    if (thread.apc_flags.suspend_wait && thread.wait_status != Status::kernel_apc) {
      // The suspend APC's wait is over, and with it the APC.
      thread.apc_flags.suspend_wait = false;
      thread.apc_flags.kernel_apc_in_progress = false;
    }
    if (kernel_apc_deliverable(thread)) {
      Apc& apc = *thread.apc_queues.kernel.front();
      if (&apc != &thread.suspend_apc) {
        run_kernel_apc(thread, apc);
        continue;
      }
      apc.link.unlink();
      apc.inserted = false;
      record(trace::EventType::apc_deliver, thread.thread_id, static_cast<u64>(apc.kind));
      thread.apc_flags.kernel_apc_in_progress = true;
      thread.apc_flags.suspend_wait = true;
    } else if (!thread.apc_flags.suspend_wait) {
      if (thread.apc_queues.kernel.empty()) thread.apc_flags.kernel_apc_pending = false;
      return ApcOutcome::continues;
    }
    // NT: KiSuspendThread, the normal routine of the suspend APC; entered anew when a special APC interrupted it.
    thread.wait_blocks[0].object = &thread.suspend_semaphore;
    const std::optional<Status> ended =
        begin_wait(thread, thread.wait_blocks, 1, WaitType::any, kSuspendWait, std::nullopt);
    if (!ended) return ApcOutcome::blocked;
    thread.wait_status = *ended;
  }
}

bool Kernel::user_apc_pending(const Thread& thread) const {
  return thread.apc_flags.user_apc_pending && !thread.apc_queues.user.empty();
}

std::optional<UserApcCall> Kernel::take_user_apc(Thread& thread) {
  while (user_apc_pending(thread)) {
    Apc& apc = *thread.apc_queues.user.pop_front();
    apc.inserted = false;
    thread.apc_flags.user_apc_pending = false;
    UserApcCall call;
    if (apc.exits_thread) {
      call.exit_thread = true;
    } else {
      call = static_cast<UserApc&>(apc).call;
    }
    record(trace::EventType::apc_deliver, thread.thread_id, static_cast<u64>(ApcKind::user), call.normal_routine);
    if (apc.operations->kernel_routine != nullptr) apc.operations->kernel_routine(*this, apc, &call);
    if (call.exit_thread || call.normal_routine != 0) return call;
    (void)test_alert(thread, Mode::user);  // NT: a cancelled call lets the next one through
  }
  thread.apc_flags.user_apc_pending = false;
  return std::nullopt;
}

// What its owner is told when an APC is never delivered.
void Kernel::run_down_apc(Apc& apc) {
  if (apc.operations->rundown_routine != nullptr) {
    apc.operations->rundown_routine(*this, apc);
  } else if (apc.operations->kernel_routine != nullptr) {
    UserApcCall discarded;
    apc.operations->kernel_routine(*this, apc, &discarded);
  }
}

// NT: the end of PspExitThread: no more APCs; kernel ones still run, user ones do not [facts 5.14 step 10].
void Kernel::flush_apcs(Thread& thread) {
  thread.apc_queueable = false;
  force_resume_thread(thread);
  remove_apc(thread.suspend_apc);
  while (Apc* apc = thread.apc_queues.kernel.front()) run_kernel_apc(thread, *apc);
  while (Apc* apc = thread.apc_queues.user.pop_front()) {
    apc->inserted = false;
    run_down_apc(*apc);
  }
  thread.apc_flags = {};
}

void Kernel::leave_critical_region(Thread& thread) {
  VITRINE_CHECK(thread.kernel_apc_disable < 0);
  ++thread.kernel_apc_disable;  // what is deliverable now is delivered at the thread's next boundary
}

void Kernel::leave_guarded_region(Thread& thread) {
  VITRINE_CHECK(thread.special_apc_disable < 0);
  ++thread.special_apc_disable;
}

namespace {
void move_queues(ApcQueues& from, ApcQueues& to) {
  while (Apc* apc = from.kernel.pop_front()) to.kernel.push_back(*apc);
  while (Apc* apc = from.user.pop_front()) to.user.push_back(*apc);
}
}  // namespace

// NT: KeStackAttachProcess. One level: an attached thread may not attach again (NT lets it nest by the same means;
// nothing of ours does).
void Kernel::attach_process(Thread& thread, Process& process, SavedApcState& storage) {
  VITRINE_CHECK(thread.saved_apc_state == nullptr);
  move_queues(thread.apc_queues, storage.queues);
  storage.flags = thread.apc_flags;
  storage.attached_process = &process;
  thread.apc_flags = {};
  thread.saved_apc_state = &storage;
}

void Kernel::detach_process(Thread& thread) {
  VITRINE_CHECK(thread.saved_apc_state != nullptr && thread.apc_queues.kernel.empty());
  SavedApcState& storage = *thread.saved_apc_state;
  thread.saved_apc_state = nullptr;
  move_queues(storage.queues, thread.apc_queues);
  thread.apc_flags = storage.flags;
}

}  // namespace vitrine::ke
