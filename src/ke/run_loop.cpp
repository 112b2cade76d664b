// What the run loop calls: clock interrupts, window edges, DPCs, idle time.
#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "ke/kernel.h"

namespace vitrine::ke {
namespace {
constexpr i64 kOneSecond = 10'000'000;  // 100 ns
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

// All processors are idle: nothing can happen before the earliest timer is due. False: there is none, or none that
// comes within the clock's range.
bool Kernel::skip_idle_time() {
  const std::optional<Ticks> due = timers_.earliest();
  if (!due) return false;
  const Nanoseconds time = machine_.tick_reaching(*due);
  if (time.value == std::numeric_limits<u64>::max()) return false;
  for (const auto& p : processors_) p->idle_ticks += machine_.skip_ticks(p->number, time);
  machine_.catch_up(0, machine_.next_tick(0));  // skip_ticks ends just before it
  clock_interrupt(0);
  dispatch(0);
  return true;
}

void Kernel::clock_interrupt(u32 number) {
  enter(number);
  Processor& p = here();
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
  if (number == 0) expire_timers();
  if (!p.is_idle()) {
    // NT: KeUpdateRunTime [facts 6.3].
    thread.quantum = static_cast<i8>(std::max<i32>(thread.quantum - kClockQuantumDecrement, -100));
    if (quantum_used_up(thread)) p.quantum_end = true;
  }
  exit_dispatcher();
}

// Processor 0's interrupt checks the timers. (6.1 has a table per processor and checks it there; the resolution, one
// tick, is the same.)
void Kernel::expire_timers() {
  while (TimerCore* timer = timers_.expire_one(interrupt_time())) expire_timer(*timer);
  if (interrupt_time().value < next_balance_) return;
  next_balance_ = (interrupt_time().value / kOneSecond + 1) * kOneSecond;
  scan_ready_queues();
  if (host_ != nullptr) host_->balance_set_tick();
}

void Kernel::run_dpcs(Processor& processor) {
  // A DPC may queue itself again: it then runs at the next edge, so that an edge always ends.
  IntrusiveList<Dpc, &Dpc::link> batch;
  while (Dpc* dpc = processor.dpcs.pop_front()) batch.push_back(*dpc);
  while (Dpc* dpc = batch.pop_front()) {
    ++processor.dpc_count;
    dpc->routine(*this, *dpc, dpc->context);
  }
}

void Kernel::queue_dpc(Dpc& dpc) {
  if (!dpc.link.is_linked()) here().dpcs.push_back(dpc);
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
  p.last_mode = mode;
  machine_.advance(number, time);
  if (!p.is_idle()) p.current->cycle_time += time.value * hal::kCyclesPerNanosecond;
}

void Kernel::charge_picoseconds(u32 number, u64 picoseconds, Mode mode) {
  Processor& p = cpu(number);
  p.last_mode = mode;
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
