// Timers: setting, expiry, periods, and what a change of the system time does to them [facts 7.4].
#include "base/check.h"
#include "ke/kernel.h"

namespace vitrine::ke {
namespace {
constexpr i64 kTicksPerMillisecond = 10'000;  // of 100 ns
}

void Kernel::start_timer(TimerCore& timer, Ticks due, bool absolute) {
  timer.due = due;
  timer.header.signal_state = 0;
  timer.header.absolute = absolute;
  put_in_table(timer);
}

// The executing processor's table, where there is one per processor [facts 7.4].
void Kernel::put_in_table(TimerCore& timer) {
  const u32 table = table_of(executing_);
  timer.header.inserted = static_cast<u8>(1 + table);
  timers_[table].insert(timer);
}

void Kernel::stop_timer(TimerCore& timer) {
  timers_[timer.header.inserted - 1u].remove(timer);
  timer.header.inserted = 0;
}

// Precondition: out of the table. NT: KiTimerExpiration's body.
void Kernel::expire_timer(TimerCore& core) {
  core.header.inserted = 0;
  if (core.header.spare == kThreadTimer) {
    WaitBlock* block = core.header.waiters.front();
    VITRINE_CHECK(block != nullptr);
    unwait(*block->thread, Status::timeout, kIncrementNone);
    return;
  }
  Timer& timer = static_cast<Timer&>(core);
  record(trace::EventType::timer_expire, static_cast<u64>(timer.due.value));
  timer.header.signal_state = 1;
  signal(timer.header, kIncrementNone);
  if (timer.period_ms != 0) {
    // NT: the next expiry is a period after the last one was due, not after it was noticed; missed ones are not made
    // up.
    const i64 period = i64{timer.period_ms} * kTicksPerMillisecond;
    const i64 behind = interrupt_time().value - timer.due.value;
    const i64 periods = behind < 0 ? 1 : behind / period + 1;
    timer.due.value += periods * period;
    timer.header.absolute = 0;
    put_in_table(timer);
  }
  if (timer.dpc != nullptr) queue_dpc(*timer.dpc);
}

bool Kernel::set_timer(Timer& timer, Ticks due, u32 period_ms, Dpc* dpc) {
  const bool was_set = timer.header.inserted != 0;
  if (was_set) stop_timer(timer);
  timer.dpc = dpc;
  timer.period_ms = period_ms;
  timer.header.signal_state = 0;
  timer.due = *due_time(due);
  if (due.value == 0 || timer.due <= interrupt_time()) {
    if (timer.due < Ticks{0} || due.value == 0) timer.due = interrupt_time();
    expire_timer(timer);
  } else {
    start_timer(timer, timer.due, due.value > 0);
  }
  exit_dispatcher();
  return was_set;
}

// The signal state stays as it is; a DPC that expiry has queued is withdrawn.
bool Kernel::cancel_timer(Timer& timer) {
  const bool was_set = timer.header.inserted != 0;
  if (was_set) stop_timer(timer);
  timer.period_ms = 0;
  if (timer.dpc != nullptr) remove_dpc(*timer.dpc);
  return was_set;
}

Ticks Kernel::timer_remaining(const TimerCore& timer) const {
  if (timer.header.inserted == 0 || timer.due <= interrupt_time()) return {0};
  return timer.due - interrupt_time();
}

// NT: KeSetSystemTime: relative timers do not notice; absolute ones are due when the new clock says so.
void Kernel::set_system_time(Ticks time) {
  const Ticks before = machine_.boot_time();
  machine_.set_system_time(time);
  const Ticks moved = machine_.boot_time() - before;  // the clock went forward: absolute times come sooner
  for (TimerTable& table : timers_) {
    IntrusiveList<TimerCore, &TimerCore::table_link> absolute;
    for (const TimerTable::List& list : table.lists()) {
      TimerCore* timer = list.front();
      while (timer != nullptr) {
        TimerCore* const following = list.next(*timer);
        if (timer->header.absolute != 0) {
          table.remove(*timer);
          absolute.push_back(*timer);
        }
        timer = following;
      }
    }
    while (TimerCore* timer = absolute.pop_front()) {
      timer->due = timer->due - moved;
      table.insert(*timer);  // what is due now expires at the next clock interrupt
    }
  }
}

}  // namespace vitrine::ke
