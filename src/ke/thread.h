// Thread (KTHREAD): everything that the dispatcher and scheduler know of a thread, as plain data: no virtuals, no containers,
// no allocation for a thread that has never run. Embedded in ps::Thread. Only ke::Kernel changes it, except the fields
// marked "ps". A thread is in exactly one place at a time, which `state` names:
//
//   initialized      nowhere                         standby     Processor::next
//   deferred_ready   Processor::deferred_ready       running     Processor::current
//   ready            one ready list, or (process_ready_queue) its process's ready_list
//   waiting          the waiter lists of its objects; user-mode waits also in Processor::wait_list
//   transition       Kernel's stack in-swap list     terminated  nowhere
#pragma once

#include <coroutine>

#include "base/status.h"
#include "ke/apc.h"
#include "ke/dispatcher_object.h"
#include "ke/types.h"
#include "ke/wait_block.h"

namespace vitrine::ke {

struct Thread {
  Thread() : header(DispatcherType::thread), timer(DispatcherType::notification_timer), suspend_semaphore(DispatcherType::semaphore) {}
  [[nodiscard]] Process* current_process() const {
    return saved_apc_state != nullptr ? saved_apc_state->attached_process : process;
  }
  [[nodiscard]] bool is_realtime() const { return priority >= kLowRealtimePriority; }

  DispatcherHeader header;              // signalled when terminated
  IntrusiveList<Mutant, &Mutant::owner_link> mutants;  // owned; abandoned by rundown
  ApcQueues apc_queues;                 // of the current process
  SavedApcState* saved_apc_state = nullptr;  // not null while attached
  WaitBlock wait_blocks[4];             // 0-2 objects, 3 the timer
  TimerCore timer;                      // times out waits
  Apc suspend_apc;
  DispatcherHeader suspend_semaphore;   // a semaphore with limit 2
  ListLink sched_link;                  // see above; also the wait list
  ListLink process_link;                // Process::threads, from start to termination
  QueueAssociation* queue = nullptr;    // the queue that counts this thread
  Process* process = nullptr;           // the owner, attached or not
  WaitBlock* wait_block_list = nullptr; // of the present wait: wait_blocks, or an array of its frame
  std::coroutine_handle<> continuation; // the leaf frame of a suspended service; null: at the user-mode boundary
  AffinityMask affinity = 0;            // subset of the process's
  u64 cycle_time = 0;                   // TSC cycles charged, interrupts excluded
  u64 quantum_target = 0;               // 6.1: cycle_time at which the quantum ends
  u32 thread_id = 0;                    // for traces (ps)
  u32 wait_time = 0;                    // tick count (low half) at which it began to wait or became ready
  u32 context_switches = 0;
  Status wait_status{};                 // of the last wait
  u32 kernel_time = 0;                  // clock ticks sampled in that mode
  u32 user_time = 0;

  ThreadState state = ThreadState::initialized;
  WaitReason wait_reason = WaitReason::executive;  // of the present or last wait, or why it lost the processor
  Mode wait_mode = Mode::kernel;
  WaitType wait_type = WaitType::any;
  u8 wait_count = 0;                    // objects in wait_block_list, the timer not counted; 0 when not waiting
  Priority priority = 0;
  Priority base_priority = 0;
  u8 priority_decrement = 0;            // part of priority above base that falls off at once
  i8 saturation = 0;                    // -1, 0, +1: base priority is pinned to the end of its range
  i8 quantum = 0;                       // 5.2: units left, 3 per tick
  u8 quantum_reset = 6;                 // units
  AdjustReason adjust_reason = AdjustReason::none;
  i8 adjust_increment = 0;
  u8 ideal_processor = 0;
  u8 next_processor = 0;                // the one it runs, is ready or last ran on
  u8 deferred_processor = 0;            // whose deferred list holds it
  u8 freeze_count = 0;
  u8 suspend_count = 0;
  i16 kernel_apc_disable = 0;           // negative: disabled that many times
  i16 special_apc_disable = 0;
  ApcFlags apc_flags;
  Mode previous_mode = Mode::user;      // ps
  bool alertable : 1 = false;
  bool alerted_kernel : 1 = false;
  bool alerted_user : 1 = false;
  bool alert_by_id : 1 = false;         // the sticky bit of NtAlertThreadByThreadId
  bool preempted : 1 = false;           // goes to the head of its ready list
  bool disable_boost : 1 = false;
  bool apc_queueable : 1 = true;        // false once it is exiting: APCs are refused
  bool process_ready_queue : 1 = false;
  bool enable_stack_swap : 1 = true;
  bool kernel_stack_resident : 1 = true;
  bool terminating : 1 = false;         // the exit APC was inserted
  bool system_thread : 1 = false;       // ps
  bool started : 1 = false;             // linked in its process
  bool at_apc_level : 1 = false;        // it raised itself to APC_LEVEL (a fast mutex): no kernel APC reaches it
};
static_assert(sizeof(Thread) == 464);  // millions exist: a new field must be paid for knowingly

}  // namespace vitrine::ke
