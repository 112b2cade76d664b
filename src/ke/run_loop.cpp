// What the run loop calls: clock interrupts, window edges, DPCs, idle time.
#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "ke/irql.h"
#include "ke/kernel.h"

namespace vitrine::ke {
namespace {
constexpr i64 kOneSecond = 10'000'000;       // 100 ns
constexpr i64 kSwapPeriod = 4 * kOneSecond;  // the balance set manager wakes the swapper every fourth time [facts 6.9]
}

void Kernel::enter(u32 number) {
  VITRINE_CHECK(number < processor_count() && here().deferred_ready.empty());
  executing_ = number;
}

std::optional<u32> Kernel::next_processor() {
  for (;;) {
    std::optional<u32> busy;
    std::optional<u32> ticking;  // idle, with the earliest due interrupt
    for (const auto& p : processors_) {
      const u32 n = p->number;
      if (!p->is_idle() || p->next != nullptr || !p->dpcs.empty()) {
        if (!busy || machine_.clock(n) < machine_.clock(*busy)) busy = n;
      } else if (!ticking || machine_.next_tick(n) < machine_.next_tick(*ticking)) {
        ticking = n;
      }
    }
    if (!busy) {
      // One skip per call: a periodic timer that wakes nobody must not keep the run loop from the host's needs.
      if (!skip_idle_time()) return std::nullopt;
      return 0;
    }
    if (!ticking || machine_.next_tick(*ticking) > machine_.clock(*busy)) return busy;
    machine_.catch_up(*ticking, machine_.next_tick(*ticking));
    clock_interrupt(*ticking);
    dispatch(*ticking);
  }
}

std::optional<Ticks> Kernel::next_due() const {
  std::optional<Ticks> due;
  for (const TimerTable& table : timers_) {
    const std::optional<Ticks> earliest = table.earliest();
    if (earliest && (!due || *earliest < *due)) due = earliest;
  }
  return due;
}

// The first second of the balance timer in which a thread that waits now may lose its kernel stack: idle time stops there.
std::optional<Ticks> Kernel::next_outswap() const {
  if (host_ == nullptr) return std::nullopt;
  std::optional<Ticks> next;
  for (const auto& p : processors_) {
    const Thread* oldest = p->wait_list.front();
    while (oldest != nullptr && !may_lose_stack(*oldest)) oldest = p->wait_list.next(*oldest);
    if (oldest == nullptr) continue;
    const u64 ticks = tick_count() - static_cast<u32>(static_cast<u32>(tick_count()) - oldest->wait_time);
    const i64 since = static_cast<i64>(ticks * machine_.clock_interval_100ns());
    const i64 allowed = since + profile_.scheduler.stack_protect_seconds * kOneSecond;
    const Ticks second{(std::max(allowed, interrupt_time().value) / kSwapPeriod + 1) * kSwapPeriod};
    if (!next || second < *next) next = second;
  }
  return next;
}

// All processors are idle: nothing can happen before the earliest timer is due. False: there is none, or none that
// comes within the clock's range.
bool Kernel::skip_idle_time() {
  std::optional<Ticks> due = next_due();
  if (!due) return false;
  u32 owner = 0;
  while (owner < timers_.size() && timers_[owner].earliest() != due) ++owner;
  if (const auto outswap = next_outswap(); outswap && *outswap < *due) {
    due = outswap;
    owner = 0;
  }
  const Nanoseconds time = machine_.tick_reaching(*due);
  if (time.value == std::numeric_limits<u64>::max()) return false;
  if (owner == 0 || *due > interrupt_time()) {
    for (const auto& p : processors_) p->idle_ticks += machine_.skip_ticks(p->number, time);
    machine_.catch_up(0, machine_.next_tick(0));  // skip_ticks ends just before it
    clock_interrupt(0);
    dispatch(0);
  }
  // Processor 0 has moved the time on; whose table holds the timer sees it at its own next interrupt.
  if (owner != 0 && timers_[owner].earliest() == due) {
    machine_.catch_up(owner, machine_.next_tick(owner));
    clock_interrupt(owner);
    dispatch(owner);
  }
  return true;
}

void Kernel::clock_interrupt(u32 number) {
  enter(number);
  Processor& p = here();
  const RaisedIrql raised(p, Irql::clock);
  machine_.take_tick(number);
  ++p.interrupt_count;
  Thread& thread = *p.current;
  record(trace::EventType::clock_tick, tick_count());
  machine_.advance_picoseconds(number,
                               profile_.costs.interrupt.picoseconds);  // not charged to the thread [facts 6.3, 6.0+]
  if (p.is_idle()) {
    ++p.idle_ticks;
  } else if (p.last_mode == Mode::user) {
    ++p.user_ticks, ++thread.user_time, ++thread.process->user_time;
  } else {
    ++p.kernel_ticks, ++thread.kernel_time, ++thread.process->kernel_time;
  }
  // NT: what is due expires in a DPC, which dispatch() runs next. One table: the processor that keeps the time looks at it.
  if (number == 0 || timers_.size() > 1) {
    const std::optional<Ticks> due = timers_[table_of(number)].earliest();
    p.timer_request |= due && *due <= interrupt_time();
    p.timer_request |= number == 0 && interrupt_time().value >= next_balance_;
  }
  if (!p.is_idle()) {
    // NT: KeUpdateRunTime [facts 6.3].
    thread.quantum = static_cast<i8>(std::max<i32>(thread.quantum - kClockQuantumDecrement, -100));
    if (quantum_used_up(thread)) p.quantum_end = true;
  }
}

// NT: KiTimerExpiration.
void Kernel::expire_timers(Processor& processor) {
  processor.timer_request = false;
  ++processor.dpc_count;
  TimerTable& table = timers_[table_of(processor.number)];
  while (TimerCore* timer = table.expire_one(interrupt_time())) expire_timer(*timer);
  if (processor.number == 0 && interrupt_time().value >= next_balance_) balance_second();
}

// The balance set manager's periodic timer comes due; seconds that an idle machine skipped are not made up.
void Kernel::balance_second() {
  next_balance_ = (interrupt_time().value / kOneSecond + 1) * kOneSecond;
  balance_timer_.header.signal_state = 1;
  signal(balance_timer_.header, kIncrementNone);
  queue_dpc(scan_dpc_);
}

// At DISPATCH_LEVEL: timers first, then the queue [WI6p1 ch.3].
void Kernel::run_dpcs(Processor& processor) {
  const RaisedIrql raised(processor, Irql::dispatch);
  if (processor.timer_request) expire_timers(processor);
  // A DPC may queue itself again: it then runs at the next edge, so that an edge always ends.
  IntrusiveList<Dpc, &Dpc::link> batch;
  while (Dpc* dpc = processor.dpcs.pop_front()) batch.push_back(*dpc);
  while (Dpc* dpc = batch.pop_front()) {
    ++processor.dpc_count;
    dpc->routine(*this, *dpc, dpc->context);
  }
}

// NT: KeInsertQueueDpc.
bool Kernel::queue_dpc(Dpc& dpc) {
  if (dpc.link.is_linked()) return false;
  VITRINE_CHECK(dpc.target == Dpc::kNoTarget || dpc.target < processor_count());
  Processor& p = dpc.target == Dpc::kNoTarget ? here() : cpu(dpc.target);
  const bool threaded = dpc.kind == DpcKind::threaded && p.dpc_thread != nullptr;
  auto& queue = threaded ? p.threaded_dpcs : p.dpcs;
  if (dpc.importance == DpcImportance::high) {
    queue.push_front(dpc);
  } else {
    queue.push_back(dpc);
  }
  // The interrupt that asks another processor to run it: an idle one's clock stood still until now.
  if (p.is_idle()) machine_.catch_up(p.number, machine_.clock(executing_));
  if (threaded) signal_gate(p.dpc_gate);
  return true;
}

// NT: KiExecuteDpc, a thread of priority 31 bound to its processor [WI6p1 ch.3].
Task<Status> Kernel::run_threaded_dpcs(Thread* thread, u32 number) {
  Processor* const p = processors_[number].get();
  p->dpc_thread = thread;
  Status status = Status::success;
  while (status == Status::success) {
    while (Dpc* dpc = p->threaded_dpcs.pop_front()) {
      ++p->dpc_count;
      dpc->routine(*this, *dpc, dpc->context);
    }
    status = co_await wait_gate(thread, &p->dpc_gate, WaitReason::wr_dispatch_int);
  }
  p->dpc_thread = nullptr;
  while (Dpc* dpc = p->threaded_dpcs.pop_front()) p->dpcs.push_back(*dpc);
  co_return status;
}

bool Kernel::remove_dpc(Dpc& dpc) {
  if (!dpc.link.is_linked()) return false;
  dpc.link.unlink();
  return true;
}

void Kernel::dispatch(u32 number) {
  enter(number);
  Processor& p = here();
  run_dpcs(p);
  exit_dispatcher();
  if (p.quantum_end) quantum_end(p);
  if (p.next != nullptr) {
    Thread& thread = *p.next;
    p.next = nullptr;
    if (!p.is_idle() && p.current->preempted) p.current->wait_reason = WaitReason::wr_preempted;
    replace_running(p, thread);
  } else if (p.is_idle()) {
    Thread& thread = select_any(p);
    if (&thread != &p.idle_thread) switch_to(p, thread);
  } else if ((p.current->affinity >> number & 1) == 0) {
    p.current->wait_reason = WaitReason::wr_dispatch_int;
    replace_running(p, select_any(p));  // its affinity was changed under it
  }
}

void Kernel::end_window(u32 number) {
  while (machine_.is_tick_due(number)) clock_interrupt(number);
  dispatch(number);
}

void Kernel::resume(Thread& thread) {
  VITRINE_CHECK(thread.state == ThreadState::running && thread.continuation);
  const std::coroutine_handle<> frame = std::exchange(thread.continuation, {});
  frame.resume();
}

void Kernel::charge(u32 number, Nanoseconds time, Mode mode) {
  Processor& p = cpu(number);
  // A tick that is due samples what ran when it came due, not what was charged until the interrupt could be taken.
  if (!machine_.is_tick_due(number)) p.last_mode = mode;
  machine_.advance(number, time);
  if (!p.is_idle()) p.current->cycle_time += time.value * hal::kCyclesPerNanosecond;
}

void Kernel::charge_picoseconds(u32 number, u64 picoseconds, Mode mode) {
  Processor& p = cpu(number);
  if (!machine_.is_tick_due(number)) p.last_mode = mode;
  const u64 before = machine_.time_stamp(number);
  machine_.advance_picoseconds(number, picoseconds);
  if (!p.is_idle()) p.current->cycle_time += machine_.time_stamp(number) - before;
}

bool Kernel::anything_ready() const {
  return std::any_of(processors_.begin(), processors_.end(), [](const auto& p) {
    return !p->is_idle() || p->next != nullptr || p->ready_summary != 0 || !p->dpcs.empty();
  });
}

AffinityMask Kernel::active_processors() const {
  return processor_count() == kMaximumProcessors ? ~AffinityMask{0} : (AffinityMask{1} << processor_count()) - 1;
}

}  // namespace vitrine::ke
