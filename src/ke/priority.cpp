// Priorities, quanta, boosts, decay, affinity [facts 6.1, 6.3 to 6.6].
#include <algorithm>
#include <bit>
#include <cstdlib>
#include <utility>

#include "base/check.h"
#include "ke/kernel.h"

namespace vitrine::ke {
namespace {
constexpr Priority kTimeCriticalBound = 14;  // base priorities from here on never pay for waiting
constexpr Priority kLockBoostLimit = 13;
constexpr u32 kLockBoostQuantum = 4;
constexpr u32 kStarvationQuantum = 4;    // units
constexpr u32 kStarvationExamined = 16;  // threads looked at per pass
constexpr u32 kStarvationBoosted = 10;   // threads boosted per pass
constexpr u8 kIdleClassQuantum = 6;
constexpr u8 kSchedulingClassQuantum = 6;  // units per class
}  // namespace

// NT: KiComputeNewPriority: what is left after the decrement and one more step, never below the base.
Priority Kernel::decayed_priority(const Thread& thread, u32 adjustment) {
  const i32 decayed = thread.priority - thread.priority_decrement - static_cast<i32>(adjustment);
  return static_cast<Priority>(std::max<i32>(decayed, thread.base_priority));
}

void Kernel::set_priority_field(Thread& thread, Priority priority, PriorityChange reason) {
  if (thread.priority == priority) return;
  record(trace::EventType::priority_change, thread.thread_id, thread.priority, priority, static_cast<u64>(reason));
  thread.priority = priority;
}

void Kernel::refill_quantum(Thread& thread, u32 units) {
  thread.quantum = static_cast<i8>(std::min<u32>(units, 127));
  thread.quantum_target = thread.cycle_time + units * cycles_per_unit_;
}

bool Kernel::quantum_used_up(const Thread& thread) const {
  return profile_.scheduler.quantum_kind == sim::QuantumKind::units ? thread.quantum <= 0
                                                                    : thread.cycle_time >= thread.quantum_target;
}

// NT: KiQuantumEnd. The thread gets a new quantum and decays; a ready thread of at least its new priority runs next,
// and the thread goes to the tail of its list.
void Kernel::quantum_end(Processor& processor) {
  processor.quantum_end = false;
  if (processor.is_idle()) return;
  Thread& thread = *processor.current;
  if (!quantum_used_up(thread)) return;  // it was given a new one since
  if (thread.is_realtime() && thread.process->disable_quantum) {
    refill_quantum(thread, 127);
    return;
  }
  record(trace::EventType::quantum_end, thread.thread_id);
  refill_quantum(thread, thread.quantum_reset);
  if (!thread.is_realtime()) {
    set_priority_field(thread, decayed_priority(thread, 1), PriorityChange::decay);
    thread.priority_decrement = 0;
  }
  // A thread that was set below its base comes back to it here, and may be ahead of its preemptor again.
  reconsider_preemption(processor);
  if (processor.next == nullptr) {
    if (Thread* other = select_ready(processor, thread.priority)) set_standby(processor, *other);
  }
  if (processor.next != nullptr) thread.wait_reason = WaitReason::wr_quantum_end;
  thread.preempted = false;
  exit_dispatcher();
}

// NT: the unwait part of KiDeferredReadyThread [facts 6.4].
void Kernel::adjust_unwait(Thread& thread) {
  if (thread.is_realtime()) {
    refill_quantum(thread, thread.quantum_reset);
    return;
  }
  if (thread.base_priority >= kTimeCriticalBound) {
    refill_quantum(thread, thread.quantum_reset);
  } else {
    if (thread.priority_decrement == 0 && thread.adjust_increment != 0) refill_quantum(thread, thread.quantum_reset);
    if (thread.wait_status != Status::kernel_apc) {
      thread.quantum = static_cast<i8>(thread.quantum - kWaitQuantumDecrement);
      if (quantum_used_up(thread)) {
        refill_quantum(thread, thread.quantum_reset);
        set_priority_field(thread, decayed_priority(thread, 1), PriorityChange::decay);
        thread.priority_decrement = 0;
      }
    }
  }
  if (thread.priority_decrement != 0 || thread.disable_boost) return;
  const i32 plain = thread.base_priority + thread.adjust_increment;
  i32 boosted = plain + (thread.process->foreground ? static_cast<i32>(separation_) : 0);
  if (boosted <= thread.priority) return;
  boosted = std::min<i32>(boosted, kHighestDynamicPriority);
  // Only the foreground part falls off at once; the rest decays step by step.
  if (boosted > plain) thread.priority_decrement = static_cast<u8>(boosted - plain);
  set_priority_field(thread, static_cast<Priority>(boosted), PriorityChange::wait_boost);
}

// NT: AdjustBoost, the boost that a lock's owner gives to the thread it lets in [facts 6.5].
void Kernel::adjust_boost(Thread& thread) {
  const i32 increment = thread.adjust_increment;
  if (thread.priority > increment || thread.priority >= kLockBoostLimit || thread.disable_boost) return;
  const auto boosted = static_cast<Priority>(std::min<i32>(increment + 1, kLockBoostLimit));
  thread.priority_decrement = static_cast<u8>(thread.priority_decrement + boosted - thread.priority);
  set_priority_field(thread, boosted, PriorityChange::lock_boost);
  thread.quantum = static_cast<i8>(std::max<i32>(thread.quantum, kLockBoostQuantum) - kWaitQuantumDecrement);
  thread.quantum_target =
      std::max(thread.quantum_target, thread.cycle_time + (kLockBoostQuantum - 1) * cycles_per_unit_);
}

// The standby thread was about to preempt, and priorities have changed since: it does so only if it is still no less
// important than the thread that runs. One that was chosen at a quantum end or for a yield stays.
void Kernel::reconsider_preemption(Processor& processor) {
  Thread* standby = processor.next;
  if (standby == nullptr || !processor.current->preempted || standby->priority >= processor.current->priority) return;
  processor.next = nullptr;
  processor.current->preempted = false;
  standby->preempted = true;
  defer(*standby);
}

// NT: KiSetPriorityThread: the change reaches the thread where it is.
void Kernel::apply_priority(Thread& thread, Priority priority, PriorityChange reason) {
  if (priority == thread.priority) return;
  const Priority old = thread.priority;
  switch (thread.state) {
    case ThreadState::ready:
      if (!thread.process_ready_queue) {
        remove_ready(thread);
        set_priority_field(thread, priority, reason);
        thread.preempted = priority > old ? false : thread.preempted;
        defer(thread);
        break;
      }
      set_priority_field(thread, priority, reason);
      break;
    case ThreadState::standby: {
      set_priority_field(thread, priority, reason);
      Processor& p = cpu(thread.next_processor);
      if (priority >= old) break;
      if (Thread* better = select_ready(p, static_cast<Priority>(priority + 1))) {
        p.next = nullptr;
        set_standby(p, *better);
        defer(thread);
      }
      reconsider_preemption(p);
      break;
    }
    case ThreadState::running: {
      set_priority_field(thread, priority, reason);
      Processor& p = cpu(thread.next_processor);
      if (p.next != nullptr) {
        reconsider_preemption(p);
      } else if (priority < old) {
        if (Thread* better = select_ready(p, static_cast<Priority>(priority + 1))) set_standby(p, *better);
      }
      break;
    }
    default:
      set_priority_field(thread, priority, reason);
      break;
  }
}

Priority Kernel::set_priority(Thread& thread, Priority priority) {
  VITRINE_CHECK(priority < kPriorityLevels);
  const Priority old = thread.priority;
  thread.priority_decrement = 0;
  if (priority != old) {
    refill_quantum(thread, thread.quantum_reset);
    // NT: only the zero-page thread has priority 0.
    apply_priority(thread, priority == 0 && thread.base_priority != 0 ? Priority{1} : priority, PriorityChange::set);
  }
  exit_dispatcher();
  return old;
}

i32 Kernel::query_base_priority(const Thread& thread) const {
  if (thread.saturation != 0) return thread.saturation * kSaturationIncrement;
  return thread.base_priority - thread.process->base_priority;
}

// NT: KeSetBasePriorityThread. An increment of +-16 pins the base to the end of its range ("saturation", facts 6.1).
i32 Kernel::set_base_priority(Thread& thread, i32 increment) {
  const i32 old_increment = query_base_priority(thread);
  thread.saturation = 0;
  if (std::abs(increment) >= kSaturationIncrement) thread.saturation = increment > 0 ? 1 : -1;
  const bool realtime = thread.process->base_priority >= kLowRealtimePriority;
  const i32 low = realtime ? kLowRealtimePriority : 1;
  const i32 high = realtime ? kHighPriority : kHighestDynamicPriority;
  const i32 old_base = thread.base_priority;
  const i32 base = std::clamp(
      thread.process->base_priority + std::clamp(increment, -kSaturationIncrement, kSaturationIncrement), low, high);
  i32 priority = base;
  if (!realtime && thread.saturation == 0 && !thread.is_realtime()) {
    // A boost in progress is kept: the priority moves by as much as the base does.
    priority = std::clamp(decayed_priority(thread, 0) + (base - old_base), base, high);
  }
  thread.base_priority = static_cast<Priority>(base);
  thread.priority_decrement = 0;
  if (priority != thread.priority) {
    refill_quantum(thread, thread.quantum_reset);
    apply_priority(thread, static_cast<Priority>(priority), PriorityChange::set);
  }
  exit_dispatcher();
  return old_increment;
}

void Kernel::boost_priority(Thread& thread, i8 increment) {
  if (thread.is_realtime() || thread.priority_decrement != 0 || thread.disable_boost) return;
  const i32 boosted = std::min<i32>(thread.base_priority + increment, kHighestDynamicPriority);
  if (boosted <= thread.priority) return;
  refill_quantum(thread, thread.quantum_reset);
  apply_priority(thread, static_cast<Priority>(boosted), PriorityChange::direct_boost);
  exit_dispatcher();
}

Result<AffinityMask> Kernel::set_affinity(Thread& thread, AffinityMask affinity) {
  if (affinity == 0 || (affinity & ~thread.process->affinity) != 0) return Failure(Status::invalid_parameter);
  const AffinityMask old = thread.affinity;
  thread.affinity = affinity;
  const bool allowed = (affinity >> thread.next_processor & 1) != 0;
  if (thread.state == ThreadState::ready && !thread.process_ready_queue) {
    // Re-queued even when it may stay: a processor that was forbidden may be idle.
    if (!allowed || (idle_summary_ & affinity) != 0) {
      remove_ready(thread);
      defer(thread);
    }
  } else if (thread.state == ThreadState::standby && !allowed) {
    Processor& p = cpu(thread.next_processor);
    p.next = nullptr;
    defer(thread);
    refill_standby(p);
  }  // a running thread moves at the next window edge
  exit_dispatcher();
  return old;
}

Status Kernel::set_process_affinity(Process& process, AffinityMask affinity) {
  if (affinity == 0 || (affinity & ~active_processors()) != 0) return Status::invalid_parameter;
  process.affinity = affinity;
  for (Thread& thread : process.threads) {
    if (!set_affinity(thread, affinity)) return Status::invalid_parameter;
    if ((affinity >> thread.ideal_processor & 1) == 0)
      thread.ideal_processor = static_cast<u8>(std::countr_zero(affinity));
  }
  return Status::success;
}

Result<u8> Kernel::set_ideal_processor(Thread& thread, u8 processor) {
  if (processor >= processor_count()) return Failure(Status::invalid_parameter);
  return std::exchange(thread.ideal_processor, processor);
}

bool Kernel::set_disable_boost(Thread& thread, bool disable) {
  const bool old = thread.disable_boost;
  thread.disable_boost = disable;
  return old;
}

// NT: PspComputeQuantum. A job's class counts only where quanta are long and fixed [facts 6.3, 9.2].
u8 Kernel::quantum_units(const Process& process) const {
  if (process.idle_class) return kIdleClassQuantum;
  if (long_fixed_ && process.scheduling_class != Process::kNoSchedulingClass) {
    return static_cast<u8>((process.scheduling_class + 1) * kSchedulingClassQuantum);
  }
  return quantum_table_[process.foreground ? separation_ : 0];
}

// NT: KeSetPriorityAndQuantumProcess: every thread keeps its distance from the base; saturated ones stay at the end.
void Kernel::set_process_priority(Process& process, Priority base_priority, bool idle_class) {
  const i32 old_base = process.base_priority;
  process.idle_class = idle_class;
  process.base_priority = base_priority;
  process.quantum_reset = quantum_units(process);
  for (Thread& thread : process.threads) {
    thread.quantum_reset = process.quantum_reset;
    const i32 increment =
        thread.saturation != 0 ? thread.saturation * kSaturationIncrement : thread.base_priority - old_base;
    set_base_priority(thread, increment);
  }
}

void Kernel::set_process_foreground(Process& process, bool foreground) {
  process.foreground = foreground;
  refresh_quantum(process);
}

void Kernel::refresh_quantum(Process& process) {
  process.quantum_reset = quantum_units(process);
  // Class 9 of a real-time process runs until it waits.
  process.disable_quantum = long_fixed_ && process.scheduling_class == kHighestSchedulingClass;
  for (Thread& thread : process.threads) thread.quantum_reset = process.quantum_reset;
}

void Kernel::set_scheduling_class(Process& process, std::optional<u8> scheduling_class) {
  VITRINE_CHECK(!scheduling_class || *scheduling_class <= kHighestSchedulingClass);
  process.scheduling_class = scheduling_class.value_or(Process::kNoSchedulingClass);
  refresh_quantum(process);
}

// NT: PspComputeQuantum's tables and the bits of Win32PrioritySeparation [facts 6.3]; defaults are the client's.
void Kernel::set_priority_separation(u32 win32_priority_separation) {
  static constexpr u8 kTables[2][2][3] = {{{6, 12, 18}, {12, 24, 36}}, {{18, 18, 18}, {36, 36, 36}}};
  const u32 separation = win32_priority_separation & 3;
  const bool fixed = (win32_priority_separation >> 2 & 3) == 2;
  const bool long_quanta = (win32_priority_separation >> 4 & 3) == 1;
  separation_ = std::min<u32>(separation, 2);
  long_fixed_ = fixed && long_quanta;
  std::copy_n(kTables[fixed][long_quanta], 3, quantum_table_);
}

// NT: KiScanReadyQueues [facts 6.6].
void Kernel::scan_ready_queues() {
  Processor& p = cpu(scan_processor_);
  scan_processor_ = (scan_processor_ + 1) % processor_count();
  const u32 now = static_cast<u32>(tick_count());
  u32 examine = kStarvationExamined;
  u32 boost = kStarvationBoosted;
  u8 index = p.queue_index;
  for (u32 level = 1; level < kHighestDynamicPriority && examine != 0 && boost != 0; ++level) {
    Thread* thread = p.ready[index].front();
    while (thread != nullptr && examine != 0 && boost != 0) {
      Thread* const following = p.ready[index].next(*thread);
      --examine;
      if (now - thread->wait_time >= profile_.scheduler.starvation_ticks) {
        --boost;
        remove_ready(*thread);
        thread->priority_decrement =
            static_cast<u8>(thread->priority_decrement + kHighestDynamicPriority - thread->priority);
        set_priority_field(*thread, kHighestDynamicPriority, PriorityChange::starvation);
        refill_quantum(*thread, kStarvationQuantum);
        defer(*thread);
      }
      thread = following;
    }
    index = index + 1 < kHighestDynamicPriority ? static_cast<u8>(index + 1) : u8{1};
  }
  p.queue_index = examine == 0 || boost == 0 ? index : u8{1};
  exit_dispatcher();
}

}  // namespace vitrine::ke
