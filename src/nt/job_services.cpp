// Job objects. The rules are ps::JobManager's; here are handles, information classes and their checks. [facts 9;
// winnt.h]
#include <algorithm>
#include <array>
#include <vector>

#include "abi/job_information.h"
#include "nt/capture.h"
#include "nt/families.h"
#include "nt/new_object.h"
#include "ps/access.h"
#include "ps/job.h"

namespace vitrine::nt {
namespace {

namespace limit = ps::job_limit;
namespace right = ps::job_access;
using Class = abi::JobInformationClass;

Result<ob::Ref<ps::Job>> reference_job(Call call, Handle handle, u32 access) {
  return reference<ps::Job>(call, handle, call->processes.jobs().type(), access);
}

// NT: a null handle asks about the caller's own job, which needs no right. Error: access_denied (it is in none).
Result<ob::Ref<ps::Job>> job_to_query(Call call, Handle handle) {
  if (handle) return reference_job(call, handle, right::kQuery);
  ps::Job* own = ps::JobManager::job_of(call.process());
  if (own == nullptr) return Failure(Status::access_denied);
  return ob::Ref<ps::Job>(own);
}

Status nt_create_job_object(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes) {
  VITRINE_TRY(call.space().probe(handle.address, sizeof(Handle), 1, true));
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  auto job = call->processes.jobs().create(request_for(call, *captured));
  if (!job) return job.error();
  return insert_and_return(call, std::move(*job), *captured, access, handle);
}

Status nt_open_job_object(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes) {
  VITRINE_TRY(call.space().probe(handle.address, sizeof(Handle), 1, true));
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  const auto opened =
      call.process().handles->open_by_name(*captured, &call->processes.jobs().type(), access, user_access(call));
  if (!opened) return opened.error();
  return return_handle(call, handle, *opened);
}

Status nt_assign_process_to_job_object(Call call, Handle job_handle, Handle process_handle) {
  const auto job = reference_job(call, job_handle, right::kAssignProcess);
  if (!job) return job.error();
  const auto process =
      reference_process(call, process_handle, ps::process_access::kSetQuota | ps::process_access::kTerminate);
  if (!process) return process.error();
  return call->processes.jobs().assign(**job, **process);
}

Status nt_terminate_job_object(Call call, Handle handle, u32 exit_status) {
  const auto job = reference_job(call, handle, right::kTerminate);
  if (!job) return job.error();
  call->processes.jobs().terminate(**job, Status{exit_status});
  return Status::success;
}

// NT: a null job asks whether the process is in any.
Status nt_is_process_in_job(Call call, Handle process_handle, Handle job_handle) {
  const auto process = reference_process(call, process_handle, ps::process_access::kQueryInformation);
  if (!process) return process.error();
  const ps::Job* own = ps::JobManager::job_of(**process);
  if (!job_handle) return own != nullptr ? Status::process_in_job : Status::process_not_in_job;
  const auto job = reference_job(call, job_handle, right::kQuery);
  if (!job) return job.error();
  return own == job->get() ? Status::process_in_job : Status::process_not_in_job;
}

abi::JobBasicAccounting basic_accounting(Call call, const ps::Job& job) {
  const ps::JobAccounting sums = call->processes.jobs().accounting(job);
  const u64 interval = call->machine.clock_interval_100ns();
  const i64 user = static_cast<i64>(sums.user_time * interval), kernel = static_cast<i64>(sums.kernel_time * interval);
  return {user,
          kernel,
          static_cast<i64>((sums.user_time - job.period_user_time) * interval),
          static_cast<i64>((sums.kernel_time - job.period_kernel_time) * interval),
          static_cast<u32>(sums.page_faults),
          sums.total_processes,
          sums.active_processes,
          sums.terminated_processes};
}

abi::JobBasicLimits basic_limits(const ps::Job& job) {
  abi::JobBasicLimits limits{};
  limits.flags = job.limits.flags & limit::kBasic;
  limits.active_processes = job.limits.active_processes;
  limits.affinity = job.limits.affinity;
  limits.priority_class = static_cast<u32>(job.limits.priority_class);
  limits.scheduling_class = job.limits.scheduling_class;
  limits.process_user_time = job.limits.process_time;
  limits.job_user_time = job.limits.job_time;
  limits.minimum_working_set = job.limits.minimum_working_set;
  limits.maximum_working_set = job.limits.maximum_working_set;
  return limits;
}

abi::JobExtendedLimits extended_limits(Call call, const ps::Job& job) {
  abi::JobExtendedLimits limits{};
  limits.basic = basic_limits(job);
  limits.basic.flags = job.limits.flags;
  limits.process_memory = job.limits.process_memory_pages << kPageShift;
  limits.job_memory = job.limits.job_memory_pages << kPageShift;
  limits.peak_job_memory = job.peak_pages << kPageShift;
  limits.peak_process_memory = call->processes.jobs().accounting(job).peak_process_pages << kPageShift;
  return limits;
}

// NT: as many ids as fit; buffer_overflow says that there are more.
Status query_process_ids(Call call, const ps::Job& job, Buffer buffer, u32 length, UserPtr<u32> return_length) {
  using Head = abi::JobProcessIdListHead;
  if (length < sizeof(Head) + sizeof(u64)) return Status::info_length_mismatch;
  std::vector<u64> ids;
  for (const ps::Process& process : job.members) {
    if (!process.exiting) ids.push_back(process.id);
  }
  const u64 listed = std::min<u64>(ids.size(), (length - sizeof(Head)) / sizeof(u64));
  VITRINE_TRY(buffer.as<Head>().write(call.space(), {static_cast<u32>(ids.size()), static_cast<u32>(listed)}));
  VITRINE_TRY(call.space().write(buffer.address + sizeof(Head), std::as_bytes(std::span(ids).first(listed))));
  if (return_length) {
    VITRINE_TRY(return_length.write(call.space(), static_cast<u32>(sizeof(Head) + listed * sizeof(u64))));
  }
  return listed < ids.size() ? Status::buffer_overflow : Status::success;
}

Status nt_query_information_job_object(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length,
                                       UserPtr<u32> return_length) {
  const auto wanted = static_cast<Class>(information_class);
  constexpr std::array kKnown{Class::basic_accounting,      Class::basic_limit,     Class::basic_process_id_list,
                              Class::basic_ui_restrictions, Class::end_of_job_time, Class::basic_and_io_accounting,
                              Class::extended_limit};
  if (std::ranges::find(kKnown, wanted) == kKnown.end()) return Status::invalid_info_class;
  const auto job = job_to_query(call, handle);
  if (!job) return job.error();
  const auto give = [&](const auto& value) { return return_value(call, buffer, length, value, return_length); };
  switch (wanted) {
    case Class::basic_accounting:
      return give(basic_accounting(call, **job));
    case Class::basic_and_io_accounting:
      return give(abi::JobBasicAndIoAccounting{basic_accounting(call, **job), {}});
    case Class::basic_limit:
      return give(basic_limits(**job));
    case Class::extended_limit:
      return give(extended_limits(call, **job));
    case Class::basic_ui_restrictions:
      return give((*job)->ui_restrictions);
    case Class::end_of_job_time:
      return give((*job)->end_of_job_action);
    default:
      return query_process_ids(call, **job, buffer, length, return_length);
  }
}

// Both working-set limits are given or none; time limits are user time [facts 9.1].
Status take_times(const abi::JobBasicLimits& basic, ps::JobLimits& limits) {
  constexpr u32 kBothTimes = limit::kJobTime | limit::kPreserveJobTime;
  if ((basic.flags & kBothTimes) == kBothTimes) return Status::invalid_parameter;
  if ((basic.flags & limit::kProcessTime) != 0) {
    if (basic.process_user_time < 0) return Status::invalid_parameter;
    limits.process_time = basic.process_user_time;
  }
  if ((basic.flags & limit::kJobTime) != 0) {
    if (basic.job_user_time < 0) return Status::invalid_parameter;
    limits.job_time = basic.job_user_time;
  }
  if ((basic.flags & limit::kWorkingSet) != 0) {
    const u64 minimum = basic.minimum_working_set, maximum = basic.maximum_working_set;
    if ((minimum == 0) != (maximum == 0) || minimum > maximum) return Status::invalid_parameter;
    limits.minimum_working_set = minimum;
    limits.maximum_working_set = maximum;
  }
  return Status::success;
}

Status take_scheduling(Call call, const abi::JobBasicLimits& basic, ps::JobLimits& limits) {
  if ((basic.flags & limit::kSchedulingClass) == 0) return Status::success;
  if (basic.scheduling_class > ps::kHighestSchedulingClass) return Status::invalid_parameter;
  if (basic.scheduling_class > ps::kDefaultSchedulingClass &&
      !call.process().token->data.has_privilege(se::Privilege::increase_base_priority)) {
    return Status::privilege_not_held;
  }
  limits.scheduling_class = static_cast<u8>(basic.scheduling_class);
  return Status::success;
}

// The rules for both limit classes. NT: unknown flags, and values that cannot be met, are invalid_parameter; raising
// the priority class takes SeIncreaseBasePriorityPrivilege.
Status set_limits(Call call, ps::Job& job, const abi::JobExtendedLimits& wanted, u32 valid_flags) {
  const abi::JobBasicLimits& basic = wanted.basic;
  if ((basic.flags & ~valid_flags) != 0) return Status::invalid_parameter;
  ps::JobLimits limits{.flags = basic.flags};
  VITRINE_TRY(take_times(basic, limits));
  VITRINE_TRY(take_scheduling(call, basic, limits));
  if ((basic.flags & limit::kActiveProcess) != 0) {
    if (basic.active_processes == 0) return Status::invalid_parameter;
    limits.active_processes = basic.active_processes;
  }
  if ((basic.flags & limit::kAffinity) != 0) {
    if (basic.affinity == 0 || (basic.affinity & ~call->kernel.active_processors()) != 0)
      return Status::invalid_parameter;
    limits.affinity = basic.affinity;
  }
  if ((basic.flags & limit::kPriorityClass) != 0) {
    if (basic.priority_class == 0 || basic.priority_class >= ps::kClassBasePriority.size())
      return Status::invalid_parameter;
    limits.priority_class = ps::PriorityClass{static_cast<u8>(basic.priority_class)};
    if (ps::kClassBasePriority[basic.priority_class] >
            ps::kClassBasePriority[static_cast<u8>(ps::PriorityClass::normal)] &&
        !call.process().token->data.has_privilege(se::Privilege::increase_base_priority)) {
      return Status::privilege_not_held;
    }
  }
  if ((basic.flags & limit::kProcessMemory) != 0) {
    if (wanted.process_memory < kPageSize) return Status::invalid_parameter;
    limits.process_memory_pages = wanted.process_memory >> kPageShift;
  }
  if ((basic.flags & limit::kJobMemory) != 0) {
    if (wanted.job_memory < kPageSize) return Status::invalid_parameter;
    limits.job_memory_pages = wanted.job_memory >> kPageShift;
  }
  // NT: the basic class leaves what only the extended one can say.
  limits.flags |= job.limits.flags & ~valid_flags;
  if (valid_flags == limit::kBasic) {
    limits.process_memory_pages = job.limits.process_memory_pages;
    limits.job_memory_pages = job.limits.job_memory_pages;
  }
  call->processes.jobs().set_limits(job, limits);
  return Status::success;
}

Status set_port(Call call, ps::Job& job, const abi::JobCompletionPort& wanted) {
  constexpr u32 kModifyState = 2;  // IO_COMPLETION_MODIFY_STATE
  auto port = reference<io::IoCompletionObject>(call, Handle{wanted.port}, call->io.completion_type(), kModifyState);
  if (!port) return port.error();
  return call->processes.jobs().set_port(job, std::move(*port), wanted.key);
}

// Captures a T and hands it on.
template <typename T, typename Set>
Status with_value(Call call, Buffer buffer, u32 length, Set set) {
  const auto value = capture_value<T>(call, buffer, length);
  return value ? set(*value) : value.error();
}

Status nt_set_information_job_object(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length) {
  const auto job = reference_job(call, handle, right::kSetAttributes);
  if (!job) return job.error();
  ps::Job& target = **job;
  switch (static_cast<Class>(information_class)) {
    case Class::basic_limit:
      return with_value<abi::JobBasicLimits>(call, buffer, length, [&](const auto& basic) {
        abi::JobExtendedLimits wanted{};
        wanted.basic = basic;
        return set_limits(call, target, wanted, limit::kBasic);
      });
    case Class::extended_limit:
      return with_value<abi::JobExtendedLimits>(
          call, buffer, length, [&](const auto& wanted) { return set_limits(call, target, wanted, limit::kExtended); });
    case Class::associate_completion_port:
      return with_value<abi::JobCompletionPort>(call, buffer, length,
                                                [&](const auto& wanted) { return set_port(call, target, wanted); });
    case Class::basic_ui_restrictions:
      return with_value<u32>(call, buffer, length, [&](u32 restrictions) {
        if ((restrictions & ~0xFFu) != 0) return Status::invalid_parameter;
        target.ui_restrictions = restrictions;
        return Status::success;
      });
    case Class::end_of_job_time:
      return with_value<u32>(call, buffer, length, [&](u32 action) {
        if (action > 1) return Status::invalid_parameter;
        target.end_of_job_action = action;
        return Status::success;
      });
    default:
      return Status::invalid_info_class;
  }
}

using enum SupportLevel;
constexpr std::array kServices{
    service<&nt_create_job_object>("NtCreateJobObject", complete, "handle, access, attributes"),
    service<&nt_open_job_object>("NtOpenJobObject", complete, "handle, access, attributes"),
    service<&nt_assign_process_to_job_object>("NtAssignProcessToJobObject", complete, "job, process"),
    service<&nt_terminate_job_object>("NtTerminateJobObject", complete, "job, exit status"),
    service<&nt_is_process_in_job>("NtIsProcessInJob", complete, "process, job"),
    service<&nt_query_information_job_object>("NtQueryInformationJobObject", partial,
                                              "job, class, buffer, length, return length",
                                              "I/O counters are zero; no job sets"),
    service<&nt_set_information_job_object>("NtSetInformationJobObject", partial, "job, class, buffer, length",
                                            "no security limits (class 5), no job sets (class 10)"),
};

}  // namespace

std::span<const Service> job_services() { return kServices; }

}  // namespace vitrine::nt
