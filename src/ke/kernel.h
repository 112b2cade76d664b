// Kernel: the dispatcher and the scheduler (KeXxx). It decides who runs, who waits and who wakes, and nothing else: it knows
// threads, processes and dispatcher objects as records that others own. Synchronous, except the functions that return a
// Task: only those suspend. It owns the processors' scheduling state, the timer table and the DPC queues.
// Refuses: running anything (the run loop in vitrine/ does), memory, handles, names. Guest input is checked above it, except
// where a function says that it returns an error.
// The run loop, per window:
//   p = next_processor();                       delivers due clock interrupts, skips idle time; none: nothing will ever happen
//   enter(p); dispatch(p);
//   Thread* t = current(p); if (is_idle(p)) continue;
//   if (t->continuation) resume(*t);            a wait has ended; the service goes on
//   else if (deliver_kernel_apcs(*t) == ApcOutcome::blocked) ;   it has been suspended
//   else if (user_apc_pending(*t)) { take_user_apc(*t) ... }
//   else run user code and handle its exit;     charge(p, ...)
//   end_window(p);                              due clock interrupts, DPCs, the pending switch
// A thread that begins to wait or ends leaves its processor at once (`current` is another one); a thread that is
// preempted, yields or loses its quantum stays until dispatch() or end_window().
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "base/task.h"
#include "hal/machine.h"
#include "ke/apc.h"
#include "ke/dispatcher_object.h"
#include "ke/dpc.h"
#include "ke/host.h"
#include "ke/keyed_event.h"
#include "ke/process.h"
#include "ke/processor.h"
#include "ke/state_changes.h"
#include "ke/thread.h"
#include "ke/timer_table.h"
#include "ke/types.h"
#include "sim/profile.h"
#include "trace/recorder.h"

namespace vitrine::ke {

enum class ApcOutcome : u8 { continues, blocked };

class Kernel {
 public:
  // All must outlive the kernel. `processor_count` must be the machine's.
  Kernel(const sim::Profile& profile, hal::Machine& machine, trace::Recorder& recorder, u32 processor_count);
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  // ---- Processors and the run loop -------------------------------------------------------------------------------------
  [[nodiscard]] u32 processor_count() const { return static_cast<u32>(processors_.size()); }
  [[nodiscard]] AffinityMask active_processors() const;
  [[nodiscard]] const Processor& processor(u32 number) const { return *processors_[number]; }
  [[nodiscard]] AffinityMask idle_summary() const { return idle_summary_; }
  [[nodiscard]] const StateChanges& state_changes() const { return state_changes_; }  // all that any thread made
  [[nodiscard]] Thread* current(u32 number) const { return processors_[number]->current; }  // the idle thread when idle
  [[nodiscard]] bool is_idle(u32 number) const { return processors_[number]->is_idle(); }
  // The processor on whose behalf kernel functions run now: placement prefers it, costs and DPCs go to it.
  void enter(u32 number);
  [[nodiscard]] u32 executing_processor() const { return executing_; }
  // The busy processor with the least clock (then the lowest number), after delivering every clock interrupt due up to then. When
  // all idle, skips to the earliest timer and returns processor 0, idle still perhaps. nullopt: all idle, no timer set.
  [[nodiscard]] std::optional<u32> next_processor();
  // Clock interrupt of processor `number`; precondition: hal says one is due. Accounts time, expires timers, ends quanta.
  void clock_interrupt(u32 number);
  // Runs DPCs and does the pending switch: standby thread, quantum end, idle look-around.
  void dispatch(u32 number);
  // Window edge: every due clock interrupt of this processor, then dispatch().
  void end_window(u32 number);
  // For a thread of the kernel's own between two pieces of work, or yet to run: its window is over, but it does not wait.
  struct Pause {
    Thread* thread;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> frame) const noexcept { thread->continuation = frame; }
    void await_resume() const noexcept {}
  };
  // Precondition: thread is running and has a continuation. Returns when the service waits again or ends.
  void resume(Thread& thread);
  // Moves the clock and charges the current thread (cycle time, quantum by cycles). `mode` is what a tick would sample.
  void charge(u32 number, Nanoseconds time, Mode mode);
  void charge_picoseconds(u32 number, u64 picoseconds, Mode mode);
  [[nodiscard]] bool anything_ready() const;  // a thread is running, standby or ready, or a DPC is queued
  // Interrupt time of the earliest timer.
  [[nodiscard]] std::optional<Ticks> next_due() const;
  bool queue_dpc(Dpc& dpc);     // on its target processor, or the executing one. False: it was queued already
  static bool remove_dpc(Dpc& dpc);  // false: was not queued
  // The body of a processor's DPC thread: it ends when its wait is aborted.
  Task<Status> run_threaded_dpcs(Thread* thread, u32 number);
  [[nodiscard]] Irql irql() const { return processors_[executing_]->irql; }
  // Signalled once a second of interrupt time (once for all of a skipped idle stretch); its DPC is the starvation scan.
  [[nodiscard]] DispatcherHeader& balance_timer() { return balance_timer_.header; }

  // ---- Time ------------------------------------------------------------------------------------------------------------
  [[nodiscard]] Ticks interrupt_time() const { return machine_.interrupt_time(); }
  [[nodiscard]] Ticks system_time() const { return machine_.system_time(); }
  [[nodiscard]] u64 tick_count() const { return machine_.tick_count(); }
  // Timers with an absolute due time move with the clock [facts 7.3].
  void set_system_time(Ticks time);

  // ---- Processes and threads: life -------------------------------------------------------------------------------------
  void init_process(Process& process, Priority base_priority, AffinityMask affinity);
  void signal_process(Process& process);      // KeSetProcess: the last thread has ended
  void init_thread(Thread& thread, Process& process, const ThreadParameters& parameters);
  // Links the thread into its process and gives it priority, quantum, affinity and ideal processor (KeStartThread).
  void start_thread(Thread& thread);
  // Makes a thread runnable: a new one, or one whose wait was ended by the caller (KeReadyThread).
  void ready_thread(Thread& thread);
  // Abandons owned mutants and leaves its queue (KeRundownThread). The thread is running.
  void rundown_thread(Thread& thread);
  // Ends the running thread: state, signal, unlink, switch away (KeTerminateThread). Its frame may go on to its end, but not wait.
  void terminate_thread(Thread& thread);
  // Takes a thread out of every list in whatever state: one that was never readied, or when the machine is taken apart, which
  // is no change of state that NT knows. Its continuation, if any, must have ended or be resumed by the caller.
  void discard_thread(Thread& thread);
  void attach_process(Thread& thread, Process& process, SavedApcState& storage);  // KeStackAttachProcess
  void detach_process(Thread& thread);

  // ---- Suspend, freeze, alert [facts 7.8] ------------------------------------------------------------------------------
  // Both return the previous count. suspend_count_exceeded at 127.
  Result<u32> suspend_thread(Thread& thread);
  u32 resume_thread(Thread& thread);
  u32 force_resume_thread(Thread& thread);    // clears suspend and freeze; returns their sum
  void freeze_thread(Thread& thread);         // by the debugger
  void thaw_thread(Thread& thread);
  void freeze_process(Process& process, const Thread* except);
  void thaw_process(Process& process);
  bool alert_thread(Thread& thread, Mode mode);         // returns the previous alert flag
  u32 alert_resume_thread(Thread& thread);              // returns the previous suspend count
  Status test_alert(Thread& thread, Mode mode);         // alerted, or success; arms pending user APCs
  void alert_thread_by_id(Thread& thread);              // NtAlertThreadByThreadId
  // alerted, timeout or user_apc. `address` is for debuggers only. May suspend.
  Task<Status> wait_for_alert_by_id(Thread* thread, Va address, std::optional<Ticks> timeout);
  // The same without a frame, when it can end at once; nullopt: nothing has happened, use the Task.
  std::optional<Status> try_wait_for_alert_by_id(Thread& thread, std::optional<Ticks> timeout);

  // ---- APCs [facts 7.7] ------------------------------------------------------------------------------------------------
  static void init_apc(Apc& apc, Thread& thread, ApcKind kind, const ApcOperations& operations,
                       ApcEnvironment environment = ApcEnvironment::original);
  // False: already inserted, or the thread takes no more. May end the thread's wait.
  bool insert_apc(Apc& apc, i8 increment = 0);
  bool remove_apc(Apc& apc);
  // The exit APC: special kernel stage, then the head of the user queue with delivery armed; undoes every suspension. User-mode
  // waits of the thread end with user_apc, now and later; kernel-mode waits go on [facts 5.14]. `apc` was initialised with
  // ApcKind::special_kernel; its kernel routine is called when the user stage is taken. False as for insert_apc.
  bool insert_exit_apc(Apc& apc);
  // Delivers kernel APCs to the running thread. `blocked`: it now waits on its suspend semaphore (no frame needed: call again
  // when it next runs); the caller must not go on with it.
  ApcOutcome deliver_kernel_apcs(Thread& thread);
  [[nodiscard]] bool user_apc_pending(const Thread& thread) const;
  // Removes the first user APC, or nullopt. The caller makes the user-mode frame.
  std::optional<UserApcCall> take_user_apc(Thread& thread);
  // The running thread takes no more APCs; queued kernel APCs run, user APCs are run down (exit, facts 5.14 step 10). Also
  // undoes suspension.
  void flush_apcs(Thread& thread);
  void enter_critical_region(Thread& thread) { --thread.kernel_apc_disable; }
  void leave_critical_region(Thread& thread);
  void enter_guarded_region(Thread& thread) { --thread.special_apc_disable; }
  void leave_guarded_region(Thread& thread);

  // ---- Waits [facts 7.3] -----------------------------------------------------------------------------------------------
  // Results: success + index, abandoned_wait_0 + index, timeout, alerted, user_apc (delivery is armed), mutant_limit_exceeded,
  // invalid_parameter_1 (0 or more than 64 objects), invalid_parameter_mix (an object twice in a wait for all). The caller keeps the
  // objects alive. The thread must be running. A pending user APC of a terminating thread ends any user-mode wait.
  Task<Status> wait_single(Thread* thread, DispatcherHeader* object, WaitParameters parameters);
  Task<Status> wait_multiple(Thread* thread, std::span<DispatcherHeader* const> objects, WaitType type, WaitParameters parameters);
  // Without a frame: the status when the wait ends at once, else nullopt and nothing has happened.
  std::optional<Status> try_wait_single(Thread& thread, DispatcherHeader& object, const WaitParameters& parameters);
  std::optional<Status> try_wait_multiple(Thread& thread, std::span<DispatcherHeader* const> objects, WaitType type,
                                          const WaitParameters& parameters);
  // Signals `signal` (event, semaphore by one, or mutant) and waits on `object`, with no chance for another in between.
  // mutant_not_owned, semaphore_limit_exceeded, object_type_mismatch: nothing was done.
  Task<Status> signal_and_wait(Thread* thread, DispatcherHeader* signal, DispatcherHeader* object, WaitParameters parameters);
  // success when the time is over; alerted, user_apc. A zero delay is a yield.
  Task<Status> delay_execution(Thread* thread, WaitParameters parameters);
  // no_yield_performed when no other thread is ready on this processor. Switches at the window edge.
  Status yield_execution(Thread& thread);
  // Ends a wait from outside (cancelled I/O, shutdown). False: no wait, or suspended within it (force_resume_thread first).
  bool abort_wait(Thread& thread, Status status, i8 increment = 0);

  // ---- Objects: numbers returned are previous signal states ------------------------------------------------------------
  i32 set_event(Event& event, i8 increment = kIncrementEvent);
  i32 reset_event(Event& event);
  i32 pulse_event(Event& event, i8 increment = kIncrementEvent);
  [[nodiscard]] static i32 read_state(const DispatcherHeader& header) { return header.signal_state; }
  Result<i32> release_semaphore(Semaphore& semaphore, i32 count, i8 increment = kIncrementSemaphore);  // semaphore_limit_exceeded
  void initialize_owned_mutant(Mutant& mutant, Thread& owner);
  // mutant_not_owned. `abandon` releases it whoever owns it (its handle's owner is gone).
  Result<i32> release_mutant(Mutant& mutant, Thread& thread, bool abandon = false);
  // `due` as a wait's timeout. Returns whether it was set before.
  bool set_timer(Timer& timer, Ticks due, u32 period_ms = 0, Dpc* dpc = nullptr);
  bool cancel_timer(Timer& timer);
  [[nodiscard]] Ticks timer_remaining(const TimerCore& timer) const;  // 100 ns until due, 0 when not set
  void signal_gate(Gate& gate);
  Task<Status> wait_gate(Thread* thread, Gate* gate, WaitReason reason = WaitReason::wr_guarded_mutex);

  // ---- Queues [facts 7.5] ----------------------------------------------------------------------------------------------
  i32 insert_queue(Queue& queue, QueueEntry& entry);  // returns the number of entries before
  i32 insert_queue_head(Queue& queue, QueueEntry& entry);
  // Else timeout, alerted, user_apc, abandoned_wait_0 (the queue was run down).
  Task<Result<QueueEntry*>> remove_queue(Thread* thread, Queue* queue, WaitParameters parameters);
  // nullopt: use remove_queue.
  std::optional<Result<QueueEntry*>> try_remove_queue(Thread& thread, Queue& queue, const WaitParameters& parameters);
  bool remove_queue_entry(Queue& queue, QueueEntry& entry);  // false: somebody has received it
  void rundown_queue(Queue& queue);  // detaches every thread, wakes the waiters; the entries left are the caller's
  // Waits for the object, no mutant, without a thread: once, `entry` goes into `queue`. True: at once, the object was signalled.
  bool notify_queue(QueueNotification& notification, DispatcherHeader& object, Queue& queue, QueueEntry& entry);
  bool cancel_notification(QueueNotification& notification);  // false: it waits for nothing

  // ---- Keyed events [facts 7.6] ----------------------------------------------------------------------------------------
  // invalid_parameter_1 for an odd key. Both may suspend until the other side comes.
  Task<Status> wait_keyed_event(Thread* thread, KeyedEvent* event, u64 key, WaitParameters parameters);
  Task<Status> release_keyed_event(Thread* thread, KeyedEvent* event, u64 key, WaitParameters parameters);

  // ---- Scheduling ------------------------------------------------------------------------------------------------------
  Priority set_priority(Thread& thread, Priority priority);           // current priority; returns the old one
  i32 set_base_priority(Thread& thread, i32 increment);               // relative to the process; returns the old increment
  [[nodiscard]] i32 query_base_priority(const Thread& thread) const;  // the increment; +-16 when saturated
  void boost_priority(Thread& thread, i8 increment);                  // KeBoostPriorityThread
  i32 set_event_boost_priority(Event& event);                         // wakes the first waiter with the lock boost
  // invalid_parameter: empty or outside the process's affinity. Returns the old mask.
  Result<AffinityMask> set_affinity(Thread& thread, AffinityMask affinity);
  Status set_process_affinity(Process& process, AffinityMask affinity);
  Result<u8> set_ideal_processor(Thread& thread, u8 processor);       // invalid_parameter; returns the old one
  bool set_disable_boost(Thread& thread, bool disable);
  void set_process_priority(Process& process, Priority base_priority, bool idle_class);
  void set_process_foreground(Process& process, bool foreground);     // quantum and boost [facts 6.3]
  void set_priority_separation(u32 win32_priority_separation);        // the registry value's bits
  [[nodiscard]] u32 priority_separation() const { return separation_; }  // 0..2
  [[nodiscard]] u8 quantum_units(const Process& process) const;  // that a process is entitled to
  // A job's scheduling class, 0 to 9, or none: decides the quantum where quanta are long and fixed [facts 9.2].
  void set_scheduling_class(Process& process, std::optional<u8> scheduling_class);
  // Gives the process's threads what quantum_units() says now (PsChangeQuantumTable does it for every process).
  void refresh_quantum(Process& process);
  // One pass over one processor's ready lists, the next one in turn (KiScanReadyQueues): the balance timer's DPC.
  void scan_ready_queues();

  // ---- Stack swapping [facts 6.9] --------------------------------------------------------------------------------------
  // Up to `maximum` threads in a user-mode wait for longer than `older_than_ticks` lose their kernel stack; `swapped` hears of each.
  u32 outswap_stacks(u32 older_than_ticks, u32 maximum, void (*swapped)(void* context, Thread& thread), void* context);
  void outswap_process(Process& process);               // precondition: in memory, no thread's stack resident
  void stack_inswapped(Thread& thread);
  void process_inswapped(Process& process);
  [[nodiscard]] Thread* first_inswap() const { return inswap_list_.front(); }  // in transition for longest
  // Who brings in what is out. Without one nothing may be swapped out.
  void set_host(Host* host) { host_ = host; }

 private:
  friend class InvariantChecker;
  // Suspends the frame of a thread that has just left its processor; the run loop resumes it through Thread::continuation.
  struct Block {
    Thread* thread;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> frame) const noexcept { thread->continuation = frame; }
    Status await_resume() const noexcept { return thread->wait_status; }
  };
  struct WaitSet;                                       // the objects of one wait, held by its frame
  [[nodiscard]] Processor& cpu(u32 number) { return *processors_[number]; }
  [[nodiscard]] Processor& here() { return *processors_[executing_]; }
  void make_ready(Thread& thread);                      // KiReadyThread: to the deferred list, or for the swapper
  void exit_dispatcher();                               // KiExitDispatcher: empties the deferred list
  void deferred_ready(Thread& thread);                  // KiDeferredReadyThread: finds the processor
  void defer(Thread& thread);
  void adjust_unwait(Thread& thread);
  void adjust_boost(Thread& thread);
  [[nodiscard]] std::optional<u32> choose_idle(const Thread& thread) const;
  [[nodiscard]] AffinityMask idle_cores(AffinityMask among) const;
  [[nodiscard]] u32 choose_busy(const Thread& thread) const;
  void insert_ready(Processor& processor, Thread& thread, bool at_head);
  void remove_ready(Thread& thread);
  Thread* select_ready(Processor& processor, Priority minimum);
  Thread* select_elsewhere(Processor& processor);
  Thread& select_any(Processor& processor);             // standby, own lists, other lists, idle thread
  void set_standby(Processor& processor, Thread& thread);
  void reconsider_preemption(Processor& processor);
  void refill_standby(Processor& processor);            // its standby thread went elsewhere
  void switch_to(Processor& processor, Thread& thread);
  void swap_away(Thread& thread);                       // KiSwapThread: the running thread has stopped
  void replace_running(Processor& processor, Thread& thread);
  void quantum_end(Processor& processor);
  void refill_quantum(Thread& thread, u32 units);
  [[nodiscard]] bool quantum_used_up(const Thread& thread) const;
  void apply_priority(Thread& thread, Priority priority, PriorityChange reason);  // KiSetPriorityThread, in whatever state it is
  void set_priority_field(Thread& thread, Priority priority, PriorityChange reason);
  void run_dpcs(Processor& processor);
  [[nodiscard]] u32 table_of(u32 processor) const { return timers_.size() > 1 ? processor : 0; }
  [[nodiscard]] static bool may_lose_stack(const Thread& thread);
  [[nodiscard]] std::optional<Ticks> next_outswap() const;
  void expire_timers(Processor& processor);
  void balance_second();
  bool skip_idle_time();
  [[nodiscard]] static Priority decayed_priority(const Thread& thread, u32 adjustment);
  [[nodiscard]] std::optional<Status> test_wait(Thread& thread, std::span<DispatcherHeader* const> objects, WaitType type);
  [[nodiscard]] std::optional<Status> check_alerts(Thread& thread, const WaitParameters& parameters);
  [[nodiscard]] std::optional<Ticks> due_time(std::optional<Ticks> timeout) const;
  [[nodiscard]] static bool satisfiable(const DispatcherHeader& object, const Thread& thread);
  bool satisfy(DispatcherHeader& object, Thread& thread);    // the side effect; true: it was an abandoned mutant
  static void consume(DispatcherHeader& object);             // the same for all but mutants
  void block_thread(Thread& thread, const WaitParameters& parameters, std::optional<Ticks> due, ThreadState state);
  void unwait(Thread& thread, Status status, i8 increment);  // KiUnwaitThread
  void unlink_wait(Thread& thread);
  void signal(DispatcherHeader& header, i8 increment);       // KiWaitTest
  [[nodiscard]] static bool kernel_apc_deliverable(const Thread& thread);
  Task<Status> wait_task(Thread* thread, WaitSet set, WaitType type, WaitParameters parameters);
  std::optional<Status> begin_wait(Thread& thread, WaitBlock* blocks, u32 count, WaitType type,
                                   const WaitParameters& parameters, std::optional<Ticks> due);
  Task<Status> keyed_task(Thread* thread, KeyedEvent* event, u64 key, bool releasing, WaitParameters parameters);
  void expire_timer(TimerCore& timer);
  void start_timer(TimerCore& timer, Ticks due, bool absolute);
  void put_in_table(TimerCore& timer);
  void stop_timer(TimerCore& timer);
  void put_in_queue(Queue& queue, QueueEntry& entry, bool at_head);
  [[nodiscard]] static WaitBlock* last_queue_waiter(Queue& queue);
  void associate(Thread& thread, Queue& queue);
  void leave_queue(Thread& thread);
  void activate_queue(Queue& queue);
  static void init_suspend_apc(Thread& thread);
  void release_suspension(Thread& thread);
  void begin_suspension(Thread& thread);
  [[nodiscard]] static ApcQueues& queues_for(Apc& apc);
  void run_kernel_apc(Thread& thread, Apc& apc);
  void run_down_apc(Apc& apc);
  void record(trace::EventType type, u64 a = 0, u64 b = 0, u64 c = 0, u64 d = 0);
  const sim::Profile& profile_;
  hal::Machine& machine_;
  trace::Recorder& recorder_;
  Host* host_ = nullptr;
  std::vector<std::unique_ptr<Processor>> processors_;
  Process idle_process_;
  std::deque<TimerTable> timers_;          // one, or one per processor
  Timer balance_timer_{TimerKind::synchronization};  // in no table: idle time need not stop for it
  Dpc scan_dpc_;
  Processor::ThreadList inswap_list_;      // threads in transition
  AffinityMask idle_summary_ = 0;
  u32 executing_ = 0;
  StateChanges state_changes_;
  u32 separation_ = 2;                     // PsPrioritySeparation
  u8 quantum_table_[3] = {6, 12, 18};      // PspForegroundQuantum
  bool long_fixed_ = false;                // PspUseJobSchedulingClasses
  u32 scan_processor_ = 0;
  u32 next_node_ = 0;                      // KeProcessNodeSeed
  std::vector<u8> node_seeds_;             // per node: the next process's seed
  i64 next_balance_ = 0;                   // interrupt time of the next balance-set tick
  u64 cycles_per_unit_;                    // 6.1: cycles per clock tick / 3
};

}  // namespace vitrine::ke
