// What job objects take and give: JOBOBJECTINFOCLASS and its structures. [winnt.h]
#pragma once

#include <array>
#include <cstddef>

#include "base/types.h"

namespace vitrine::abi {

enum class JobInformationClass : u32 {
  basic_accounting = 1,
  basic_limit = 2,
  basic_process_id_list = 3,
  basic_ui_restrictions = 4,
  security_limit = 5,
  end_of_job_time = 6,
  associate_completion_port = 7,
  basic_and_io_accounting = 8,
  extended_limit = 9,
  job_set = 10,
};

struct JobBasicAccounting {
  i64 total_user_time, total_kernel_time, this_period_user_time, this_period_kernel_time;  // 100 ns
  u32 page_faults, total_processes, active_processes, terminated_processes;
};
static_assert(sizeof(JobBasicAccounting) == 48);

struct JobBasicAndIoAccounting {
  JobBasicAccounting basic;
  std::array<u64, 6> io;  // read, write and other operations, then bytes
};
static_assert(sizeof(JobBasicAndIoAccounting) == 96);

struct JobBasicLimits {
  i64 process_user_time, job_user_time;
  u32 flags, padding;
  u64 minimum_working_set, maximum_working_set;
  u32 active_processes, padding_2;
  u64 affinity;
  u32 priority_class, scheduling_class;
};
static_assert(sizeof(JobBasicLimits) == 64 && offsetof(JobBasicLimits, affinity) == 48);

struct JobExtendedLimits {
  JobBasicLimits basic;
  std::array<u64, 6> io;                                                 // reserved
  u64 process_memory, job_memory, peak_process_memory, peak_job_memory;  // bytes
};
static_assert(sizeof(JobExtendedLimits) == 144);

struct JobCompletionPort {
  u64 key, port;
};

struct JobProcessIdListHead {
  u32 assigned, listed;  // the ids follow, 8 bytes each
};

}  // namespace vitrine::abi
