// Construction, processes, and the life of a thread from KeInitThread to KeTerminateThread.
#include "ke/kernel.h"

#include <bit>
#include <limits>

#include "base/check.h"

namespace vitrine::ke {

Kernel::Kernel(const sim::Profile& profile, hal::Machine& machine, trace::Recorder& recorder, u32 processor_count)
    : profile_(profile),
      machine_(machine),
      recorder_(recorder),
      scan_dpc_([](Kernel& kernel, Dpc&, void*) { kernel.scan_ready_queues(); }, nullptr),
      cycles_per_unit_(machine.clock_interval().value * hal::kCyclesPerNanosecond /
                       profile.scheduler.quantum_units_per_tick) {
  VITRINE_CHECK(processor_count >= 1 && processor_count <= kMaximumProcessors &&
                processor_count == machine.processor_count());
  const hal::Topology& topology = machine.topology();
  for (u32 n = 0; n < topology.nodes; ++n) node_seeds_.push_back(static_cast<u8>(n * topology.processors_per_node()));
  for (u32 n = 0; n < (profile.scheduler.timer_table_per_processor ? processor_count : 1); ++n) {
    timers_.emplace_back(profile.scheduler.timer_table_size, machine.clock_interval_100ns());
  }
  for (u32 n = 0; n < processor_count; ++n) {
    auto processor = std::make_unique<Processor>();
    processor->number = n;
    processor->core_set = topology.core_mask(topology.core_of(n));
    processor->node_set = topology.node_mask(topology.node_of(n));
    Thread& idle = processor->idle_thread;
    idle.process = &idle_process_;
    idle.state = ThreadState::running;
    idle.affinity = AffinityMask{1} << n;
    idle.next_processor = idle.ideal_processor = static_cast<u8>(n);
    processor->current = &idle;
    processors_.push_back(std::move(processor));
    idle_summary_ |= AffinityMask{1} << n;
  }
  idle_process_.base_priority = kLowPriority;
  idle_process_.affinity = active_processors();
  next_balance_ = 10'000'000;
  set_priority_separation(profile.scheduler.priority_separation);
}

// The machine goes away: what still hangs in our lists is let go, so that its owners can free it.
Kernel::~Kernel() {
  for (const auto& p : processors_) {
    for (Processor::ThreadList& list : p->ready) {
      while (list.pop_front() != nullptr) {
      }
    }
    while (p->deferred_ready.pop_front() != nullptr) {
    }
    while (p->wait_list.pop_front() != nullptr) {
    }
    while (p->dpcs.pop_front() != nullptr || p->threaded_dpcs.pop_front() != nullptr) {
    }
  }
  while (inswap_list_.pop_front() != nullptr) {
  }
  for (TimerTable& table : timers_) {
    while (TimerCore* timer = table.expire_one({std::numeric_limits<i64>::max()})) timer->header.inserted = 0;
  }
}

void Kernel::record(trace::EventType type, u64 a, u64 b, u64 c, u64 d) {
  recorder_.record(
      {machine_.clock(executing_).value, type, static_cast<u16>(executing_), here().current->thread_id, {a, b, c, d}});
}

void Kernel::init_process(Process& process, Priority base_priority, AffinityMask affinity) {
  VITRINE_CHECK(base_priority < kPriorityLevels && (affinity & ~active_processors()) == 0 && affinity != 0);
  process.base_priority = base_priority;
  process.affinity = affinity;
  process.quantum_reset = quantum_units(process);
  // NT: processes rotate over the nodes, and their seeds over each node's processors, so that the first threads of different
  // processes spread [facts 6.7].
  const hal::Topology& topology = machine_.topology();
  process.ideal_node = static_cast<u8>(next_node_);
  u8& seed = node_seeds_[next_node_];
  process.thread_seed = seed;
  const u32 first = next_node_ * topology.processors_per_node();
  seed = static_cast<u8>(first + (seed - first + 1) % topology.processors_per_node());
  next_node_ = (next_node_ + 1) % topology.nodes;
}

void Kernel::signal_process(Process& process) {
  process.header.signal_state = 1;
  signal(process.header, kIncrementNone);
  exit_dispatcher();
}

void Kernel::init_thread(Thread& thread, Process& process, const ThreadParameters& parameters) {
  VITRINE_CHECK(parameters.base_priority < kPriorityLevels);
  VITRINE_CHECK((parameters.affinity & ~process.affinity) == 0);
  thread.process = &process;
  thread.thread_id = parameters.thread_id;
  thread.system_thread = parameters.system_thread;
  thread.base_priority = thread.priority = parameters.base_priority;
  thread.affinity = parameters.affinity != 0 ? parameters.affinity : process.affinity;
  thread.timer.header.spare = kThreadTimer;
  for (WaitBlock& block : thread.wait_blocks) block.thread = &thread;
  thread.wait_block_list = thread.wait_blocks;
  init_suspend_apc(thread);
  if (parameters.ideal_processor) {
    VITRINE_CHECK(*parameters.ideal_processor < processor_count());
    thread.ideal_processor = thread.next_processor = *parameters.ideal_processor;
    return;
  }
  // NT: KeStartThread takes the next processor to the right of the seed that the thread may use: on the process's node, and not
  // the seed's SMT sibling, if it can [facts 6.7].
  AffinityMask allowed = thread.affinity;
  const u32 first = process.ideal_node * machine_.topology().processors_per_node();
  if ((allowed & cpu(first).node_set) != 0) allowed &= cpu(first).node_set;
  if ((allowed & ~cpu(process.thread_seed).core_set) != 0) allowed &= ~cpu(process.thread_seed).core_set;
  const AffinityMask above = process.thread_seed >= 63 ? 0 : allowed & (~AffinityMask{0} << (process.thread_seed + 1));
  process.thread_seed = static_cast<u8>(std::countr_zero(above != 0 ? above : allowed));
  thread.ideal_processor = thread.next_processor = process.thread_seed;
}

void Kernel::start_thread(Thread& thread) {
  VITRINE_CHECK(!thread.started && thread.state == ThreadState::initialized);
  Process& process = *thread.process;
  thread.started = true;
  thread.disable_boost = process.disable_boost;
  thread.quantum_reset = process.quantum_reset;
  refill_quantum(thread, thread.quantum_reset);
  process.threads.push_back(thread);
  ++process.stack_count;
}

// NT: KeRundownThread. A kernel mutex still held is the bugcheck THREAD_TERMINATE_HELD_MUTEX: an error of ours.
void Kernel::rundown_thread(Thread& thread) {
  while (Mutant* mutant = thread.mutants.front()) {
    VITRINE_CHECK(!mutant->disables_kernel_apcs);
    mutant->owner_link.unlink();
    mutant->owner = nullptr;
    mutant->abandoned = true;
    mutant->header.signal_state = 1;
    signal(mutant->header, kIncrementMutant);
  }
  leave_queue(thread);
  exit_dispatcher();
}

void Kernel::terminate_thread(Thread& thread) {
  VITRINE_CHECK(thread.state == ThreadState::running && thread.started);
  VITRINE_CHECK(thread.kernel_apc_disable == 0 &&
                thread.special_apc_disable == 0);  // NT: CombinedApcDisable != 0 is a bugcheck
  VITRINE_CHECK(thread.apc_queues.kernel.empty() && thread.saved_apc_state == nullptr);
  leave_queue(thread);
  thread.apc_queueable = false;
  state_changes_.change(thread.state, ThreadState::terminated);
  thread.header.signal_state = 1;
  signal(thread.header, kIncrementNone);
  exit_dispatcher();
  thread.process_link.unlink();
  --thread.process->stack_count;
  swap_away(thread);
}

void Kernel::discard_thread(Thread& thread) {
  const bool has_stack = thread.kernel_stack_resident || thread.state == ThreadState::transition;
  switch (thread.state) {
    case ThreadState::waiting:
    case ThreadState::gate_wait:
      unlink_wait(thread);
      break;
    case ThreadState::ready:
      if (thread.process_ready_queue) {
        thread.sched_link.unlink();
      } else {
        remove_ready(thread);
      }
      break;
    case ThreadState::transition:
    case ThreadState::deferred_ready:
      thread.sched_link.unlink();
      break;
    case ThreadState::standby: {
      Processor& p = cpu(thread.next_processor);
      p.next = nullptr;
      refill_standby(p);
      break;
    }
    case ThreadState::running:
      thread.state = ThreadState::terminated;
      swap_away(thread);
      break;
    case ThreadState::initialized:
    case ThreadState::terminated:
      break;
  }
  thread.state = ThreadState::terminated;
  leave_queue(thread);
  for (ApcQueues* queues :
       {&thread.apc_queues, thread.saved_apc_state != nullptr ? &thread.saved_apc_state->queues : nullptr}) {
    if (queues == nullptr) continue;
    while (Apc* apc = queues->kernel.pop_front()) apc->inserted = false;
    while (Apc* apc = queues->user.pop_front()) apc->inserted = false;
  }
  while (Mutant* mutant = thread.mutants.pop_front()) mutant->owner = nullptr;
  if (thread.process_link.is_linked()) {
    thread.process_link.unlink();
    if (has_stack) --thread.process->stack_count;
  }
}

}  // namespace vitrine::ke
