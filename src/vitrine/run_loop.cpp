#include "vitrine/run_loop.h"

#include <algorithm>
#include <utility>

#include "ke/invariants.h"
#include "nt/exception_dispatch.h"
#include "ps/user_mode.h"
#include "sim/host_clock.h"
#include "vitrine/host_terminal.h"

namespace vitrine {
namespace {

constexpr u64 kWindowInstructions = 10'000;  // DESIGN 3.6
// While all other processors are idle nobody sees where a window ends (decision 0035).
constexpr u64 kWindowInstructionsAlone = 1'000'000;
// Where a window is ended by a signal, which costs microseconds, it is longer: 0.2 ms (decision 0031).
constexpr u64 kWindowPicosecondsKvm = 200'000'000;
// What a thread needs at most that only wakes to wait again, on each of 64 processors; some ten milliseconds of the host.
constexpr u32 kWindowsAfterEnd = 64;
constexpr u64 kLongestHostWaitMs = 100;      // between looks at --timeout and Ctrl-C while a thread waits for input

// NT: a thread that waits or ends leaves the processor; one that readies a better thread, or forbids itself this processor
// (SetThreadAffinityMask), loses it before it returns to user mode [WI5 ch.5 "Affinity"]. DPCs run before that, too.
bool may_stay(const ke::Kernel& kernel, u32 processor, const ke::Thread& thread) {
  const ke::Processor& here = kernel.processor(processor);
  return kernel.current(processor) == &thread && here.next == nullptr && here.dpcs.empty() &&
         (thread.affinity >> processor & 1) != 0;
}

bool others_idle(const ke::Kernel& kernel, u32 processor) {
  for (u32 n = 0; n < kernel.processor_count(); ++n) {
    const ke::Processor& other = kernel.processor(n);
    if (n != processor && (!other.is_idle() || other.next != nullptr || !other.dpcs.empty())) return false;
  }
  return true;
}

}  // namespace

// A program that hangs is explained by what its threads wait for. One that has just woken to try again (ntdll does so, for a
// critical section, every few seconds, which pass at once when nothing else happens) is let go back to its wait.
RunEnd RunLoop::run(const ps::Process& main) {
  const RunEnd end = run_to_an_end(main);
  if (end != RunEnd::timed_out && end != RunEnd::interrupted) return end;
  settle(kWindowsAfterEnd);
  return main.pcb.header.signal_state == 0 ? end : RunEnd::exited;
}

RunEnd RunLoop::run_to_an_end(const ps::Process& main) {
  while (main.pcb.header.signal_state == 0) {
    if (limits_.interrupt != nullptr && limits_.interrupt->load(std::memory_order_relaxed)) return RunEnd::interrupted;
    if (!pass_signals()) return RunEnd::interrupted;
    const bool idle = !machine_.kernel.anything_ready();
    if (const auto end = watch_.check(idle)) return *end;
    if (idle && machine_.streams.wanted()) {
      if (wait_for_input()) continue;
    }
    if (limits_.between_windows) limits_.between_windows();
    if (!next_window()) return RunEnd::deadlocked;
    waited_ns_ = 0;
    ++windows_;
    if (limits_.check_invariants) check_invariants();
  }
  return RunEnd::exited;
}

bool RunLoop::pass_signals() {
  if (sim::InputLog* replay = machine_.options.replay) {
    const auto due = replay->take_signal(windows_);
    return !due || pass_signal(*due);
  }
  if (limits_.signals == nullptr) return true;
  const u32 resized = limits_.signals->resized.load(std::memory_order_relaxed);
  if (resized != std::exchange(resized_seen_, resized)) {
    const io::ConsoleSize size = terminal_size(machine_.options.streams);
    (void)pass_signal({static_cast<u16>(size.width), static_cast<u16>(size.height)});
  }
  // Two at once are one.
  const u32 count = limits_.signals->control_c.load(std::memory_order_relaxed);
  return count == std::exchange(control_c_seen_, count) || pass_signal({});
}

bool RunLoop::pass_signal(sim::InputLog::Signal signal) {
  if (machine_.options.replay == nullptr) machine_.input_log.record_signal(windows_, signal);
  if (!signal.is_resize()) return machine_.control_event(abi::ConsoleEvent::control_c, 0);
  machine_.console.resize({static_cast<i16>(signal.columns), static_cast<i16>(signal.rows)});
  return true;
}

void RunLoop::settle(u64 most_windows) {
  while (most_windows > 0 && machine_.kernel.anything_ready() && next_window()) --most_windows;
}

// False: nothing will ever run.
bool RunLoop::next_window() {
  const auto processor = machine_.kernel.next_processor();
  if (!processor) return false;
  show_time();  // ticks that next_processor delivered or skipped: no thread may run and see an older clock
  window(*processor);
  return true;
}

// The clocks of the shared user data page move with the clock interrupts.
void RunLoop::show_time() {
  if (machine_.hal.tick_count() == shown_tick_ || machine_.loader == nullptr) return;
  shown_tick_ = machine_.hal.tick_count();
  machine_.loader->update_time();
}

// --check: every violation in words, then the check that ends the tool.
void RunLoop::check_invariants() const {
  std::vector<ke::Thread*> threads;
  for (ps::Process& process : machine_.processes->active_processes()) {
    for (ps::Thread& thread : process.threads) threads.push_back(&thread.tcb);
  }
  const std::vector<std::string> violations = ke::check_invariants(machine_.kernel, threads);
  for (const std::string& violation : violations) machine_.executive->notice(violation);
  VITRINE_CHECK(violations.empty());
}

// All processors are idle and some thread waits for the host's input: virtual time follows the host's until input comes or the next
// timer is due (DESIGN 3.6). True: look again; false: the next timer's time has come.
bool RunLoop::wait_for_input() {
  const auto due = machine_.kernel.next_due();
  u64 wait_ms = kLongestHostWaitMs;
  if (due) {
    const i64 until_due_ns = (due->value - machine_.kernel.interrupt_time().value) * 100;
    if (until_due_ns <= static_cast<i64>(waited_ns_)) {
      machine_.streams.timer_came_first();
      return false;
    }
    wait_ms = std::min(wait_ms, static_cast<u64>(until_due_ns) / 1'000'000 + 1);
  }
  const u64 before = sim::host_nanoseconds();
  const auto arrived = machine_.streams.wait(static_cast<int>(wait_ms));
  waited_ns_ += sim::host_nanoseconds() - before;
  if (arrived == true) machine_.input_arrived();
  return arrived.value_or(true);
}

// Up to the next clock interrupt; of any processor while the others are idle, because it may end that.
u64 RunLoop::window_budget(u32 processor, bool alone) const {
  u64 tick = machine_.hal.next_tick(processor).value;
  for (u32 n = 0; alone && n < machine_.kernel.processor_count(); ++n) tick = std::min<u64>(tick, machine_.hal.next_tick(n).value);
  return std::min(longest_window(alone), instructions_until(processor, tick) + 1);
}

u64 RunLoop::instructions_until(u32 processor, u64 nanosecond) const {
  const u64 now = machine_.hal.clock(processor).value;
  return nanosecond > now ? (nanosecond - now) * 1000 / instruction_price() : 0;
}

u64 RunLoop::longest_window(bool alone) const {
  if (machine_.options.processor_kind == ProcessorKind::kvm) return kWindowPicosecondsKvm / instruction_price();
  return alone ? kWindowInstructionsAlone : kWindowInstructions;
}

u64 RunLoop::instruction_price() const {
  return std::max<u64>(machine_.options.profile->costs.instruction.picoseconds, 1);
}

void RunLoop::window(u32 processor) {
  ke::Kernel& kernel = machine_.kernel;
  kernel.enter(processor);
  kernel.dispatch(processor);
  if (!kernel.is_idle(processor)) {
    ke::Thread* tcb = kernel.current(processor);
    ps::Thread& thread = *ps::Thread::from(tcb);
    machine_.processes->set_current(&thread);
    const bool alone = others_idle(kernel, processor);
    u64 budget = window_budget(processor, alone);
    const u64 end = machine_.hal.clock(processor).value + budget * instruction_price() / 1000;
    while (budget > 0 && turn(processor, thread, budget) == Turn::goes_on && may_stay(kernel, processor, *tcb)) {
      if (!alone) continue;
      // A long window is one in time, too: system calls cost no instructions.
      budget = std::min(budget, instructions_until(processor, end));
      if (!others_idle(kernel, processor)) budget = std::min(budget, longest_window(false));
    }
    machine_.processes->set_current(nullptr);
  }
  kernel.end_window(processor);
  machine_.processes->reap();
}

RunLoop::Turn RunLoop::turn(u32 processor, ps::Thread& thread, u64& budget) {
  ke::Kernel& kernel = machine_.kernel;
  if (thread.has_flag(ps::cross_thread_flags::kSystem)) {
    charge(processor, machine_.options.profile->costs.system_call);
    machine_.processes->run_system_thread(thread);
    return Turn::over;
  }
  if (thread.tcb.continuation) {
    kernel.resume(thread.tcb);
    if (thread.user != nullptr && thread.user->service.valid()) machine_.dispatcher->service_ended(thread);
    return thread.tcb.continuation ? Turn::over : Turn::goes_on;  // over: it waits, or has paused
  }
  if (at_boundary(thread) == Turn::over) return Turn::over;
  return run_user(processor, thread, budget);
}

// On the way to user mode: kernel APCs, then user APCs, then the first entry of a new thread.
RunLoop::Turn RunLoop::at_boundary(ps::Thread& thread) {
  ke::Kernel& kernel = machine_.kernel;
  if (kernel.deliver_kernel_apcs(thread.tcb) == ke::ApcOutcome::blocked) return Turn::over;
  // An exiting thread never enters user mode; a new one enters it before it can take an APC there.
  if (kernel.user_apc_pending(thread.tcb) && (thread.user != nullptr || thread.has_flag(ps::cross_thread_flags::kTerminated))) {
    if (const auto call = kernel.take_user_apc(thread.tcb)) {
      if (call->exit_thread) {
        machine_.processes->exit_thread(thread);
        return Turn::over;
      }
      if (call->normal_routine != 0) {
        const Status status = ps::enter_user_apc(thread, *call);
        if (!is_success(status)) machine_.processes->terminate_thread(thread, status);
      }
    }
    return Turn::goes_on;
  }
  if (thread.user == nullptr) {
    const Status status = machine_.processes->begin_user_mode(thread);
    if (!is_success(status)) machine_.processes->terminate_thread(thread, status);
  }
  return Turn::goes_on;
}

RunLoop::Turn RunLoop::run_user(u32 processor, ps::Thread& thread, u64& budget) {
  if (machine_.kernel.user_apc_pending(thread.tcb)) return Turn::goes_on;  // terminated on the way: take that first
  const cpu::Exit exit = machine_.processor->run(processor, thread.process->space->cpu_space(), thread.registers(), budget);
  budget -= std::min(budget, std::max<u64>(exit.retired, 1));
  instructions_ += exit.retired;
  machine_.kernel.charge_picoseconds(processor, exit.retired * machine_.options.profile->costs.instruction.picoseconds, ke::Mode::user);
  return handle_exit(processor, thread, exit);
}

RunLoop::Turn RunLoop::handle_exit(u32 processor, ps::Thread& thread, const cpu::Exit& exit) {
  const sim::CostTable& costs = machine_.options.profile->costs;
  switch (exit.reason) {
    case cpu::ExitReason::system_call:
      ++system_calls_;
      charge(processor, costs.system_call);
      machine_.dispatcher->enter(thread);
      // A call to CSRSS is a switch to it and back, and takes a lock of all processors: their clocks must not be far apart.
      return machine_.csrss->take_called() && machine_.hal.processor_count() > 1 ? Turn::over : Turn::goes_on;
    case cpu::ExitReason::exception:
      if (exit.vector == cpu::Vector::page_fault) {
        handle_page_fault(processor, thread, exit);
      } else {
        charge(processor, costs.exception_dispatch);
        nt::dispatch_cpu_exception(*machine_.executive, thread, exit);
      }
      return Turn::goes_on;
    case cpu::ExitReason::budget:
      return Turn::goes_on;
    case cpu::ExitReason::pause:
    case cpu::ExitReason::kicked:
      return Turn::over;
  }
  return Turn::over;
}

void RunLoop::handle_page_fault(u32 processor, ps::Thread& thread, const cpu::Exit& exit) {
  const sim::CostTable& costs = machine_.options.profile->costs;
  charge(processor, costs.page_fault);
  ++thread.process->page_faults;
  const mm::FaultResult result = thread.process->space->handle_fault(exit.fault_address, exit.error_code, ke::Mode::user);
  if (result.zeroed_page) charge(processor, costs.zero_page);
  if (is_success(result.status) && result.resolution != mm::FaultResolution::none) return;
  charge(processor, costs.exception_dispatch);
  nt::dispatch_page_fault(*machine_.executive, thread, exit, result.status);
}

}  // namespace vitrine
