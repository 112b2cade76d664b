// Waiting [facts 7.3]: entering, the frames that wait, alerts.
#include <array>
#include <limits>
#include <utility>

#include "base/check.h"
#include "ke/kernel.h"

namespace vitrine::ke {
namespace {

// How far in the future a timeout may lie: beyond it, it never comes (29,000 years; the clock ends earlier).
constexpr i64 kFarthestDue = std::numeric_limits<i64>::max() / 2;

Status status_at(Status first, u32 index) { return static_cast<Status>(static_cast<u32>(first) + index); }

bool has_duplicates(std::span<DispatcherHeader* const> objects) {
  for (std::size_t i = 0; i < objects.size(); ++i) {
    for (std::size_t j = i + 1; j < objects.size(); ++j) {
      if (objects[i] == objects[j]) return true;
    }
  }
  return false;
}

std::optional<Status> refuse(std::span<DispatcherHeader* const> objects, WaitType type) {
  if (objects.empty() || objects.size() > kMaximumWaitObjects) return Status::invalid_parameter_1;
  if (type == WaitType::all && has_duplicates(objects)) return Status::invalid_parameter_mix;
  return std::nullopt;
}

}  // namespace

// The objects of a wait, kept by its frame, since the suspend APC uses the built-in blocks for its own wait meanwhile.
// More than three need wait blocks beyond the thread's, which hold the pointers as well.
struct Kernel::WaitSet {
  u32 count = 0;
  std::array<DispatcherHeader*, kThreadWaitObjects> few{};
  std::unique_ptr<WaitBlock[]> many;

  static WaitSet of(std::span<DispatcherHeader* const> objects, Thread* thread) {
    WaitSet set;
    set.count = static_cast<u32>(objects.size());
    if (set.count > kThreadWaitObjects) set.many = std::make_unique<WaitBlock[]>(set.count);
    for (u32 i = 0; i < set.count; ++i) {
      if (set.many) {
        set.many[i].thread = thread;
        set.many[i].object = objects[i];
      } else {
        set.few[i] = objects[i];
      }
    }
    return set;
  }
  WaitBlock* blocks(Thread& thread) {
    if (many) return many.get();
    for (u32 i = 0; i < count; ++i) thread.wait_blocks[i].object = few[i];
    return thread.wait_blocks;
  }
};

std::optional<Ticks> Kernel::due_time(std::optional<Ticks> timeout) const {
  if (!timeout) return std::nullopt;
  const i64 now = interrupt_time().value;
  if (timeout->value < 0) {
    // INT64_MIN has no positive counterpart: it is cut like everything that never comes.
    const i64 interval = timeout->value < -kFarthestDue ? kFarthestDue : -timeout->value;
    return Ticks{interval > kFarthestDue - now ? kFarthestDue : now + interval};
  }
  return Ticks{timeout->value - machine_.boot_time().value};  // absolute: a FILETIME
}

// NT: the order of KeWaitForSingleObject's tests: signalled first, then alerts, then a timeout that is already over.
std::optional<Status> Kernel::begin_wait(Thread& thread, WaitBlock* blocks, u32 count, WaitType type,
                                         const WaitParameters& parameters, std::optional<Ticks> due) {
  VITRINE_CHECK(thread.state == ThreadState::running);
  if (parameters.reason == WaitReason::wr_alert_by_thread_id && thread.alert_by_id) {
    thread.alert_by_id = false;
    return Status::alerted;
  }
  DispatcherHeader* objects[kMaximumWaitObjects];  // as far as `count`
  for (u32 i = 0; i < count; ++i) objects[i] = blocks[i].object;
  if (const auto ended = test_wait(thread, {objects, count}, type)) return ended;
  if (const auto alerted = check_alerts(thread, parameters)) return alerted;
  if (due && *due <= interrupt_time()) return Status::timeout;
  thread.wait_block_list = blocks;
  thread.wait_count = static_cast<u8>(count);
  thread.wait_type = type;
  for (u32 i = 0; i < count; ++i) blocks[i].object->waiters.push_back(blocks[i]);
  thread.timer.header.absolute = parameters.timeout && parameters.timeout->value >= 0;
  block_thread(thread, parameters, due, ThreadState::waiting);
  return std::nullopt;
}

// The common end of every wait's beginning. Precondition: the wait's blocks are linked and wait_count is set.
void Kernel::block_thread(Thread& thread, const WaitParameters& parameters, std::optional<Ticks> due,
                          ThreadState state) {
  VITRINE_CHECK(cpu(thread.next_processor).irql < Irql::dispatch);  // a DPC may not wait [WDK]
  state_changes_.change(thread.state, state);
  thread.wait_reason = parameters.reason;
  thread.wait_mode = parameters.mode;
  thread.alertable = parameters.alertable;
  thread.preempted = false;
  thread.wait_time = static_cast<u32>(tick_count());
  if (due) {
    WaitBlock& block = thread.wait_blocks[kTimerWaitBlock];
    block.object = &thread.timer.header;
    thread.timer.header.waiters.push_back(block);
    start_timer(thread.timer, *due, thread.timer.header.absolute);
  }
  const DispatcherHeader* first = thread.wait_count > 0 ? thread.wait_block_list[0].object : nullptr;
  const u64 kind =
      first != nullptr && parameters.reason != WaitReason::wr_keyed_event ? static_cast<u64>(first->type) : 0xFF;
  record(trace::EventType::wait_begin, kind, static_cast<u64>(parameters.reason), thread.wait_count,
         due ? static_cast<u64>(due->value) : 0);
  if (parameters.mode == Mode::user && state == ThreadState::waiting) here().wait_list.push_back(thread);
  // A queue's thread that blocks elsewhere lets another one run [facts 7.5]. A queue wait has done its own accounting.
  if (thread.queue != nullptr && parameters.reason != WaitReason::wr_queue) activate_queue(*thread.queue->queue);
  exit_dispatcher();
  swap_away(thread);
}

void Kernel::unlink_wait(Thread& thread) {
  for (u32 i = 0; i < thread.wait_count; ++i) {
    if (thread.wait_block_list[i].link.is_linked()) thread.wait_block_list[i].link.unlink();
  }
  WaitBlock& timer = thread.wait_blocks[kTimerWaitBlock];
  if (timer.link.is_linked()) timer.link.unlink();
  if (thread.timer.header.inserted != 0) stop_timer(thread.timer);
  if (thread.sched_link.is_linked()) thread.sched_link.unlink();
  // An array of more than three blocks belongs to the frame and goes with it.
  thread.wait_block_list = thread.wait_blocks;
  thread.wait_count = 0;
}

// NT: KiUnwaitThread. The caller ends with exit_dispatcher().
void Kernel::unwait(Thread& thread, Status status, i8 increment) {
  VITRINE_CHECK(thread.state == ThreadState::waiting || thread.state == ThreadState::gate_wait);
  unlink_wait(thread);
  thread.wait_status = status;
  thread.adjust_reason = AdjustReason::unwait;
  thread.adjust_increment = increment;
  if (thread.queue != nullptr) ++thread.queue->queue->current_count;
  record(trace::EventType::wait_end, static_cast<u64>(status), thread.thread_id);
  make_ready(thread);
}

bool Kernel::abort_wait(Thread& thread, Status status, i8 increment) {
  if (thread.state != ThreadState::waiting && thread.state != ThreadState::gate_wait) return false;
  if (thread.apc_flags.suspend_wait) return false;  // its wait proper has been left for the suspension
  unwait(thread, status, increment);
  exit_dispatcher();
  return true;
}

// NT: TestForAlertPending.
std::optional<Status> Kernel::check_alerts(Thread& thread, const WaitParameters& parameters) {
  const bool user = parameters.mode == Mode::user;
  if (parameters.alertable) {
    if (user && thread.alerted_user) {
      thread.alerted_user = false;
      return Status::alerted;
    }
    if (user && !thread.apc_queues.user.empty()) {
      thread.apc_flags.user_apc_pending = true;
      return Status::user_apc;
    }
    if (thread.alerted_kernel) {
      thread.alerted_kernel = false;
      return Status::alerted;
    }
  }
  if (user && user_apc_pending(thread)) return Status::user_apc;
  return std::nullopt;
}

// Whether the wait is satisfied now; if so its side effects have happened.
std::optional<Status> Kernel::test_wait(Thread& thread, std::span<DispatcherHeader* const> objects, WaitType type) {
  constexpr i32 kMinimumLong = std::numeric_limits<i32>::min();
  if (objects.empty()) return std::nullopt;
  for (u32 i = 0; i < objects.size(); ++i) {
    DispatcherHeader& object = *objects[i];
    const bool ready = satisfiable(object, thread);
    if (ready && object.type == DispatcherType::mutant && object.signal_state == kMinimumLong) {
      return Status::mutant_limit_exceeded;
    }
    if (type == WaitType::any && ready) {
      return status_at(satisfy(object, thread) ? Status::abandoned_wait_0 : Status::success, i);
    }
    if (type == WaitType::all && !ready) return std::nullopt;
  }
  if (type == WaitType::any) return std::nullopt;
  bool abandoned = false;
  for (DispatcherHeader* object : objects) abandoned |= satisfy(*object, thread);
  return abandoned ? Status::abandoned_wait_0 : Status::success;
}

Task<Status> Kernel::wait_task(Thread* thread, WaitSet set, WaitType type, WaitParameters parameters) {
  const std::optional<Ticks> due = due_time(parameters.timeout);
  for (;;) {
    // NT: kernel APCs are delivered before the thread blocks and again before the wait returns.
    while (deliver_kernel_apcs(*thread) == ApcOutcome::blocked) (void)co_await Block{thread};
    const std::optional<Status> ended = begin_wait(*thread, set.blocks(*thread), set.count, type, parameters, due);
    if (ended) co_return *ended;
    const Status status = co_await Block{thread};
    while (deliver_kernel_apcs(*thread) == ApcOutcome::blocked) (void)co_await Block{thread};
    // A kernel APC ended it: it is entered anew, at the back of the queues [facts 7.3].
    if (status != Status::kernel_apc) co_return status;
  }
}

Task<Status> Kernel::wait_single(Thread* thread, DispatcherHeader* object, WaitParameters parameters) {
  DispatcherHeader* const objects[] = {object};
  return wait_task(thread, WaitSet::of(objects, thread), WaitType::any, parameters);
}

namespace {
Task<Status> refused(Status status) { co_return status; }
}  // namespace

Task<Status> Kernel::wait_multiple(Thread* thread, std::span<DispatcherHeader* const> objects, WaitType type,
                                   WaitParameters parameters) {
  if (const auto error = refuse(objects, type)) return refused(*error);
  return wait_task(thread, WaitSet::of(objects, thread), type, parameters);
}

std::optional<Status> Kernel::try_wait_single(Thread& thread, DispatcherHeader& object,
                                              const WaitParameters& parameters) {
  DispatcherHeader* const objects[] = {&object};
  return try_wait_multiple(thread, objects, WaitType::any, parameters);
}

std::optional<Status> Kernel::try_wait_multiple(Thread& thread, std::span<DispatcherHeader* const> objects,
                                                WaitType type, const WaitParameters& parameters) {
  VITRINE_CHECK(thread.state == ThreadState::running);
  if (const auto error = refuse(objects, type)) return error;
  if (kernel_apc_deliverable(thread)) return std::nullopt;
  if (const auto ended = test_wait(thread, objects, type)) return ended;
  if (const auto alerted = check_alerts(thread, parameters)) return alerted;
  const std::optional<Ticks> due = due_time(parameters.timeout);
  if (due && *due <= interrupt_time()) return Status::timeout;
  return std::nullopt;
}

Task<Status> Kernel::delay_execution(Thread* thread, WaitParameters parameters) {
  if (parameters.timeout && parameters.timeout->value == 0) {
    // NT 5.2 and later: a zero delay gives way to any ready thread [Microsoft, Sleep]; alerts come first.
    if (const auto alerted = check_alerts(*thread, parameters)) co_return *alerted;
    (void)yield_execution(*thread);
    co_return Status::success;
  }
  const Status status = co_await wait_task(thread, WaitSet{}, WaitType::any, parameters);
  co_return status == Status::timeout ? Status::success : status;
}

// NT: NtYieldExecution. The thread loses a step of boost and gets a new quantum; the switch happens at the window edge.
Status Kernel::yield_execution(Thread& thread) {
  VITRINE_CHECK(thread.state == ThreadState::running);
  Processor& p = cpu(thread.next_processor);
  if (p.next == nullptr) {
    Thread* other = select_ready(p, 1);
    if (other == nullptr) return Status::no_yield_performed;
    set_standby(p, *other);
  }
  refill_quantum(thread, thread.quantum_reset);
  if (!thread.is_realtime()) {
    set_priority_field(thread, decayed_priority(thread, 1), PriorityChange::decay);
    thread.priority_decrement = 0;
  }
  thread.wait_reason = WaitReason::wr_yield_execution;
  thread.preempted = false;
  return Status::success;
}

Task<Status> Kernel::wait_for_alert_by_id(Thread* thread, Va address, std::optional<Ticks> timeout) {
  thread->wait_blocks[1].key = address;
  return wait_task(thread, WaitSet{}, WaitType::any, {WaitReason::wr_alert_by_thread_id, Mode::user, false, timeout});
}

std::optional<Status> Kernel::try_wait_for_alert_by_id(Thread& thread, std::optional<Ticks> timeout) {
  if (kernel_apc_deliverable(thread)) return std::nullopt;
  if (thread.alert_by_id) {
    thread.alert_by_id = false;
    return Status::alerted;
  }
  if (user_apc_pending(thread)) return Status::user_apc;
  const std::optional<Ticks> due = due_time(timeout);
  if (due && *due <= interrupt_time()) return Status::timeout;
  return std::nullopt;
}

Task<Status> Kernel::signal_and_wait(Thread* thread, DispatcherHeader* to_signal, DispatcherHeader* object,
                                     WaitParameters parameters) {
  while (deliver_kernel_apcs(*thread) == ApcOutcome::blocked) (void)co_await Block{thread};
  switch (to_signal->type) {
    case DispatcherType::notification_event:
    case DispatcherType::synchronization_event:
      set_event(*reinterpret_cast<Event*>(to_signal));
      break;
    case DispatcherType::semaphore:
      if (const auto released = release_semaphore(*reinterpret_cast<Semaphore*>(to_signal), 1); !released) {
        co_return released.error();
      }
      break;
    case DispatcherType::mutant:
      if (const auto released = release_mutant(*reinterpret_cast<Mutant*>(to_signal), *thread); !released) {
        co_return released.error();
      }
      break;
    default:
      co_return Status::object_type_mismatch;
  }
  // No processor runs between here and the wait's beginning: nobody can take the object in between.
  DispatcherHeader* const objects[] = {object};
  co_return co_await wait_task(thread, WaitSet::of(objects, thread), WaitType::any, parameters);
}

Task<Status> Kernel::wait_gate(Thread* thread, Gate* gate, WaitReason reason) {
  const WaitParameters kernel_wait{reason, Mode::kernel, false, std::nullopt};
  for (;;) {
    while (deliver_kernel_apcs(*thread) == ApcOutcome::blocked) (void)co_await Block{thread};
    if (gate->header.signal_state > 0) {
      gate->header.signal_state = 0;
      co_return Status::success;
    }
    WaitBlock& block = thread->wait_blocks[0];
    block.object = &gate->header;
    gate->header.waiters.push_back(block);
    thread->wait_block_list = thread->wait_blocks;
    thread->wait_count = 1;
    thread->wait_type = WaitType::any;
    block_thread(*thread, kernel_wait, std::nullopt, ThreadState::gate_wait);
    const Status status = co_await Block{thread};
    while (deliver_kernel_apcs(*thread) == ApcOutcome::blocked) (void)co_await Block{thread};
    if (status != Status::kernel_apc) co_return status;
  }
}

}  // namespace vitrine::ke
