// !process: every process in a line, or one with its threads and handles.
#include "kd/command.h"

namespace vitrine::kd {
namespace {

constexpr u64 kThreads = 2, kHandles = 4;

void list_processes(const Target& target, Report& report) {
  Table& table = report.table({"process", "parent", "threads", "handles", "base", "commit", "state", "image"});
  for (const ps::Process* process : target.processes()) {
    table.rows.push_back(
        {hex(process->id), hex(process->parent_id), fmt::format("{}", process->active_threads),
         fmt::format("{}", process->handles == nullptr ? 0 : process->handles->count()),
         fmt::format("{}", process->pcb.base_priority),
         process->space == nullptr ? "-" : fmt::format("{} KB", process->space->commit_charge() * kPageSize / 1024),
         process->exiting ? fmt::format("ended with {:#x}", static_cast<u32>(process->exit_status)) : "alive",
         process->short_name()});
  }
}

}  // namespace

void show_processes(const Target& target, const Arguments& arguments, Report& report) {
  if (arguments.empty()) return list_processes(target, report);
  const auto process = target.process(arguments[0]);
  if (!process) return report.fail("{}", process.error());
  const auto flags = arguments.size() > 1 ? parse_number(arguments[1]) : std::optional<u64>(kThreads);
  if (!flags) return report.fail("FLAGS {}: expected a number; 2 shows threads, 4 handles", arguments[1]);
  const ps::Process& p = **process;
  report.say("process {:#x} ({}), EPROCESS {:#x}, PEB {:#x}, parent {:#x}, session {}", p.id, p.short_name(),
             target.address(p), p.peb, p.parent_id, p.session_id);
  report.say("  base priority {}, affinity {:#x}, {} threads alive, {} handles, exit status {:#x}", p.pcb.base_priority,
             p.pcb.affinity, p.active_threads, p.handles == nullptr ? 0 : p.handles->count(),
             static_cast<u32>(p.exit_status));
  if (p.space != nullptr) {
    report.say("  {} address ranges, {} KB committed, {} KB in the working set, {} page faults", p.space->vads().size(),
               p.space->commit_charge() * kPageSize / 1024, p.space->working_set_pages() * kPageSize / 1024,
               p.space->fault_count());
  }
  if ((*flags & kThreads) != 0) {
    Table& table = report.table({"thread", "pri", "base", "state"});
    for (const ps::Thread& thread : p.threads) {
      table.rows.push_back({hex(thread.id), fmt::format("{}", thread.tcb.priority),
                            fmt::format("{}", thread.tcb.base_priority), state_of(thread)});
    }
  }
  if ((*flags & kHandles) != 0) show_handles(target, {arguments[0]}, report);
}

}  // namespace vitrine::kd
