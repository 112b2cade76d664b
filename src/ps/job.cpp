#include "ps/job.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "ps/process_manager.h"

namespace vitrine::ps {
namespace {

// NT: an exit code among these reports an abnormal exit [Microsoft: JOBOBJECT_ASSOCIATE_COMPLETION_PORT].
constexpr std::array kAbnormalExits{
    0xC0000005u,                                                                                // access violation
    0xC000008Cu,                                                                                // array bounds exceeded
    0x80000003u,                                                                                // breakpoint
    0xC000013Au,                                                                                // Ctrl-C
    0xC000008Du, 0xC000008Eu, 0xC000008Fu, 0xC0000090u, 0xC0000091u, 0xC0000092u, 0xC0000093u,  // floating point
    0xC0000094u, 0xC0000095u,  // integer division by zero, overflow
    0xC000001Du,               // illegal instruction
    0xC0000006u,               // in-page error
    0xC0000025u,               // noncontinuable exception
    0xC0000096u,               // privileged instruction
    0xC00000FDu,               // stack overflow
    0x80000004u,               // single step
    0xC0000026u,               // invalid disposition
};

bool is_abnormal(Status exit_status) {
  return std::ranges::find(kAbnormalExits, static_cast<u32>(exit_status)) != kAbnormalExits.end();
}

}  // namespace

JobManager::JobManager(const sim::Profile& profile, ke::Kernel& kernel, ob::ObjectManager& objects,
                       ProcessManager& processes)
    : kernel_(kernel), objects_(objects), processes_(processes), tick_(profile.scheduler.clock_interval_100ns) {
  type_ = &objects.register_type({.name = u"Job",
                                  .pool = ex::PoolType::nonpaged,
                                  .tag = ex::pool_tag("Job "),
                                  .body_bytes = profile.sizes.ejob,
                                  .valid_access = job_access::kAll,
                                  .mapping = kJobMapping,
                                  .security_required = true,
                                  .maintains_handle_count = true,
                                  .nonpaged_charge = profile.sizes.ejob,
                                  .context = this,
                                  .delete_object = &delete_job,
                                  .close = &close_job,
                                  .dispatcher = [](ob::Object& o) { return &static_cast<Job&>(o).event.header; }});
}

Result<ob::Ref<Job>> JobManager::create(const ob::CreateRequest& request) {
  auto job = objects_.create<Job>(*type_, request);
  if (job) jobs_.push_back(**job);
  return job;
}

void JobManager::delete_job(ob::Object& object) {
  auto& job = static_cast<Job&>(object);
  if (job.list_link.is_linked()) job.list_link.unlink();
  job.port.reset();
}

// NT: the last handle of a job with KILL_ON_JOB_CLOSE ends its members, with exit code 0 [tested:
// nt/job_services_test].
void JobManager::close_job(ob::Object& object, const ob::CloseEvent& event) {
  auto& job = static_cast<Job&>(object);
  if (event.handle_count_before != 1 || (job.limits.flags & job_limit::kKillOnJobClose) == 0) return;
  static_cast<JobManager*>(job.type().traits.context)->terminate(job, Status::success);
}

bool JobManager::is_full(const Job& job) const {
  return (job.limits.flags & job_limit::kActiveProcess) != 0 &&
         job.ended.active_processes >= job.limits.active_processes;
}

// A packet for the job's port: no delivery is guaranteed [facts 9.7].
void JobManager::report(Job& job, JobMessage message, u32 process_id) {
  if (!job.port || job.port->queue.header.signal_state >= static_cast<i32>(io::kMaximumPackets)) return;
  auto* packet = new io::CompletionPacket;
  packet->record = {job.port_key, process_id, Status::success,
                    static_cast<u32>(message)};  // shown as the number of bytes
  kernel_.insert_queue(job.port->queue, *packet);
}

Status JobManager::assign(Job& job, Process& process) {
  if (process.deleting) return Status::process_is_terminating;
  if (job_of(process) != nullptr) return Status::access_denied;
  if (job.ended.total_processes != 0 && job.session_id != process.session_id) return Status::access_denied;
  if (is_full(job)) {
    report(job, JobMessage::active_process_limit, 0);
    ++job.ended.terminated_processes;
    (void)processes_.terminate_process(process, Status::quota_exceeded, nullptr);
    return Status::quota_exceeded;
  }
  join(job, process);
  return Status::success;
}

Status JobManager::join_at_birth(const Process& parent, Process& child, bool breakaway) {
  Job* job = job_of(parent);
  if (job == nullptr) return Status::success;
  if ((job->limits.flags & job_limit::kSilentBreakawayOk) != 0) return Status::success;
  if (breakaway) {
    return (job->limits.flags & job_limit::kBreakawayOk) != 0 ? Status::success : Status::access_denied;
  }
  if (is_full(*job)) {
    report(*job, JobMessage::active_process_limit, 0);
    return Status::quota_exceeded;
  }
  join(*job, child);
  return Status::success;
}

namespace {

// Pages that all members have committed.
u64 committed(const Job& job) {
  u64 pages = 0;
  for (const Process& process : job.members) {
    if (process.space != nullptr) pages += process.space->commit_charge();
  }
  return pages;
}

u32 member_of(const Job& job, const mm::AddressSpace& space) {
  for (const Process& process : job.members) {
    if (process.space.get() == &space) return process.id;
  }
  return 0;
}

JobManager& manager_of(const Job& job) { return *static_cast<JobManager*>(job.type().traits.context); }

}  // namespace

void JobManager::join(Job& job, Process& process) {
  if (job.ended.total_processes == 0) job.session_id = process.session_id;
  process.job = ob::Ref<ob::Object>(job);
  job.members.push_back(process);
  ++job.ended.total_processes;
  ++job.ended.active_processes;
  apply_limits(job, process);
  if (process.space != nullptr) {
    process.space->set_commit_guard(&job.commit_guard);
    job.peak_pages = std::max(job.peak_pages, committed(job));
  }
  report(job, JobMessage::new_process, process.id);
}

bool JobCommitGuard::admit(const mm::AddressSpace& space, u64 pages) {
  const u64 wanted = committed(job) + pages;
  if ((job.limits.flags & job_limit::kJobMemory) != 0 && wanted > job.limits.job_memory_pages) {
    manager_of(job).report(job, JobMessage::job_memory_limit, member_of(job, space));
    return false;
  }
  job.peak_pages = std::max(job.peak_pages, wanted);
  return true;
}

void JobCommitGuard::refused(const mm::AddressSpace& space) {
  manager_of(job).report(job, JobMessage::process_memory_limit, member_of(job, space));
}

i64 JobManager::user_time(const Process& process) const {
  u64 ticks = process.ended_thread_user_time;
  for (const Thread& thread : process.threads) {
    if (thread.tcb.state != ke::ThreadState::terminated) ticks += thread.tcb.user_time;
  }
  return static_cast<i64>(ticks) * tick_;
}

void JobManager::check_process_time(Job& job) {
  ob::Ref<Process> process(job.members.front());
  while (process) {
    const ob::Ref<Process> next(job.members.next(*process));
    if (!process->exiting && user_time(*process) > job.limits.process_time) {
      ++job.ended.terminated_processes;
      (void)processes_.terminate_process(*process, kTimeLimitExit, nullptr);
      report(job, JobMessage::end_of_process_time, process->id);
    }
    process = next;
  }
}

void JobManager::end_of_job_time(Job& job) {
  job.limits.flags &= ~job_limit::kJobTime;
  if (job.end_of_job_action == 1 && job.port) {
    report(job, JobMessage::end_of_job_time, 0);
    return;
  }
  job.ended.terminated_processes += job.ended.active_processes;
  (void)kernel_.set_event(job.event, ke::kIncrementNone);
  terminate(job, kTimeLimitExit);
}

void JobManager::check_time_limits() {
  ob::Ref<Job> job(jobs_.front());
  while (job) {
    if ((job->limits.flags & job_limit::kProcessTime) != 0) check_process_time(*job);
    const i64 used = static_cast<i64>(accounting(*job).user_time - job->period_user_time) * tick_;
    if ((job->limits.flags & job_limit::kJobTime) != 0 && used > job->limits.job_time) end_of_job_time(*job);
    job = ob::Ref<Job>(jobs_.next(*job));
  }
}

void JobManager::apply_limits(const Job& job, Process& process) {
  const JobLimits& limits = job.limits;
  if ((limits.flags & job_limit::kAffinity) != 0) (void)kernel_.set_process_affinity(process.pcb, limits.affinity);
  if ((limits.flags & job_limit::kPriorityClass) != 0) {
    process.priority_class = limits.priority_class;
    kernel_.set_process_priority(process.pcb, kClassBasePriority[static_cast<u8>(limits.priority_class)],
                                 limits.priority_class == PriorityClass::idle);
  }
  kernel_.set_scheduling_class(process.pcb, (limits.flags & job_limit::kSchedulingClass) != 0
                                                ? std::optional(limits.scheduling_class)
                                                : std::nullopt);
  if (process.space == nullptr) return;
  if ((limits.flags & job_limit::kWorkingSet) != 0) {
    process.space->set_working_set_minimum(bytes_to_pages(limits.minimum_working_set));
  }
  process.space->set_commit_limit((limits.flags & job_limit::kProcessMemory) != 0 ? limits.process_memory_pages
                                                                                  : ~0ull);
}

void JobManager::set_limits(Job& job, const JobLimits& limits) {
  const bool preserves = (limits.flags & job_limit::kPreserveJobTime) != 0;
  const JobLimits old = std::exchange(job.limits, limits);
  job.limits.flags &= ~job_limit::kPreserveJobTime;
  if (preserves) {
    job.limits.flags |= old.flags & job_limit::kJobTime;
    job.limits.job_time = old.job_time;
  } else if ((limits.flags & job_limit::kJobTime) != 0) {
    // NT: a new limit begins a new period and takes back the signal of the last [Microsoft:
    // JOBOBJECT_BASIC_LIMIT_INFORMATION].
    const JobAccounting used = accounting(job);
    job.period_user_time = used.user_time;
    job.period_kernel_time = used.kernel_time;
    (void)kernel_.reset_event(job.event);
  }
  for (Process& process : job.members) {
    if (!process.exiting) apply_limits(job, process);
  }
}

Status JobManager::set_port(Job& job, ob::Ref<io::IoCompletionObject> port, u64 key) {
  if (job.port) return Status::invalid_parameter;
  job.port = std::move(port);
  job.port_key = key;
  for (const Process& process : job.members) {
    if (!process.exiting) report(job, JobMessage::new_process, process.id);
  }
  return Status::success;
}

void JobManager::terminate(Job& job, Status exit_status) {
  // A member that never had a thread is deleted by its own end: the next one is found first, and kept.
  ob::Ref<Process> process(job.members.front());
  while (process) {
    const ob::Ref<Process> next(job.members.next(*process));
    if (!process->exiting) (void)processes_.terminate_process(*process, exit_status, nullptr);
    process = next;
  }
}

// NT: what the member did is folded into the job when it ends; it stays a member until it is deleted.
void JobManager::process_ended(Process& process) {
  Job* job = job_of(process);
  if (job == nullptr) return;
  const ob::Ref<Job> keep(job);
  JobAccounting& sums = job->ended;
  sums.user_time += process.ended_thread_user_time;
  sums.kernel_time += process.ended_thread_kernel_time;
  if (process.space != nullptr) {
    sums.page_faults += process.space->fault_count();
    sums.peak_process_pages = std::max(sums.peak_process_pages, process.space->peak_commit_charge());
  }
  --sums.active_processes;
  report(*job, is_abnormal(process.exit_status) ? JobMessage::abnormal_exit_process : JobMessage::exit_process,
         process.id);
  if (sums.active_processes == 0) report(*job, JobMessage::active_process_zero, 0);
}

JobAccounting JobManager::accounting(const Job& job) const {
  JobAccounting sums = job.ended;
  for (const Process& process : job.members) {
    if (process.exiting) continue;  // counted when it ended
    sums.user_time += process.ended_thread_user_time;
    sums.kernel_time += process.ended_thread_kernel_time;
    for (const Thread& thread : process.threads) {
      if (thread.tcb.state == ke::ThreadState::terminated) continue;
      sums.user_time += thread.tcb.user_time;
      sums.kernel_time += thread.tcb.kernel_time;
    }
    if (process.space == nullptr) continue;
    sums.page_faults += process.space->fault_count();
    sums.peak_process_pages = std::max(sums.peak_process_pages, process.space->peak_commit_charge());
  }
  return sums;
}

}  // namespace vitrine::ps
