#include "vitrine/tear_down.h"

#include <vector>

#include "vitrine/machine.h"

namespace vitrine {
namespace {

// A service may wait again after its wait was ended; it must notice its termination within as many waits.
constexpr u32 kRounds = 64;
// Windows per thread and round: its kernel APCs, its frame, its exit, with room for what they wake.
constexpr u64 kWindowsPerThread = 16, kWindowsAtLeast = 4096;

void silence(Machine& machine) {
  machine.trace.remove_listeners();
  if (machine.dispatcher) machine.dispatcher->set_trace({});
  if (machine.executive) machine.executive->notice = [](std::string_view) {};
}

std::vector<ob::Ref<ps::Process>> program_processes(Machine& machine) {
  std::vector<ob::Ref<ps::Process>> processes;
  for (ps::Process& process : machine.processes->active_processes()) {
    if (&process != &machine.processes->system_process()) processes.emplace_back(process);
  }
  return processes;
}

void end_service(ps::Thread& thread) {
  if (thread.user != nullptr && thread.user->service.valid() && thread.user->service.done())
    thread.user->service.reset();
}

// What the run loop does for a thread on its way to user mode, as far as its exit.
void turn(Machine& machine, ps::Thread& thread) {
  ke::Kernel& kernel = machine.kernel;
  machine.processes->set_current(&thread);
  if (thread.has_flag(ps::cross_thread_flags::kSystem)) {
    machine.processes->run_system_thread(thread);
  } else if (thread.tcb.continuation) {
    kernel.resume(thread.tcb);
    end_service(thread);
  } else if (kernel.deliver_kernel_apcs(thread.tcb) == ke::ApcOutcome::continues &&
             kernel.user_apc_pending(thread.tcb)) {
    const auto call = kernel.take_user_apc(thread.tcb);
    if (call && call->exit_thread)
      machine.processes->exit_thread(thread);  // other APCs were user mode's, which is over
  }
  machine.processes->set_current(nullptr);
}

void run_until_idle(Machine& machine) {
  ke::Kernel& kernel = machine.kernel;
  const u64 windows = kWindowsAtLeast + kWindowsPerThread * machine.processes->counts().threads;
  for (u64 i = 0; i < windows && kernel.anything_ready(); ++i) {
    const auto processor = kernel.next_processor();
    if (!processor) return;
    kernel.enter(*processor);
    kernel.dispatch(*processor);
    if (!kernel.is_idle(*processor)) turn(machine, *ps::Thread::from(kernel.current(*processor)));
    kernel.charge_picoseconds(*processor, machine.options.profile->costs.system_call.picoseconds, ke::Mode::kernel);
    kernel.end_window(*processor);
    machine.processes->reap();
  }
}

// Termination ends waits in user mode; those in kernel mode it leaves alone, and what they wait for may never come now.
void end_waits(Machine& machine, const std::vector<ob::Ref<ps::Process>>& processes) {
  for (const auto& process : processes) {
    for (ps::Thread& thread : process->threads) {
      (void)machine.kernel.force_resume_thread(thread.tcb);
      (void)machine.kernel.abort_wait(thread.tcb, Status::thread_is_terminating);
    }
  }
}

}  // namespace

void tear_down(Machine& machine) {
  silence(machine);
  if (machine.processes == nullptr) return;
  if (machine.csrss != nullptr) machine.csrss->shut_down();
  machine.processes->set_current(nullptr);
  for (u32 round = 0; round < kRounds; ++round) {
    // Again in every round: a service on its way out may have made a thread or a process.
    auto processes = program_processes(machine);
    for (const auto& process : processes)
      (void)machine.processes->terminate_process(*process, Status::process_is_terminating, nullptr);
    run_until_idle(machine);
    if (machine.processes->counts().threads == 0) break;
    end_waits(machine, processes);
  }
  VITRINE_CHECK(machine.processes->counts().threads == 0);
  // The System process's threads end with the wait that they are in.
  for (ps::Thread& thread : machine.processes->system_process().threads) {
    (void)machine.kernel.abort_wait(thread.tcb, Status::thread_is_terminating);
  }
  run_until_idle(machine);
  VITRINE_CHECK(machine.processes->system_process().active_threads == 0);
}

}  // namespace vitrine
