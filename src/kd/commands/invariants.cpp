// !invariants: the dispatcher's books (ke), the lists and counts of ps, the VAD trees of mm.
#include "ke/invariants.h"

#include "kd/command.h"

namespace vitrine::kd {
namespace {

void check_process(const Target& target, const ps::Process& process, std::vector<std::string>& violations) {
  u32 alive = 0;
  for (const ps::Thread& thread : process.threads) {
    alive += !thread.rundown.active();  // what an exiting thread does first
    if (thread.process != &process)
      violations.push_back(
          fmt::format("{} is in the list of process {:#x} but belongs to another", name_of(thread), process.id));
    if (thread.tcb.process != &process.pcb) violations.push_back(fmt::format("{} has two owners", name_of(thread)));
    if (target.executive().processes.find_thread(thread.id).get() != &thread)
      violations.push_back(fmt::format("the id table does not lead to {}", name_of(thread)));
  }
  if (alive != process.active_threads) {
    violations.push_back(fmt::format("process {:#x} counts {} threads alive, its list has {}", process.id,
                                     process.active_threads, alive));
  }
  if (process.space != nullptr && !process.space->vads().is_consistent()) {
    violations.push_back(fmt::format("the address ranges of process {:#x} are not a whole tree", process.id));
  }
}

}  // namespace

void show_invariants(const Target& target, const Arguments&, Report& report) {
  std::vector<ke::Thread*> threads;
  for (const ps::Thread* thread : target.threads()) threads.push_back(const_cast<ke::Thread*>(&thread->tcb));
  std::vector<std::string> violations = ke::check_invariants(target.kernel(), threads);
  for (const ps::Process* process : target.processes()) check_process(target, *process, violations);
  const mm::Books books = target.executive().memory.books();
  if (books.held.committed_pages > books.commit_limit_pages)
    violations.push_back("more pages are committed than the limit allows");
  if (books.zeroed_pages + books.free_pages + books.standby_pages != books.held.available_pages) {
    violations.push_back("the page lists do not add up to the available pages");
  }
  if (violations.empty())
    return report.say("The books of {} threads in {} processes are right.", threads.size(), target.processes().size());
  for (const std::string& violation : violations) report.say("Violation: {}", violation);
}

}  // namespace vitrine::kd
