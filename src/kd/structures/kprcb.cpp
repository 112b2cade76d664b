// KPRCB: one processor. Fields: facts 6.2, public symbols [VOL].
#include <fmt/format.h>

#include "kd/structures/values.h"

namespace vitrine::kd {
namespace {

using P = ke::Processor;

std::string thread_text(const P& processor, const ke::Thread* thread) {
  if (thread == nullptr) return "none";
  if (thread == &processor.idle_thread) return "the idle thread";
  return name_of(*ps::Thread::from(const_cast<ke::Thread*>(thread)));
}

FoundRecord find(const Target& target, std::string_view text) {
  const auto number = text.empty() ? std::optional<u64>(target.kernel().executing_processor()) : parse_number(text);
  if (number && *number < target.kernel().processor_count())
    return borrow(&target.kernel().processor(static_cast<u32>(*number)));
  return std::unexpected(
      fmt::format("there is no processor {}; they are 0 to {}", text, target.kernel().processor_count() - 1));
}

constexpr Field kFields[] = {
    field<P>("Number", "which processor", [](auto&, auto& p) { return number(p.number); }),
    field<P>("CurrentThread", "who runs", [](auto&, auto& p) { return thread_text(p, p.current); }),
    field<P>("NextThread", "who runs next (standby)", [](auto&, auto& p) { return thread_text(p, p.next); }),
    field<P>("IdleThread", "who runs when nobody else may", [](auto&, auto& p) { return flag(p.is_idle()); }),
    field<P>("ReadySummary", "bit p: somebody is ready at priority p",
             [](auto&, auto& p) { return hex(p.ready_summary); }),
    field<P>("DispatcherReadyListHead", "ready threads by priority, highest first",
             [](auto&, auto& p) {
               std::string text;
               for (u32 level = ke::kPriorityLevels; level-- > 0;) {
                 if (!p.ready[level].empty())
                   text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", level, length(p.ready[level]));
               }
               return text.empty() ? std::string("empty") : text;
             }),
    field<P>("DeferredReadyListHead", "threads that are being readied",
             [](auto&, auto& p) { return number(static_cast<i64>(length(p.deferred_ready))); }),
    field<P>("WaitListHead", "user-mode waits, oldest first: candidates for stack out-swap",
             [](auto&, auto& p) { return fmt::format("{} threads", length(p.wait_list)); }),
    field<P>("QueueIndex", "priority at which the next starvation scan begins",
             [](auto&, auto& p) { return number(p.queue_index); }),
    field<P>("QuantumEnd", "the current thread's quantum has ended",
             [](auto&, auto& p) { return flag(p.quantum_end); }),
    field<P>("DpcData", "queued DPCs; run so far",
             [](auto&, auto& p) { return fmt::format("{}; {}", length(p.dpcs), p.dpc_count); }),
    field<P>("InterruptCount", "clock interrupts",
             [](auto&, auto& p) { return number(static_cast<i64>(p.interrupt_count)); }),
    field<P>("KernelTime", "ticks in kernel mode",
             [](auto&, auto& p) { return number(static_cast<i64>(p.kernel_ticks)); }),
    field<P>("UserTime", "ticks in user mode", [](auto&, auto& p) { return number(static_cast<i64>(p.user_ticks)); }),
    field<P>("KeContextSwitches", "switches from one thread to another",
             [](auto&, auto& p) { return number(static_cast<i64>(p.context_switches)); }),
};

}  // namespace

const Structure kKprcb{"KPRCB", "a processor's scheduling state", "PROCESSOR", kFields, &find};

}  // namespace vitrine::kd
