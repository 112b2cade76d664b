// EJOB: processes that share limits. Fields: the lectures' slide on jobs (5.2), public headers of its information
// classes; meanings: facts 9.
#include <fmt/format.h>

#include "kd/structures/values.h"
#include "ps/job.h"

namespace vitrine::kd {
namespace {

using J = ps::Job;

constexpr std::string_view kPerProcess = "since 6.0 filters and tokens are set per process, not by the job";

// A job by address or PROCESS:HANDLE, or that of a process.
FoundRecord find_job(const Target& target, std::string_view text) {
  if (const auto process = target.process(text.empty() ? "." : text)) {
    const J* job = ps::JobManager::job_of(**process);
    if (job == nullptr) return std::unexpected(fmt::format("{} is in no job", name_of(target, **process)));
    return borrow(job);
  }
  const auto object = target.object(text);
  if (!object) return std::unexpected(object.error());
  if (&(*object)->type() != &target.executive().processes.jobs().type()) {
    return std::unexpected(fmt::format("{} is no job", name_of(target, **object)));
  }
  return borrow(static_cast<const J*>(*object));
}

ps::JobAccounting sums(const Target& target, const J& job) {
  return target.executive().processes.jobs().accounting(job);
}

constexpr Field kFields[] = {
    field<J>("Event", "signalled when a time limit ended the job",
             [](auto&, auto& j) { return header_text(j.event.header); }),
    field<J>("JobLinks", "in the list of all jobs",
             [](auto& target, auto& j) {
               return entry_text(target.executive().processes.jobs().jobs(), j, j.list_link.is_linked(),
                                 [&](const J& other) { return name_of(target, other); });
             }),
    field<J>("ProcessListHead", "its processes, until each is deleted",
             [](auto&, auto& j) {
               std::string text;
               for (const ps::Process& process : j.members)
                 text += fmt::format("{}{:#x}", text.empty() ? "processes " : ", ", process.id);
               return text.empty() ? std::string("empty") : text;
             }),
    absent("JobLock", "guards members and limits",
           "kernel functions run one at a time and to their end: there is nothing to lock"),
    field<J>("TotalUserTime", "clock ticks in user mode, of members that have ended, too",
             [](auto& target, auto& j) { return number(static_cast<i64>(sums(target, j).user_time)); }),
    field<J>("TotalKernelTime", "clock ticks in kernel mode",
             [](auto& target, auto& j) { return number(static_cast<i64>(sums(target, j).kernel_time)); }),
    field<J>(
        "ThisPeriodTotalUserTime", "clock ticks in user mode since the job's time limit was set",
        [](auto& target, auto& j) { return number(static_cast<i64>(sums(target, j).user_time - j.period_user_time)); }),
    field<J>("TotalPageFaultCount", "page faults",
             [](auto& target, auto& j) { return number(static_cast<i64>(sums(target, j).page_faults)); }),
    field<J>("TotalProcesses", "processes that ever were members",
             [](auto& target, auto& j) { return number(sums(target, j).total_processes); }),
    field<J>("ActiveProcesses", "members that have not ended",
             [](auto& target, auto& j) { return number(sums(target, j).active_processes); }),
    field<J>("TotalTerminatedProcesses", "members that a limit ended",
             [](auto& target, auto& j) { return number(sums(target, j).terminated_processes); }),
    field<J>("LimitFlags", "which limits hold (JOB_OBJECT_LIMIT)", [](auto&, auto& j) { return hex(j.limits.flags); }),
    field<J>("PerProcessUserTimeLimit", "user time of each member, 100 ns",
             [](auto&, auto& j) { return number(j.limits.process_time); }),
    field<J>("PerJobUserTimeLimit", "user time of all members together, 100 ns",
             [](auto&, auto& j) { return number(j.limits.job_time); }),
    field<J>("MinimumWorkingSetSize", "least working set of each member, bytes",
             [](auto&, auto& j) { return number(static_cast<i64>(j.limits.minimum_working_set)); }),
    field<J>("MaximumWorkingSetSize", "greatest working set of each member, bytes",
             [](auto&, auto& j) { return number(static_cast<i64>(j.limits.maximum_working_set)); }),
    field<J>("ActiveProcessLimit", "members at once", [](auto&, auto& j) { return number(j.limits.active_processes); }),
    field<J>("Affinity", "processors of every member", [](auto&, auto& j) { return hex(j.limits.affinity); }),
    field<J>("PriorityClass", "priority class of every member",
             [](auto&, auto& j) { return number(static_cast<i64>(j.limits.priority_class)); }),
    field<J>("SchedulingClass", "0 to 9: quanta of members, where quanta are long and fixed",
             [](auto&, auto& j) { return number(j.limits.scheduling_class); }),
    field<J>("UIRestrictionsClass", "what members may not do on the desktop",
             [](auto&, auto& j) { return hex(j.ui_restrictions); }),
    absent("SecurityLimitFlags", "how members' tokens are restricted", kPerProcess),
    absent("Token", "the token that members get", kPerProcess),
    absent("Filter", "groups and privileges taken from members' tokens", kPerProcess),
    field<J>("EndOfJobTimeAction", "0 terminate, 1 post, when the time limit is over",
             [](auto&, auto& j) { return number(j.end_of_job_action); }),
    field<J>("CompletionPort", "where births and deaths of members are told",
             [](auto& target, auto& j) { return optional_object(target, j.port.get()); }),
    field<J>("CompletionKey", "the key of those messages", [](auto&, auto& j) { return hex(j.port_key); }),
    field<J>("SessionId", "session of its first member", [](auto&, auto& j) { return number(j.session_id); }),
    absent("ReadOperationCount", "reads of its members, and five more I/O counters",
           "I/O is counted for the whole machine, not by process"),
    field<J>("ProcessMemoryLimit", "pages that each member may commit",
             [](auto&, auto& j) { return number(static_cast<i64>(j.limits.process_memory_pages)); }),
    field<J>("JobMemoryLimit", "pages that all members may commit together",
             [](auto&, auto& j) { return number(static_cast<i64>(j.limits.job_memory_pages)); }),
    field<J>("PeakProcessMemoryUsed", "most pages that one member had committed",
             [](auto& target, auto& j) { return number(static_cast<i64>(sums(target, j).peak_process_pages)); }),
    field<J>("PeakJobMemoryUsed", "most pages that all members had committed together",
             [](auto&, auto& j) { return number(static_cast<i64>(j.peak_pages)); }),
    absent("JobSetLinks", "in its job set", "job sets are made by NtCreateJobSet, which nothing here calls"),
};

}  // namespace

const Structure kEjob{"EJOB", "a job: processes that share limits", "JOB", kFields, &find_job};

}  // namespace vitrine::kd
