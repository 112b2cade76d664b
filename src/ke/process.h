// Process (KPROCESS): what the scheduler knows of a process. Embedded in ps::Process; plain data, changed only by ke::Kernel.
#pragma once

#include "ke/dispatcher_object.h"
#include "ke/thread.h"
#include "ke/types.h"

namespace vitrine::ke {

struct Process {
  static constexpr u8 kNoSchedulingClass = 0xFF;
  Process() : header(DispatcherType::process) {}

  DispatcherHeader header;        // signalled when the last thread has ended
  IntrusiveList<Thread, &Thread::process_link> threads;
  IntrusiveList<Thread, &Thread::sched_link> ready_list;  // threads whose wait ended while the process was out of memory
  AffinityMask affinity = 0;
  u32 process_id = 0;             // for traces; set by ps
  u32 stack_count = 0;            // threads whose kernel stack is resident or on its way in
  u64 kernel_time = 0;            // of ended threads and of running ones, in clock ticks
  u64 user_time = 0;
  Priority base_priority = 8;
  u8 quantum_reset = 6;           // units, given to new threads and on foreground changes
  u8 thread_seed = 0;             // ideal processor of the newest thread
  u8 ideal_node = 0;              // where its threads' ideal processors are taken from
  ProcessState state = ProcessState::in_memory;
  bool foreground = false;        // wait ends get the priority separation, quanta the foreground index [facts 6.3, 6.5]
  bool disable_boost = false;
  bool disable_quantum = false;   // job scheduling class 9: real-time threads keep the processor
  u8 scheduling_class = kNoSchedulingClass;  // of its job
  bool idle_class = false;        // IDLE_PRIORITY_CLASS: always the shortest quantum
};

}  // namespace vitrine::ke
