// !apc: the queued APCs of every thread.
#include "kd/command.h"

namespace vitrine::kd {
namespace {

std::string describe(const ke::Apc& apc) {
  if (apc.exits_thread) return "the exit APC";
  switch (apc.kind) {
    case ke::ApcKind::special_kernel:
      return "special kernel";
    case ke::ApcKind::normal_kernel:
      return &apc == &apc.thread->suspend_apc ? "the suspend APC (normal kernel)" : "normal kernel";
    case ke::ApcKind::user: {
      const ke::UserApcCall& call = static_cast<const ke::UserApc&>(apc).call;
      return fmt::format("user: {:#x}({:#x}, {:#x}, {:#x})", call.normal_routine, call.arguments[0], call.arguments[1],
                         call.arguments[2]);
    }
  }
  return "";
}

void add(Table& table, const ps::Thread& thread, const ke::ApcQueues& queues, std::string_view state) {
  for (const ke::Apc& apc : queues.kernel) table.rows.push_back({hex(thread.id), std::string(state), describe(apc)});
  for (const ke::Apc& apc : queues.user) table.rows.push_back({hex(thread.id), std::string(state), describe(apc)});
}

}  // namespace

void show_apcs(const Target& target, const Arguments& arguments, Report& report) {
  const ps::Process* only = nullptr;
  if (!arguments.empty()) {
    const auto process = target.process(arguments[0]);
    if (!process) return report.fail("{}", process.error());
    only = *process;
  }
  Table table{{"thread", "queue of", "APC"}, {}};
  for (const ps::Thread* thread : target.threads()) {
    if (only != nullptr && thread->process != only) continue;
    add(table, *thread, thread->tcb.apc_queues,
        thread->tcb.saved_apc_state == nullptr ? "its own" : "the process that it is attached to");
    if (thread->tcb.saved_apc_state != nullptr) add(table, *thread, thread->tcb.saved_apc_state->queues, "its own");
  }
  if (table.rows.empty()) return report.say("No APC is queued.");
  report.parts.emplace_back(std::move(table));
}

}  // namespace vitrine::kd
