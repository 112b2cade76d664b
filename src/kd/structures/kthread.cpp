// KTHREAD: what the dispatcher and the scheduler know of a thread. Fields: the slides of the kernel lectures (5.2) and
// table 5-10 of WI5; meanings: WI5 ch. 5, facts 5.8.
#include <fmt/format.h>

#include "kd/structures/values.h"

namespace vitrine::kd {
namespace {

using T = ps::Thread;

constexpr std::string_view kOneThreadAtATime =
    "kernel functions run one at a time and to their end: there is nothing to lock";

std::string mutants(const Target& target, const T& thread) {
  std::string text;
  for (const ke::Mutant& mutant : thread.tcb.mutants) {
    const ob::Object* object = target.object_of(mutant.header);
    text += (text.empty() ? "" : ", ") + (object == nullptr ? "a kernel mutex" : name_of(target, *object));
  }
  return text.empty() ? "empty" : text;
}

std::string wait_list(const ke::Thread& tcb) {
  if (!tcb.sched_link.is_linked()) return "not linked";
  switch (tcb.state) {
    case ke::ThreadState::waiting:
      return "in the wait list";
    case ke::ThreadState::ready:
      return tcb.process_ready_queue
                 ? "in its process's ready list"
                 : fmt::format("in ready list {} of processor {}", tcb.priority, tcb.next_processor);
    case ke::ThreadState::transition:
      return "in the stack in-swap list";
    default:
      return "linked";
  }
}

constexpr Field kFields[] = {
    field<T>("Header", "dispatcher header: signalled when the thread has ended",
             [](auto&, auto& t) { return header_text(t.tcb.header); }),
    field<T>("MutantListHead", "mutants that it owns; abandoned when it ends",
             [](auto& target, auto& t) { return mutants(target, t); }),
    field<T>("InitialStack", "where its kernel stack begins",
             [](auto& target, auto& t) { return hex(stack_base(target, t)); }),
    field<T>("StackLimit", "lowest address of its kernel stack",
             [](auto& target, auto& t) { return hex(stack_limit(target, t)); }),
    absent("KernelStack", "saved stack pointer of a thread that is not running",
           "the kernel is host code; what a blocked service keeps is a coroutine frame on the host"),
    absent("ThreadLock", "guards priority, affinity and quantum", kOneThreadAtATime),
    field<T>("ContextSwitches", "how often it was given a processor",
             [](auto&, auto& t) { return number(t.tcb.context_switches); }),
    field<T>("CycleTime", "processor cycles that it used, interrupts excluded (6.1)",
             [](auto&, auto& t) { return number(static_cast<i64>(t.tcb.cycle_time)); }),
    field<T>("QuantumTarget", "cycle time at which its quantum ends (6.1)",
             [](auto&, auto& t) { return number(static_cast<i64>(t.tcb.quantum_target)); }),
    field<T>("State", "KTHREAD_STATE",
             [](auto&, auto& t) {
               return fmt::format("{} ({})", static_cast<u32>(t.tcb.state), ke::thread_state_name(t.tcb.state));
             }),
    absent("WaitIrql", "IRQL at which it began to wait",
           "threads wait in system services, which run at PASSIVE_LEVEL: always 0"),
    field<T>("WaitMode", "who waits: 0 kernel, 1 user",
             [](auto&, auto& t) { return number(static_cast<i64>(t.tcb.wait_mode)); }),
    field<T>("Teb", "its TEB, in user memory", [](auto&, auto& t) { return hex(t.teb); }),
    field<T>("ApcState", "APC queues of the process that it is in",
             [](auto&, auto& t) { return apc_text(t.tcb.apc_queues, t.tcb.apc_flags); }),
    absent("ApcQueueLock", "guards the APC queues", kOneThreadAtATime),
    field<T>("WaitStatus", "how its last wait ended",
             [](auto&, auto& t) { return std::string(status_name(t.tcb.wait_status)); }),
    field<T>("WaitBlockList", "wait blocks of the present wait",
             [](auto&, auto& t) {
               if (t.tcb.wait_count == 0) return std::string("none");
               return fmt::format(
                   "{} {}", t.tcb.wait_count,
                   t.tcb.wait_block_list == t.tcb.wait_blocks ? "built in" : "in an array of the wait's own");
             }),
    field<T>("GateObject", "the gate that it waits for, in the place of WaitBlockList",
             [](auto&, auto& t) { return flag(t.tcb.state == ke::ThreadState::gate_wait); }),
    field<T>("Alertable", "its wait can be ended by an alert or a user APC",
             [](auto&, auto& t) { return flag(t.tcb.alertable); }),
    field<T>(
        "Alerted", "alerts that nobody has taken yet: kernel, user",
        [](auto&, auto& t) { return fmt::format("{}, {}", flag(t.tcb.alerted_kernel), flag(t.tcb.alerted_user)); }),
    absent("WaitNext", "the dispatcher lock is kept from a signal to the following wait",
           "signal-and-wait is one function that nothing can come into"),
    field<T>("WaitReason", "KWAIT_REASON of the last wait, or why it lost the processor",
             [](auto&, auto& t) {
               return fmt::format("{} ({})", static_cast<u32>(t.tcb.wait_reason),
                                  ke::wait_reason_name(t.tcb.wait_reason));
             }),
    field<T>("Priority", "current priority", [](auto&, auto& t) { return number(t.tcb.priority); }),
    unchanging(field<T>("EnableStackSwap", "its kernel stack may be swapped out while it waits",
                        [](auto&, auto& t) { return flag(t.tcb.enable_stack_swap); }),
               "drivers forbid it (KeSetKernelStackSwapEnable); there are none"),
    absent("SwapBusy", "a switch away from it is half done", kOneThreadAtATime),
    field<T>("WaitListEntry", "which list of the scheduler it is in", [](auto&, auto& t) { return wait_list(t.tcb); }),
    field<T>("SwapListEntry", "in a deferred-ready or swap list, in the same place",
             [](auto&, auto& t) {
               return flag(t.tcb.sched_link.is_linked() && (t.tcb.state == ke::ThreadState::deferred_ready ||
                                                            t.tcb.state == ke::ThreadState::transition));
             }),
    field<T>("Queue", "the queue (completion port) that counts it",
             [](auto& target, auto& t) {
               return t.tcb.queue == nullptr ? std::string("none") : object_text(target, t.tcb.queue->queue->header);
             }),
    field<T>("WaitTime", "tick count at which it began to wait or became ready",
             [](auto&, auto& t) { return number(t.tcb.wait_time); }),
    field<T>("KernelApcDisable", "negative: normal kernel APCs are disabled that many times",
             [](auto&, auto& t) { return number(t.tcb.kernel_apc_disable); }),
    field<T>("SpecialApcDisable", "negative: all APCs are disabled that many times",
             [](auto&, auto& t) { return number(t.tcb.special_apc_disable); }),
    field<T>("Timer", "built-in timer that ends waits",
             [](auto& target, auto& t) { return timer_text(target, t.tcb.timer); }),
    field<T>("WaitBlock", "built-in wait blocks: three for objects, one for the timer",
             [](auto&, auto& t) {
               std::string text;
               for (const ke::WaitBlock& block : t.tcb.wait_blocks)
                 text += std::string(text.empty() ? "" : ", ") + (block.link.is_linked() ? "waiting" : "free");
               return text;
             }),
    field<T>("QueueListEntry", "in its queue's list of threads",
             [](auto&, auto& t) { return flag(t.tcb.queue != nullptr); }),
    field<T>("ApcStateIndex", "1 while attached to another process",
             [](auto&, auto& t) { return flag(t.tcb.saved_apc_state != nullptr); }),
    field<T>("ApcQueueable", "APCs may be queued: not once it is exiting",
             [](auto&, auto& t) { return flag(t.tcb.apc_queueable); }),
    field<T>("Preempted", "it lost the processor to a better thread and goes to the head of its list",
             [](auto&, auto& t) { return flag(t.tcb.preempted); }),
    field<T>("ProcessReadyQueue", "ready, but its process is out of memory",
             [](auto&, auto& t) { return flag(t.tcb.process_ready_queue); }),
    field<T>("KernelStackResident", "its kernel stack is in memory",
             [](auto&, auto& t) { return flag(t.tcb.kernel_stack_resident); }),
    field<T>("IdealProcessor", "the processor that it prefers",
             [](auto&, auto& t) { return number(t.tcb.ideal_processor); }),
    field<T>("NextProcessor", "the processor that it runs, is ready or last ran on",
             [](auto&, auto& t) { return number(t.tcb.next_processor); }),
    field<T>("BasePriority", "what boosts are added to and decay goes back to",
             [](auto&, auto& t) { return number(t.tcb.base_priority); }),
    field<T>("PriorityDecrement", "part of the priority above base that falls off at once",
             [](auto&, auto& t) { return number(t.tcb.priority_decrement); }),
    field<T>("Saturation", "base priority pinned to an end of its range: -1, 0, 1",
             [](auto&, auto& t) { return number(t.tcb.saturation); }),
    field<T>("Quantum", "units left of its quantum, 3 a tick (5.2)",
             [](auto&, auto& t) { return number(t.tcb.quantum); }),
    field<T>("QuantumReset", "units that it gets anew at each quantum end",
             [](auto&, auto& t) { return number(t.tcb.quantum_reset); }),
    absent("SystemAffinityActive", "a driver has narrowed its affinity for a while",
           "drivers do that (KeSetSystemAffinityThread); there are none"),
    field<T>("PreviousMode", "who called the service in progress: 0 kernel, 1 user",
             [](auto&, auto& t) { return number(static_cast<i64>(t.tcb.previous_mode)); }),
    absent("ResourceIndex", "where in an executive resource's owner table it was last found",
           "executive resources are drivers' locks; there are none"),
    field<T>("DisableBoost", "no boosts for it", [](auto&, auto& t) { return flag(t.tcb.disable_boost); }),
    absent("UserAffinity", "the affinity to return to when a driver's is over",
           "see SystemAffinityActive: always Affinity"),
    field<T>("Process", "the process that owns it",
             [](auto&, auto& t) { return fmt::format("process {:#x}", t.process->id); }),
    field<T>("Affinity", "processors that it may run on", [](auto&, auto& t) { return hex(t.tcb.affinity); }),
    field<T>("ServiceTable", "the system services that it can call: with win32k's from its first GUI service on",
             [](auto& target, auto& t) {
               return std::string(win32_thread(target, t) == 0 ? "KeServiceDescriptorTable"
                                                               : "KeServiceDescriptorTableShadow");
             }),
    field<T>("ApcStatePointer", "which APC state is its own, which the attached process's",
             [](auto&, auto& t) {
               return std::string(t.tcb.saved_apc_state == nullptr ? "own: ApcState"
                                                                   : "own: SavedApcState, attached: ApcState");
             }),
    field<T>("SavedApcState", "its own APC queues while it is attached to another process",
             [](auto&, auto& t) {
               return t.tcb.saved_apc_state == nullptr
                          ? std::string("not attached")
                          : apc_text(t.tcb.saved_apc_state->queues, t.tcb.saved_apc_state->flags);
             }),
    absent("CallbackStack", "kernel stack of a call back into user mode",
           "only windows are called back into user mode, and there are none"),
    field<T>("Win32Thread", "win32k's part of it (W32THREAD), from its first GUI service on",
             [](auto& target, auto& t) { return hex(win32_thread(target, t)); }),
    field<T>("TrapFrame", "its user-mode registers while it is in the kernel",
             [](auto&, auto& t) {
               return t.user == nullptr
                          ? std::string("none: it has not run yet")
                          : fmt::format("rip {:#x} rsp {:#x}", t.user->registers.rip, t.user->registers[cpu::Gpr::rsp]);
             }),
    field<T>("KernelTime", "clock ticks that found it in kernel mode",
             [](auto&, auto& t) { return number(t.tcb.kernel_time); }),
    field<T>("UserTime", "clock ticks that found it in user mode",
             [](auto&, auto& t) { return number(t.tcb.user_time); }),
    field<T>("StackBase", "above the highest address of its kernel stack",
             [](auto& target, auto& t) { return hex(stack_base(target, t)); }),
    field<T>("SuspendApc", "built-in APC that makes it wait while suspended",
             [](auto&, auto& t) {
               return std::string(t.tcb.suspend_apc.inserted     ? "queued"
                                  : t.tcb.apc_flags.suspend_wait ? "waiting for SuspendSemaphore"
                                                                 : "not queued");
             }),
    field<T>("SuspendSemaphore", "what the suspend APC waits for",
             [](auto&, auto& t) { return header_text(t.tcb.suspend_semaphore); }),
    absent("TlsArray", "a copy of the TEB's TLS pointer",
           "TLS is user mode's: the TEB has it, the kernel never reads a copy"),
    field<T>("ThreadListEntry", "in KPROCESS.ThreadListHead, from start to termination",
             [](auto&, auto& t) { return flag(t.tcb.process_link.is_linked()); }),
    field<T>("LargeStack", "it has the large kernel stack of a GUI thread",
             [](auto& target, auto& t) { return flag(win32_thread(target, t) != 0); }),
    absent("PowerState", "power state that it asked for", "there is no power manager: the machine never sleeps"),
    absent("Iopl", "whether it may use I/O instructions",
           "virtual-8086 mode and its I/O map exist on x86 only; all I/O instructions fault"),
    field<T>("FreezeCount", "how often a debugger froze it", [](auto&, auto& t) { return number(t.tcb.freeze_count); }),
    field<T>("SuspendCount", "how often it was suspended and not resumed",
             [](auto&, auto& t) { return number(t.tcb.suspend_count); }),
    absent("UserIdealProcessor", "the ideal processor to return to when a driver's affinity is over",
           "see SystemAffinityActive: always IdealProcessor"),
    field<T>("DeferredProcessor", "whose deferred-ready list last held it",
             [](auto&, auto& t) { return number(t.tcb.deferred_processor); }),
    field<T>("AdjustReason", "why its priority is to be adjusted: 0 not, 1 end of a wait, 2 boost",
             [](auto&, auto& t) { return number(static_cast<i64>(t.tcb.adjust_reason)); }),
    field<T>("AdjustIncrement", "by how much", [](auto&, auto& t) { return number(t.tcb.adjust_increment); }),
};

}  // namespace

const Structure kKthread{"KTHREAD", "a thread, as dispatcher and scheduler see it", "THREAD", kFields, &find_ethread};

}  // namespace vitrine::kd
