// KPROCESS: what the scheduler knows of a process. Fields: the lectures' slides (5.2); facts 5.9.
#include <fmt/format.h>

#include "kd/structures/values.h"

namespace vitrine::kd {
namespace {

using P = ps::Process;

constexpr std::string_view kNoV86 =
    "virtual-8086 mode is x86's and 16-bit programs'; the machine runs x64 programs only";

u64 on_processors(const Target& target, const P& process) {
  u64 mask = 0;
  for (u32 p = 0; p < target.kernel().processor_count(); ++p) {
    const ke::Thread* current = target.kernel().current(p);
    if (!target.kernel().is_idle(p) && current->process == &process.pcb) mask |= u64{1} << p;
  }
  return mask;
}

constexpr Field kFields[] = {
    field<P>("Header", "dispatcher header: signalled when the last thread has ended",
             [](auto&, auto& p) { return header_text(p.pcb.header); }),
    field<P>("DirectoryTableBase", "physical address of its page directory",
             [](auto&, auto& p) {
               return p.space == nullptr ? std::string("none") : hex(p.space->page_table().root().address());
             }),
    absent("LdtDescriptor", "its local descriptor table", "x86 only: 64-bit programs have no local descriptors"),
    absent("Int21Descriptor", "gate of the DOS interrupt", kNoV86),
    absent("IopmOffset", "its I/O permission map", kNoV86),
    absent("Iopl", "whether its threads may use I/O instructions", kNoV86),
    field<P>("ActiveProcessors", "processors that run one of its threads now",
             [](auto& target, auto& p) { return hex(on_processors(target, p)); }),
    field<P>("KernelTime", "clock ticks that found one of its threads in kernel mode",
             [](auto&, auto& p) { return number(static_cast<i64>(p.pcb.kernel_time)); }),
    field<P>("UserTime", "clock ticks that found one of its threads in user mode",
             [](auto&, auto& p) { return number(static_cast<i64>(p.pcb.user_time)); }),
    field<P>("ReadyListHead", "threads that became ready while it was out of memory",
             [](auto&, auto& p) { return fmt::format("{} threads", length(p.pcb.ready_list)); }),
    absent("SwapListEntry", "in the swapper's list while it goes out or comes in",
           "the in-swap of a process is one request to the host part: there is no list to be in"),
    field<P>("ThreadListHead", "its threads, from start to termination",
             [](auto&, auto& p) { return fmt::format("{} threads", length(p.pcb.threads)); }),
    absent("ProcessLock", "guards the thread list and times",
           "kernel functions run one at a time and to their end: there is nothing to lock"),
    field<P>("Affinity", "processors that its threads may run on", [](auto&, auto& p) { return hex(p.pcb.affinity); }),
    field<P>("StackCount", "threads whose kernel stack is in memory",
             [](auto&, auto& p) { return number(p.pcb.stack_count); }),
    field<P>("BasePriority", "what new threads begin with", [](auto&, auto& p) { return number(p.pcb.base_priority); }),
    field<P>("QuantumReset", "quantum units of new threads (the slides: ThreadQuantum)",
             [](auto&, auto& p) { return number(p.pcb.quantum_reset); }),
    absent("AutoAlignment", "unaligned accesses are fixed up in software",
           "x64 hardware does unaligned accesses by itself"),
    field<P>("State", "0 in memory, 1 out, 2 in transition, ...",
             [](auto&, auto& p) { return number(static_cast<i64>(p.pcb.state)); }),
    field<P>("DisableBoost", "no boosts for its new threads", [](auto&, auto& p) { return flag(p.pcb.disable_boost); }),
    absent("PowerState", "power state that it asked for", "there is no power manager: the machine never sleeps"),
    field<P>("DisableQuantum", "its real-time threads keep the processor (scheduling class 9 of a job)",
             [](auto&, auto& p) { return flag(p.pcb.disable_quantum); }),
    field<P>("ThreadSeed", "ideal processor of its newest thread",
             [](auto&, auto& p) { return number(p.pcb.thread_seed); }),
    field<P>("IdealNode", "the NUMA node that it prefers", [](auto&, auto& p) { return number(p.pcb.ideal_node); }),
};

}  // namespace

const Structure kKprocess{"KPROCESS", "a process, as the scheduler sees it", "PROCESS", kFields, &find_eprocess};

}  // namespace vitrine::kd
