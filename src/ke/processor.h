// Processor (KPRCB): one processor's scheduling state. Read by anyone, changed only by ke::Kernel.
#pragma once

#include "ke/dpc.h"
#include "ke/process.h"
#include "ke/thread.h"
#include "ke/types.h"

namespace vitrine::ke {

struct Processor {
  using ThreadList = IntrusiveList<Thread, &Thread::sched_link>;

  u32 number = 0;
  AffinityMask core_set = 0;            // itself and its SMT siblings (MultiThreadProcessorSet)
  AffinityMask node_set = 0;            // the processors of its node (ParentNode)
  u32 ready_summary = 0;                // bit p: ready[p] is not empty
  ThreadList ready[kPriorityLevels];
  ThreadList deferred_ready;            // being readied; empty between calls of the kernel
  ThreadList wait_list;                 // user-mode waits, oldest first: candidates for stack outswap
  Thread* current = nullptr;            // never null after construction
  Thread* next = nullptr;               // standby: runs at the next window edge
  Thread idle_thread;                   // runs when nothing else may; belongs to no list
  IntrusiveList<Dpc, &Dpc::link> dpcs;
  IntrusiveList<Dpc, &Dpc::link> threaded_dpcs;  // for dpc_thread
  Thread* dpc_thread = nullptr;         // NT: KiExecuteDpc; null: threaded DPCs run like others
  Gate dpc_gate;                        // what it waits for
  Irql irql = Irql::passive;
  bool timer_request = false;           // timers are due: they expire first thing when DPCs run
  Mode last_mode = Mode::kernel;        // of the last charge: what a clock tick samples
  u8 queue_index = 1;                   // where the next starvation scan begins
  bool quantum_end = false;             // to be handled at the next window edge
  u64 context_switches = 0;
  u64 interrupt_count = 0;
  u64 dpc_count = 0;
  u64 idle_ticks = 0, kernel_ticks = 0, user_ticks = 0;

  [[nodiscard]] bool is_idle() const { return current == &idle_thread; }
};

}  // namespace vitrine::ke
