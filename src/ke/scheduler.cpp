// Who runs where: readying, placement, selection, switching [facts 5.1, 6.2, 6.7].
#include <bit>

#include "base/check.h"
#include "ke/kernel.h"

namespace vitrine::ke {
namespace {
constexpr AffinityMask bit_of(u32 number) { return AffinityMask{1} << number; }
}  // namespace

// NT: KiReadyThread. A thread whose process or kernel stack is out of memory is not runnable yet: it waits for the
// swapper [facts 5.1: 5 to 1 with ProcessReadyQueue, 5 to 6].
void Kernel::make_ready(Thread& thread) {
  Process& process = *thread.process;
  if (process.state != ProcessState::in_memory) {
    state_changes_.change(thread.state, ThreadState::ready);
    thread.process_ready_queue = true;
    process.ready_list.push_back(thread);
    if (process.state == ProcessState::out_of_memory) {
      process.state = ProcessState::in_transition;
      VITRINE_CHECK(host_ != nullptr);
      host_->request_process_inswap(process);
    }
    return;
  }
  if (!thread.kernel_stack_resident) {
    state_changes_.change(thread.state, ThreadState::transition);
    ++process.stack_count;  // from now on: the process must not go out before the thread has run
    inswap_list_.push_back(thread);
    VITRINE_CHECK(host_ != nullptr);
    host_->request_stack_inswap(thread);
    return;
  }
  defer(thread);
}

void Kernel::defer(Thread& thread) {
  VITRINE_CHECK(here().irql <= Irql::dispatch);  // NT: the dispatcher's callers are at DISPATCH_LEVEL at most [WDK]
  state_changes_.change(thread.state, ThreadState::deferred_ready);
  thread.deferred_processor = static_cast<u8>(executing_);
  here().deferred_ready.push_back(thread);
}

void Kernel::exit_dispatcher() {
  while (Thread* thread = here().deferred_ready.pop_front()) deferred_ready(*thread);
}

// NT: KiDeferredReadyThread [facts 6.7]: an idle processor if there is one; else the ideal one, where the thread
// preempts the standby thread or the running one if its priority is strictly higher, or queues. Other processors are
// not searched for a lower-priority victim (5.2 and later).
void Kernel::deferred_ready(Thread& thread) {
  const i8 increment = thread.adjust_increment;
  if (thread.adjust_reason == AdjustReason::unwait) adjust_unwait(thread);
  if (thread.adjust_reason == AdjustReason::boost) adjust_boost(thread);
  thread.adjust_reason = AdjustReason::none;
  thread.adjust_increment = 0;
  const bool at_head = thread.preempted;
  thread.preempted = false;
  const std::optional<u32> idle = choose_idle(thread);
  Processor& target = cpu(idle ? *idle : choose_busy(thread));
  record(trace::EventType::thread_ready, thread.thread_id, thread.priority, target.number, static_cast<u64>(increment));
  if (idle) {
    set_standby(target, thread);
  } else if (target.next != nullptr) {
    Thread* standby = target.next;
    if (thread.priority > standby->priority) {
      target.next = nullptr;
      standby->preempted = true;
      set_standby(target, thread);
      defer(*standby);
    } else {
      insert_ready(target, thread, at_head);
    }
  } else if (thread.priority > target.current->priority) {
    target.current->preempted = true;
    set_standby(target, thread);
  } else {
    insert_ready(target, thread, at_head);
  }
}

// Those of the processors given whose whole core idles.
AffinityMask Kernel::idle_cores(AffinityMask among) const {
  AffinityMask cores = 0;
  for (AffinityMask rest = among; rest != 0; rest &= rest - 1) {
    const AffinityMask core = processors_[static_cast<u32>(std::countr_zero(rest))]->core_set;
    if ((core & ~idle_summary_) == 0) cores |= rest & ~(rest - 1);
  }
  return cores;
}

// Idle processors of the ideal one's node come before others, and among them whole idle cores before half-busy ones; then the
// ideal, the last, and the processor that readies it, a sibling of the ideal or the last one, else the highest-numbered
// [facts 6.7; WI5 ch.5 "Choosing a Processor for a Thread When There Are Idle Processors"].
std::optional<u32> Kernel::choose_idle(const Thread& thread) const {
  AffinityMask idle = idle_summary_ & thread.affinity;
  if (idle == 0) return std::nullopt;
  const Processor& ideal = *processors_[thread.ideal_processor];
  const Processor& last = *processors_[thread.next_processor];
  if ((idle & ideal.node_set) != 0) idle &= ideal.node_set;
  if (machine_.topology().threads_per_core > 1) {
    if (const AffinityMask cores = idle_cores(idle)) idle = cores;
  }
  for (const u32 preferred : {u32{thread.ideal_processor}, u32{thread.next_processor}, executing_}) {
    if ((idle & bit_of(preferred)) != 0) return preferred;
  }
  if ((idle & ideal.core_set) != 0) {
    idle &= ideal.core_set;
  } else if ((idle & last.core_set) != 0) {
    idle &= last.core_set;
  }
  return 63 - static_cast<u32>(std::countl_zero(idle));
}

u32 Kernel::choose_busy(const Thread& thread) const {
  if ((thread.affinity & bit_of(thread.ideal_processor)) != 0) return thread.ideal_processor;
  if ((thread.affinity & bit_of(thread.next_processor)) != 0) return thread.next_processor;
  return 63 - static_cast<u32>(std::countl_zero(thread.affinity));
}

void Kernel::insert_ready(Processor& processor, Thread& thread, bool at_head) {
  state_changes_.change(thread.state, ThreadState::ready);
  thread.next_processor = static_cast<u8>(processor.number);
  thread.wait_time = static_cast<u32>(tick_count());
  if (at_head) {
    processor.ready[thread.priority].push_front(thread);
  } else {
    processor.ready[thread.priority].push_back(thread);
  }
  processor.ready_summary |= 1u << thread.priority;
}

// Precondition: in a processor's ready list at its present priority.
void Kernel::remove_ready(Thread& thread) {
  Processor& processor = cpu(thread.next_processor);
  thread.sched_link.unlink();
  if (processor.ready[thread.priority].empty()) processor.ready_summary &= ~(1u << thread.priority);
}

// NT: KiSelectReadyThread: the first thread of the highest priority, if that is at least `minimum`.
Thread* Kernel::select_ready(Processor& processor, Priority minimum) {
  if (processor.ready_summary >> minimum == 0) return nullptr;
  const u32 priority = 31 - static_cast<u32>(std::countl_zero(processor.ready_summary));
  Thread* thread = processor.ready[priority].front();
  remove_ready(*thread);
  return thread;
}

// NT: KiIdleSchedule: an idle processor looks at the others' ready lists, here for the highest priority that may run on
// it, beginning with its right neighbour.
Thread* Kernel::select_elsewhere(Processor& processor) {
  const u32 count = processor_count();
  Thread* best = nullptr;
  for (u32 i = 1; i < count; ++i) {
    const Processor& other = cpu((processor.number + i) % count);
    for (u32 summary = other.ready_summary; summary != 0;) {
      const u32 priority = 31 - static_cast<u32>(std::countl_zero(summary));
      summary &= ~(1u << priority);
      if (best != nullptr && priority <= best->priority) break;
      for (Thread& thread : other.ready[priority]) {
        if ((thread.affinity & bit_of(processor.number)) == 0) continue;
        best = &thread;
        break;
      }
    }
  }
  if (best != nullptr) remove_ready(*best);
  return best;
}

Thread& Kernel::select_any(Processor& processor) {
  if (Thread* standby = processor.next) {
    processor.next = nullptr;
    return *standby;
  }
  if (Thread* own = select_ready(processor, kLowPriority)) return *own;
  if (Thread* other = select_elsewhere(processor)) return *other;
  return processor.idle_thread;
}

void Kernel::set_standby(Processor& processor, Thread& thread) {
  VITRINE_CHECK(processor.next == nullptr);
  state_changes_.change(thread.state, ThreadState::standby);
  thread.next_processor = static_cast<u8>(processor.number);
  processor.next = &thread;
  idle_summary_ &= ~bit_of(processor.number);
  // An idle processor's clock stood still; the wake-up reaches it now.
  if (processor.is_idle()) machine_.catch_up(processor.number, machine_.clock(executing_));
}

void Kernel::refill_standby(Processor& processor) {
  if (processor.is_idle()) {
    Thread& thread = select_any(processor);
    if (&thread != &processor.idle_thread) {
      set_standby(processor, thread);
    } else {
      idle_summary_ |= bit_of(processor.number);
    }
  } else if (processor.current->priority < kHighPriority) {
    if (Thread* better = select_ready(processor, static_cast<Priority>(processor.current->priority + 1))) {
      set_standby(processor, *better);
    }
  }
}

// The context switch proper. The thread that ran has found its new place already.
void Kernel::switch_to(Processor& processor, Thread& thread) {
  Thread& old = *processor.current;
  const u32 number = processor.number;
  recorder_.record({machine_.clock(number).value,
                    trace::EventType::context_switch,
                    static_cast<u16>(number),
                    old.thread_id,
                    {old.thread_id, thread.thread_id, static_cast<u64>(old.state), static_cast<u64>(old.wait_reason)}});
  machine_.advance_picoseconds(number, profile_.costs.context_switch.picoseconds);
  processor.current = &thread;
  processor.quantum_end = false;
  ++processor.context_switches;
  ++thread.context_switches;
  thread.next_processor = static_cast<u8>(number);
  if (processor.is_idle()) {
    idle_summary_ |= bit_of(number);  // the idle thread is running always
  } else {
    state_changes_.change(thread.state, ThreadState::running);
    idle_summary_ &= ~bit_of(number);
  }
}

// NT: KiSwapThread. Precondition: `thread` ran and is now waiting or terminated.
void Kernel::swap_away(Thread& thread) {
  Processor& processor = cpu(thread.next_processor);
  VITRINE_CHECK(processor.current == &thread);
  switch_to(processor, select_any(processor));
}

// The running thread gives way to `thread`: a preempted one goes to the head of its list, others to the tail
// [facts 6.7]. When it may not stay here, or another processor idles, it looks for a place like any thread that becomes
// ready.
void Kernel::replace_running(Processor& processor, Thread& thread) {
  Thread& old = *processor.current;
  if (&old != &processor.idle_thread) {
    const bool may_stay = (old.affinity & bit_of(processor.number)) != 0;
    if (may_stay && (idle_summary_ & old.affinity) == 0) {
      const bool at_head = old.preempted;
      old.preempted = false;
      insert_ready(processor, old, at_head);
    } else {
      defer(old);
    }
  }
  switch_to(processor, thread);
  exit_dispatcher();
}

void Kernel::ready_thread(Thread& thread) {
  VITRINE_CHECK(!thread.sched_link.is_linked());
  make_ready(thread);
  exit_dispatcher();
}

void Kernel::stack_inswapped(Thread& thread) {
  VITRINE_CHECK(thread.state == ThreadState::transition);
  thread.sched_link.unlink();
  thread.kernel_stack_resident = true;
  make_ready(thread);
  exit_dispatcher();
}

void Kernel::process_inswapped(Process& process) {
  process.state = ProcessState::in_memory;
  while (Thread* thread = process.ready_list.pop_front()) {
    thread->process_ready_queue = false;
    make_ready(*thread);
  }
  exit_dispatcher();
}

// NT: KiOutSwapProcesses: the last stack went, and the rest of the process follows it [facts 6.9].
void Kernel::outswap_process(Process& process) {
  VITRINE_CHECK(process.state == ProcessState::in_memory && process.stack_count == 0 && host_ != nullptr);
  process.state = ProcessState::out_of_memory;
}

bool Kernel::may_lose_stack(const Thread& thread) {
  constexpr Priority kNeverSwapped = 25;
  return thread.enable_stack_swap && thread.kernel_stack_resident && thread.priority < kNeverSwapped;
}

// NT: KiOutSwapKernelStacks [facts 6.9]: user-mode waits only, stack swap enabled, priority below 25, oldest first.
u32 Kernel::outswap_stacks(u32 older_than_ticks, u32 maximum, void (*swapped)(void* context, Thread& thread),
                           void* context) {
  u32 count = 0;
  for (const auto& processor : processors_) {
    Thread* thread = processor->wait_list.front();
    while (thread != nullptr && count < maximum) {
      Thread* const following = processor->wait_list.next(*thread);
      if (static_cast<u32>(tick_count()) - thread->wait_time <= older_than_ticks) break;  // the rest is younger
      if (may_lose_stack(*thread)) {
        thread->kernel_stack_resident = false;
        --thread->process->stack_count;
        ++count;
        thread->sched_link.unlink();  // the list holds candidates only
        swapped(context, *thread);
      }
      thread = following;
    }
  }
  return count;
}

}  // namespace vitrine::ke
