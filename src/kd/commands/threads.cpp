// !thread: every thread in a line, or one in full. !running, !ready: the same by processor.
#include "kd/command.h"
#include "kd/history.h"
#include "kd/wait_graph.h"

namespace vitrine::kd {
namespace {

double seconds_of_ticks(const Target& target, u64 ticks) {
  return static_cast<double>(ticks * target.executive().machine.clock_interval().value) / 1e9;
}

void list_threads(const Target& target, Report& report) {
  const WaitGraph graph(target);
  Table& table = report.table({"thread", "process", "pri", "base", "cpu", "switches", "kernel s", "user s", "state"});
  for (const ps::Thread* thread : target.threads()) {
    const ke::Thread& tcb = thread->tcb;
    std::string state = state_of(*thread);
    if (const Wait* wait = graph.of(*thread)) state += ": " + graph.describe(*wait);
    table.rows.push_back({hex(thread->id), hex(thread->process->id), fmt::format("{}", tcb.priority),
                          fmt::format("{}", tcb.base_priority), fmt::format("{}", tcb.next_processor),
                          fmt::format("{}", tcb.context_switches),
                          fmt::format("{:.3f}", seconds_of_ticks(target, tcb.kernel_time)),
                          fmt::format("{:.3f}", seconds_of_ticks(target, tcb.user_time)), state});
  }
}

void show_one(const Target& target, const ps::Thread& thread, Report& report) {
  const ke::Thread& tcb = thread.tcb;
  report.say("{} of process {:#x} ({}), ETHREAD {:#x}, TEB {:#x}", name_of(thread), thread.process->id,
             thread.process->short_name(), target.address(thread), thread.teb);
  const WaitGraph graph(target);
  const Wait* wait = graph.of(thread);
  report.say("  {}{}{}", state_of(thread), wait == nullptr ? "" : ": ", wait == nullptr ? "" : graph.describe(*wait));
  report.say("  priority {} (base {}, decrement {}), quantum reset {}, processors {:#x}, ideal {}, last {}",
             tcb.priority, tcb.base_priority, tcb.priority_decrement, tcb.quantum_reset, tcb.affinity,
             tcb.ideal_processor, tcb.next_processor);
  report.say("  {} context switches, {} ticks in the kernel, {} in user mode, {} cycles", tcb.context_switches,
             tcb.kernel_time, tcb.user_time, tcb.cycle_time);
  report.say("  suspended {}, frozen {}; starts at {:#x}", tcb.suspend_count, tcb.freeze_count, thread.start_address);
  for (const ke::Mutant& mutant : tcb.mutants) {
    const ob::Object* object = target.object_of(mutant.header);
    report.say("  owns {}", object == nullptr ? "a kernel mutex" : name_of(target, *object));
  }
  if (thread.exit_status != Status::pending || tcb.state == ke::ThreadState::terminated) {
    report.say("  exit status {:#x}", static_cast<u32>(thread.exit_status));
  }
}

}  // namespace

void show_threads(const Target& target, const Arguments& arguments, Report& report) {
  if (arguments.empty()) return list_threads(target, report);
  const auto thread = target.thread(arguments[0]);
  if (!thread) return report.fail("{}", thread.error());
  show_one(target, **thread, report);
}

void show_running(const Target& target, const Arguments&, Report& report) {
  const ke::Kernel& kernel = target.kernel();
  Table& table = report.table({"cpu", "runs", "pri", "next", "clock"});
  for (u32 p = 0; p < kernel.processor_count(); ++p) {
    const ke::Processor& processor = kernel.processor(p);
    const bool idle = processor.is_idle();
    const ke::Thread* next = processor.next;
    table.rows.push_back(
        {fmt::format("{}", p), idle ? "nothing (idle)" : name_of(*ps::Thread::from(processor.current)),
         idle ? "-" : fmt::format("{}", processor.current->priority),
         next == nullptr || next == &processor.idle_thread ? "-" : name_of(*ps::Thread::from(processor.next)),
         milliseconds(target.executive().machine.clock(p).value - target.start().value)});
  }
}

void show_ready(const Target& target, const Arguments&, Report& report) {
  const ke::Kernel& kernel = target.kernel();
  Table table{{"cpu", "pri", "thread", "waiting for the processor for"}, {}};
  for (u32 p = 0; p < kernel.processor_count(); ++p) {
    for (u32 level = ke::kPriorityLevels; level-- > 0;) {
      for (const ke::Thread& tcb : kernel.processor(p).ready[level]) {
        table.rows.push_back({fmt::format("{}", p), fmt::format("{}", level),
                              name_of(*ps::Thread::from(const_cast<ke::Thread*>(&tcb))),
                              milliseconds(target.ticks_ago_ns(tcb.wait_time))});
      }
    }
  }
  if (table.rows.empty()) return report.say("No thread is ready: each one runs, waits or has ended.");
  report.parts.emplace_back(std::move(table));
}

}  // namespace vitrine::kd
