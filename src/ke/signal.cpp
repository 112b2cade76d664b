// Signalling: what each kind of object does to its waiters [facts 7.2].
#include <utility>

#include "base/check.h"
#include "ke/kernel.h"

namespace vitrine::ke {
namespace {

Mutant& as_mutant(DispatcherHeader& header) { return *reinterpret_cast<Mutant*>(&header); }
const Mutant& as_mutant(const DispatcherHeader& header) { return *reinterpret_cast<const Mutant*>(&header); }

// The wait key: the block's place among the wait's objects.
u32 index_of(const WaitBlock& block) { return static_cast<u32>(&block - block.thread->wait_block_list); }

}  // namespace

void Kernel::consume(DispatcherHeader& object) {
  switch (object.type) {
    case DispatcherType::synchronization_event:
    case DispatcherType::synchronization_timer:
      object.signal_state = 0;
      return;
    case DispatcherType::semaphore:
      --object.signal_state;
      return;
    default:
      return;  // stays signalled
  }
}

bool Kernel::satisfiable(const DispatcherHeader& object, const Thread& thread) {
  if (object.type == DispatcherType::mutant && as_mutant(object).owner == &thread) return true;
  return object.signal_state > 0;
}

// NT: KiWaitSatisfyOther and KiWaitSatisfyMutant.
bool Kernel::satisfy(DispatcherHeader& object, Thread& thread) {
  if (object.type != DispatcherType::mutant) {
    consume(object);
    return false;
  }
  Mutant& mutant = as_mutant(object);
  --object.signal_state;
  if (object.signal_state != 0) return false;  // acquired again by its owner
  mutant.owner = &thread;
  thread.mutants.push_back(mutant);
  if (mutant.disables_kernel_apcs) --thread.kernel_apc_disable;
  return std::exchange(mutant.abandoned, false);
}

// NT: KiWaitTest. First come, first served; a waiter for all objects is passed over until all of them are signalled.
// The caller ends with exit_dispatcher().
void Kernel::signal(DispatcherHeader& header, i8 increment) {
  IntrusiveList<WaitBlock, &WaitBlock::link> notified;  // their entries wake threads that may wait here as well: afterwards
  WaitBlock* block = header.waiters.front();
  while (block != nullptr && header.signal_state > 0) {
    if (block->thread == nullptr) {
      WaitBlock& notification = *block;
      block = header.waiters.next(notification);
      consume(header);
      notification.link.unlink();
      notified.push_back(notification);
      continue;
    }
    Thread& thread = *block->thread;
    // Waking unlinks all blocks of the thread, so the next one looked at is another thread's.
    WaitBlock* following = header.waiters.next(*block);
    while (following != nullptr && following->thread == &thread) following = header.waiters.next(*following);
    if (header.type == DispatcherType::queue && thread.wait_reason == WaitReason::wr_queue) {
      block = following;  // served by the queue's own rules
      continue;
    }
    if (thread.wait_type == WaitType::any) {
      const u32 index = index_of(*block);
      const bool abandoned = satisfy(header, thread);
      unwait(thread,
             static_cast<Status>(static_cast<u32>(abandoned ? Status::abandoned_wait_0 : Status::success) + index),
             increment);
    } else {
      bool all = true;
      for (u32 i = 0; all && i < thread.wait_count; ++i) all = satisfiable(*thread.wait_block_list[i].object, thread);
      if (all) {
        bool abandoned = false;
        for (u32 i = 0; i < thread.wait_count; ++i) abandoned |= satisfy(*thread.wait_block_list[i].object, thread);
        unwait(thread, abandoned ? Status::abandoned_wait_0 : Status::success, increment);
      }
    }
    block = following;
  }
  while (WaitBlock* first = notified.pop_front()) {
    auto& notification = static_cast<QueueNotification&>(*first);
    put_in_queue(*notification.queue, *notification.notice, false);
  }
}

bool Kernel::notify_queue(QueueNotification& notification, DispatcherHeader& object, Queue& queue, QueueEntry& entry) {
  VITRINE_CHECK(object.type != DispatcherType::mutant && !notification.link.is_linked());
  if (object.signal_state > 0) {
    consume(object);
    insert_queue(queue, entry);
    return true;
  }
  notification.object = &object;
  notification.queue = &queue;
  notification.notice = &entry;
  object.waiters.push_back(notification);
  return false;
}

bool Kernel::cancel_notification(QueueNotification& notification) {
  if (!notification.link.is_linked()) return false;
  notification.link.unlink();
  return true;
}

i32 Kernel::set_event(Event& event, i8 increment) {
  const i32 previous = event.header.signal_state;
  event.header.signal_state = 1;
  if (previous == 0) signal(event.header, increment);
  exit_dispatcher();
  return previous;
}

i32 Kernel::reset_event(Event& event) { return std::exchange(event.header.signal_state, 0); }

i32 Kernel::pulse_event(Event& event, i8 increment) {
  const i32 previous = event.header.signal_state;
  if (previous == 0) {
    event.header.signal_state = 1;
    signal(event.header, increment);
  }
  event.header.signal_state = 0;
  exit_dispatcher();
  return previous;
}

// NT: KeSetEventBoostPriority: a lock's owner lets the first waiter in at no less than its own priority.
i32 Kernel::set_event_boost_priority(Event& event) {
  const i32 previous = event.header.signal_state;
  WaitBlock* block = event.header.waiters.front();
  if (block == nullptr || block->thread == nullptr || event.header.type != DispatcherType::synchronization_event) {
    return set_event(event);
  }
  Thread& waiter = *block->thread;
  const i8 increment = static_cast<i8>(here().current->priority);
  if (waiter.wait_type != WaitType::any) return set_event(event);
  const u32 index = index_of(*block);
  unwait(waiter, static_cast<Status>(index), kIncrementNone);
  if (waiter.state == ThreadState::deferred_ready) {
    waiter.adjust_reason = AdjustReason::boost;
    waiter.adjust_increment = increment;
  }
  exit_dispatcher();
  return previous;
}

Result<i32> Kernel::release_semaphore(Semaphore& semaphore, i32 count, i8 increment) {
  const i32 previous = semaphore.header.signal_state;
  if (count <= 0 || count > semaphore.limit - previous) return Failure(Status::semaphore_limit_exceeded);
  semaphore.header.signal_state = previous + count;
  if (previous == 0) signal(semaphore.header, increment);
  exit_dispatcher();
  return previous;
}

void Kernel::initialize_owned_mutant(Mutant& mutant, Thread& owner) {
  VITRINE_CHECK(mutant.owner == nullptr && mutant.header.signal_state == 1);
  satisfy(mutant.header, owner);
}

Result<i32> Kernel::release_mutant(Mutant& mutant, Thread& thread, bool abandon) {
  const i32 previous = mutant.header.signal_state;
  if (abandon) {
    if (mutant.owner == nullptr) return previous;
    mutant.header.signal_state = 1;
    mutant.abandoned = true;
  } else {
    if (mutant.owner != &thread) return Failure(Status::mutant_not_owned);
    ++mutant.header.signal_state;
  }
  if (mutant.header.signal_state != 1) return previous;
  if (mutant.disables_kernel_apcs) ++mutant.owner->kernel_apc_disable;
  mutant.owner_link.unlink();
  mutant.owner = nullptr;
  signal(mutant.header, kIncrementMutant);
  exit_dispatcher();
  return previous;
}

void Kernel::signal_gate(Gate& gate) {
  WaitBlock* block = gate.header.waiters.front();
  if (block == nullptr) {
    gate.header.signal_state = 1;
    return;
  }
  unwait(*block->thread, Status::success, kIncrementEvent);
  exit_dispatcher();
}

}  // namespace vitrine::ke
