// Queues (KQUEUE) and keyed events [facts 7.5, 7.6].
#include <utility>

#include "base/check.h"
#include "ke/kernel.h"

namespace vitrine::ke {

void Kernel::associate(Thread& thread, Queue& queue) {
  if (thread.queue == nullptr) {
    thread.queue = new QueueAssociation;
    thread.queue->thread = &thread;
  }
  thread.queue->queue = &queue;
  queue.associations.push_back(*thread.queue);
}

// The thread belongs to no queue any more; one that it kept busy may let another thread run.
void Kernel::leave_queue(Thread& thread) {
  if (thread.queue == nullptr) return;
  Queue& queue = *thread.queue->queue;
  thread.queue->link.unlink();
  delete std::exchange(thread.queue, nullptr);
  const bool counted = thread.state == ThreadState::running || thread.state == ThreadState::ready ||
                       thread.state == ThreadState::standby || thread.state == ThreadState::deferred_ready ||
                       thread.state == ThreadState::transition;
  if (counted) activate_queue(queue);
}

WaitBlock* Kernel::last_queue_waiter(Queue& queue) {
  WaitBlock* block = queue.header.waiters.back();
  while (block != nullptr && (block->thread == nullptr || block->thread->wait_reason != WaitReason::wr_queue))
    block = queue.header.waiters.previous(*block);
  return block;
}

// NT: KiActivateWaiterQueue: one of its threads stops running; the most recent waiter gets the oldest entry.
void Kernel::activate_queue(Queue& queue) {
  VITRINE_CHECK(queue.current_count > 0);
  --queue.current_count;
  if (queue.current_count >= queue.maximum_count || queue.entries.empty()) return;
  WaitBlock* block = last_queue_waiter(queue);
  if (block == nullptr) {
    if (queue.unattended != nullptr) queue_dpc(*queue.unattended);
    return;
  }
  QueueEntry* entry = queue.entries.pop_front();
  --queue.header.signal_state;
  Thread& thread = *block->thread;
  unwait(thread, Status::success, kIncrementNone);
  thread.wait_blocks[0].entry = entry;
}

// NT: KiInsertQueue. A thread that has just come out of this queue is expected back for the entry, so no other is
// woken.
void Kernel::put_in_queue(Queue& queue, QueueEntry& entry, bool at_head) {
  const Thread& current = *here().current;
  const bool comes_back =
      current.queue != nullptr && current.queue->queue == &queue && current.wait_reason == WaitReason::wr_queue;
  WaitBlock* block = last_queue_waiter(queue);
  if (block != nullptr && queue.current_count < queue.maximum_count && !comes_back) {
    Thread& thread = *block->thread;
    unwait(thread, Status::success, kIncrementNone);
    thread.wait_blocks[0].entry = &entry;
  } else {
    if (at_head) {
      queue.entries.push_front(entry);
    } else {
      queue.entries.push_back(entry);
    }
    ++queue.header.signal_state;
    signal(queue.header, kIncrementNone);
    const bool attended = block != nullptr || comes_back || queue.current_count >= queue.maximum_count;
    if (!attended && queue.unattended != nullptr) queue_dpc(*queue.unattended);
  }
}

i32 Kernel::insert_queue(Queue& queue, QueueEntry& entry) {
  const i32 previous = queue.header.signal_state;
  put_in_queue(queue, entry, false);
  exit_dispatcher();
  return previous;
}

i32 Kernel::insert_queue_head(Queue& queue, QueueEntry& entry) {
  const i32 previous = queue.header.signal_state;
  put_in_queue(queue, entry, true);
  exit_dispatcher();
  return previous;
}

bool Kernel::remove_queue_entry(Queue& queue, QueueEntry& entry) {
  if (!entry.link.is_linked()) return false;
  entry.link.unlink();
  --queue.header.signal_state;
  return true;
}

std::optional<Result<QueueEntry*>> Kernel::try_remove_queue(Thread& thread, Queue& queue,
                                                            const WaitParameters& parameters) {
  VITRINE_CHECK(thread.state == ThreadState::running);
  if (kernel_apc_deliverable(thread)) return std::nullopt;
  if (queue.rundown) return Result<QueueEntry*>(Failure(Status::abandoned_wait_0));
  if (thread.queue == nullptr || thread.queue->queue != &queue) {
    leave_queue(thread);
    associate(thread, queue);
  } else {
    --queue.current_count;  // it asks for work: it is not working
  }
  std::optional<Result<QueueEntry*>> outcome;
  const std::optional<Ticks> due = due_time(parameters.timeout);
  if (!queue.entries.empty() && queue.current_count < queue.maximum_count) {
    --queue.header.signal_state;
    outcome = queue.entries.pop_front();
  } else if (const auto alerted = check_alerts(thread, parameters)) {
    outcome = Failure(*alerted);
  } else if (due && *due <= interrupt_time()) {
    outcome = Failure(Status::timeout);
  }
  ++queue.current_count;  // it goes on running; the Task takes it back when it really waits
  exit_dispatcher();
  return outcome;
}

Task<Result<QueueEntry*>> Kernel::remove_queue(Thread* thread, Queue* queue, WaitParameters parameters) {
  parameters.reason = WaitReason::wr_queue;
  // The timeout counts from now, however often an APC makes the wait begin anew.
  const std::optional<Ticks> due = due_time(parameters.timeout);
  for (;;) {
    while (deliver_kernel_apcs(*thread) == ApcOutcome::blocked) (void)co_await Block{thread};
    if (const auto outcome = try_remove_queue(*thread, *queue, parameters)) co_return *outcome;
    if (due && *due <= interrupt_time()) co_return Failure(Status::timeout);
    --queue->current_count;
    WaitBlock& block = thread->wait_blocks[0];
    block.object = &queue->header;
    queue->header.waiters.push_back(block);
    thread->wait_block_list = thread->wait_blocks;
    thread->wait_count = 1;
    thread->wait_type = WaitType::any;
    thread->timer.header.absolute = parameters.timeout && parameters.timeout->value >= 0;
    block_thread(*thread, parameters, due, ThreadState::waiting);
    const Status status = co_await Block{thread};
    QueueEntry* const entry = thread->wait_blocks[0].entry;
    while (deliver_kernel_apcs(*thread) == ApcOutcome::blocked) (void)co_await Block{thread};
    if (status == Status::success) co_return entry;
    if (status != Status::kernel_apc) co_return Failure(status);
  }
}

void Kernel::rundown_queue(Queue& queue) {
  queue.rundown = true;
  while (WaitBlock* block = last_queue_waiter(queue)) unwait(*block->thread, Status::abandoned_wait_0, kIncrementNone);
  while (QueueAssociation* association = queue.associations.front()) {
    association->link.unlink();
    association->thread->queue = nullptr;
    delete association;
  }
  queue.current_count = 0;
  exit_dispatcher();
}

// Both sides of a keyed event: whoever finds the other one waiting with the same key frees it and goes on, else blocks.
Task<Status> Kernel::keyed_task(Thread* thread, KeyedEvent* event, u64 key, bool releasing, WaitParameters parameters) {
  if ((key & 1) != 0) co_return Status::invalid_parameter_1;
  parameters.reason = WaitReason::wr_keyed_event;
  const std::optional<Ticks> due = due_time(parameters.timeout);
  const u64 own = key | (releasing ? 1 : 0);
  for (;;) {
    while (deliver_kernel_apcs(*thread) == ApcOutcome::blocked) (void)co_await Block{thread};
    auto& bucket = event->buckets[KeyedEvent::bucket_of(key)];
    WaitBlock* partner = bucket.front();
    while (partner != nullptr && partner->thread->wait_blocks[1].key != (own ^ 1)) partner = bucket.next(*partner);
    if (partner != nullptr) {
      unwait(*partner->thread, Status::success, kIncrementSemaphore);
      exit_dispatcher();
      co_return Status::success;
    }
    if (const auto alerted = check_alerts(*thread, parameters)) co_return *alerted;
    if (due && *due <= interrupt_time()) co_return Status::timeout;
    thread->wait_blocks[0].object = nullptr;
    thread->wait_blocks[1].key = own;
    bucket.push_back(thread->wait_blocks[0]);
    thread->wait_block_list = thread->wait_blocks;
    thread->wait_count = 1;
    thread->wait_type = WaitType::any;
    thread->timer.header.absolute = parameters.timeout && parameters.timeout->value >= 0;
    block_thread(*thread, parameters, due, ThreadState::waiting);
    const Status status = co_await Block{thread};
    while (deliver_kernel_apcs(*thread) == ApcOutcome::blocked) (void)co_await Block{thread};
    if (status != Status::kernel_apc) co_return status;
  }
}

Task<Status> Kernel::wait_keyed_event(Thread* thread, KeyedEvent* event, u64 key, WaitParameters parameters) {
  return keyed_task(thread, event, key, false, parameters);
}
Task<Status> Kernel::release_keyed_event(Thread* thread, KeyedEvent* event, u64 key, WaitParameters parameters) {
  return keyed_task(thread, event, key, true, parameters);
}

}  // namespace vitrine::ke
