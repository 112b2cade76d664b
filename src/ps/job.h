// Job (EJOB): processes that share limits, are counted together and end together.
//
// A process joins at most one job, for good, and its children join the same one unless they may break away. The job
// lives while a handle or a member does. JobManager owns the type and the list of all jobs (NT: PspJobList), and
// carries out what happens at birth and death of members and when they meet a limit. Not here: security limits (per
// process since 6.0), job sets.
//
// NT: no nesting before Windows 8, which every profile is [facts 9.8].
#pragma once

#include "base/intrusive_list.h"
#include "io/io_completion.h"
#include "ke/kernel.h"
#include "ob/object_manager.h"
#include "ps/process.h"
#include "se/access.h"

namespace vitrine::ps {

class ProcessManager;

namespace job_access {
inline constexpr u32 kAssignProcess = 0x1, kSetAttributes = 0x2, kQuery = 0x4, kTerminate = 0x8, kSetSecurity = 0x10,
                     kAll = 0x1F'001F;
}
// read, write, execute, all: as the type's GENERIC_MAPPING [winnt.h, WRK-era public headers].
inline constexpr se::GenericMapping kJobMapping{0x2'0004, 0x2'000B, 0x12'0000, job_access::kAll};

// JOB_OBJECT_LIMIT_* [facts 9.1].
namespace job_limit {
inline constexpr u32 kWorkingSet = 0x1, kProcessTime = 0x2, kJobTime = 0x4, kActiveProcess = 0x8, kAffinity = 0x10,
                     kPriorityClass = 0x20, kPreserveJobTime = 0x40, kSchedulingClass = 0x80, kProcessMemory = 0x100,
                     kJobMemory = 0x200, kDieOnUnhandledException = 0x400, kBreakawayOk = 0x800,
                     kSilentBreakawayOk = 0x1000, kKillOnJobClose = 0x2000;
inline constexpr u32 kBasic = 0xFF, kExtended = 0x3FFF;
}  // namespace job_limit

// JOB_OBJECT_MSG_* [facts 9.7].
enum class JobMessage : u32 {
  end_of_job_time = 1,
  end_of_process_time = 2,
  active_process_limit = 3,
  active_process_zero = 4,
  new_process = 6,
  exit_process = 7,
  abnormal_exit_process = 8,
  process_memory_limit = 9,
  job_memory_limit = 10,
};

inline constexpr u8 kDefaultSchedulingClass = 5, kHighestSchedulingClass = 9;  // [facts 9.1, 9.2]

// NT: the exit code of members that a time limit ends: ERROR_NOT_ENOUGH_QUOTA [Microsoft: JOBOBJECT_END_OF_JOB_TIME_INFORMATION].
inline constexpr Status kTimeLimitExit{1816};
// NT 5.2: time limits are looked at every 7 s [facts 9.6].
inline constexpr u32 kTimeLimitSeconds = 7;

struct JobLimits {
  u32 flags = 0;                                          // job_limit
  u32 active_processes = 0;                               // kActiveProcess
  ke::AffinityMask affinity = 0;                          // kAffinity
  PriorityClass priority_class = PriorityClass::unknown;  // kPriorityClass
  u64 process_memory_pages = 0;                           // kProcessMemory
  u64 job_memory_pages = 0;                               // kJobMemory
  i64 process_time = 0;                                   // kProcessTime: user time, 100 ns
  i64 job_time = 0;                                       // kJobTime: the same, of all members since it was set
  u64 minimum_working_set = 0, maximum_working_set = 0;   // kWorkingSet: bytes
  u8 scheduling_class = kDefaultSchedulingClass;          // kSchedulingClass
};

// Of members that have ended; the live ones are added when somebody asks [facts 9.6].
struct JobAccounting {
  u64 user_time = 0, kernel_time = 0;  // clock ticks
  u64 page_faults = 0;
  u32 total_processes = 0;
  u32 active_processes = 0;
  u32 terminated_processes = 0;  // by a limit
  u64 peak_process_pages = 0;    // commit
};

class JobManager;
struct Job;

struct JobCommitGuard final : mm::CommitGuard {
  explicit JobCommitGuard(Job& job_) : job(job_) {}
  bool admit(const mm::AddressSpace& space, u64 pages) override;
  void refused(const mm::AddressSpace& space) override;
  Job& job;
};

struct Job : ob::Object {
  JobCommitGuard commit_guard{*this};

  ke::Event event{ke::EventKind::notification};        // NT: signalled when a time limit ended the job, never otherwise
  IntrusiveList<Process, &Process::job_link> members;  // in order of joining, until each is deleted
  ListLink list_link;
  JobLimits limits;
  JobAccounting ended;  // active and total count live members, too
  ob::Ref<io::IoCompletionObject> port;
  u64 port_key = 0;
  u32 session_id = 0;         // of the first member
  u32 ui_restrictions = 0;    // for win32k, which does not exist here
  u32 end_of_job_action = 0;  // JOBOBJECT_END_OF_JOB_TIME_INFORMATION: 0 ends the members, 1 only says so
  u64 period_user_time = 0, period_kernel_time = 0;  // ticks used when the job's time limit was last set
  u64 peak_pages = 0;         // commit of all members together
};

class JobManager {
 public:
  // Registers the type. All outlive it.
  JobManager(const sim::Profile& profile, ke::Kernel& kernel, ob::ObjectManager& objects, ProcessManager& processes);

  [[nodiscard]] ob::ObjectType& type() const { return *type_; }
  [[nodiscard]] Result<ob::Ref<Job>> create(const ob::CreateRequest& request);

  // NtAssignProcessToJobObject after its checks of handles. Errors: access_denied (in a job already, or another
  // session), process_is_terminating, quota_exceeded (too many members: the process is ended).
  [[nodiscard]] Status assign(Job& job, Process& process);
  // At birth: the child joins its parent's job, or breaks away. Errors: access_denied (it may not break away),
  // quota_exceeded (too many members).
  [[nodiscard]] Status join_at_birth(const Process& parent, Process& child, bool breakaway);
  // NtTerminateJobObject, and the last handle of a job that kills.
  void terminate(Job& job, Status exit_status);
  // Makes `limits` hold for members and the job. A time limit begins to count now. Precondition: checked by the caller.
  void set_limits(Job& job, const JobLimits& limits);
  // One port per job and for good; reports the members that are there. Error: invalid_parameter (it has one).
  [[nodiscard]] Status set_port(Job& job, ob::Ref<io::IoCompletionObject> port, u64 key);
  [[nodiscard]] const IntrusiveList<Job, &Job::list_link>& jobs() const { return jobs_; }
  // Everything that members did, live ones included.
  [[nodiscard]] JobAccounting accounting(const Job& job) const;

  // Ends members and jobs that have used up their time, every kTimeLimitSeconds.
  void check_time_limits();

  // A process has closed its handles, as its last thread ends (PspExitProcessFromJob) [facts 5.14 step 9].
  void process_ended(Process& process);
  // The job of a process; null: none.
  [[nodiscard]] static Job* job_of(const Process& process) { return static_cast<Job*>(process.job.get()); }

 private:
  friend struct JobCommitGuard;
  [[nodiscard]] i64 user_time(const Process& process) const;  // 100 ns
  void check_process_time(Job& job);
  void end_of_job_time(Job& job);
  static void close_job(ob::Object& object, const ob::CloseEvent& event);
  static void delete_job(ob::Object& object);
  [[nodiscard]] bool is_full(const Job& job) const;
  void join(Job& job, Process& process);
  void apply_limits(const Job& job, Process& process);
  void report(Job& job, JobMessage message, u32 process_id);

  ke::Kernel& kernel_;
  ob::ObjectManager& objects_;
  ProcessManager& processes_;
  i64 tick_;  // 100 ns
  ob::ObjectType* type_ = nullptr;
  IntrusiveList<Job, &Job::list_link> jobs_;  // NT: PspJobList
};

}  // namespace vitrine::ps
