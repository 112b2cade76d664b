// THREAD_*_INFORMATION, thread attribute lists and their numbers as a 64-bit guest passes them.
// [winternl.h, ntddk.h, processthreadsapi.h: public headers]
#pragma once

#include <cstddef>

#include "abi/strings.h"

namespace vitrine::abi {

enum class ThreadInformationClass : u32 {  // THREADINFOCLASS
  basic = 0,
  times = 1,
  priority = 2,
  base_priority = 3,
  affinity_mask = 4,
  impersonation_token = 5,
  win32_start_address = 9,
  zero_tls_cell = 10,
  am_i_last_thread = 12,
  ideal_processor = 13,
  priority_boost = 14,
  is_io_pending = 16,
  hide_from_debugger = 17,
  break_on_termination = 18,
  is_terminated = 20,
  cycle_time = 23,
  page_priority = 24,
  actual_base_priority = 25,
  group_information = 30,
  ideal_processor_ex = 33,
  suspend_count = 35,
  name = 38,
  power_throttling_state = 49,
  wine_native_name = 1000,
};

struct ThreadBasicInformation {
  u32 exit_status;
  u32 padding;
  Va teb;
  ClientId client_id;
  u64 affinity_mask;
  i32 priority;
  i32 base_priority;  // the increment over the process's
};
static_assert(sizeof(ThreadBasicInformation) == 48);

struct KernelUserTimes {  // KERNEL_USER_TIMES, 100 ns; of threads and processes
  i64 create_time, exit_time, kernel_time, user_time;
};

struct ThreadCycleTimeInformation {
  u64 accumulated_cycles, current_cycle_count;
};

struct GroupAffinity {  // GROUP_AFFINITY
  u64 mask;
  u16 group;
  u16 reserved[3];
};
static_assert(sizeof(GroupAffinity) == 16);

struct ProcessorNumber {  // PROCESSOR_NUMBER
  u16 group;
  u8 number;
  u8 reserved;
};

struct PowerThrottlingState {
  u32 version, control_mask, state_mask;
};

// NtCreateThreadEx's flags.
namespace thread_create {
inline constexpr u32 kSuspended = 0x01, kSkipThreadAttach = 0x02, kHideFromDebugger = 0x04, kLoaderWorker = 0x10,
                     kSkipLoaderInit = 0x20, kBypassProcessFreeze = 0x40, kInitialThread = 0x80, kKnown = 0xF7;
}

// PS_ATTRIBUTE_LIST: its length in bytes, then attributes.
struct PsAttribute {
  u64 attribute;     // number in the low 16 bits, ps_attribute:: flags above
  u64 size;          // bytes
  u64 value;         // address of input or output
  Va return_length;  // SIZE_T; may be 0
};
static_assert(sizeof(PsAttribute) == 32);
namespace ps_attribute {
inline constexpr u64 kClientId = 0x1'0003, kTebAddress = 0x1'0004, kGroupAffinity = 0x3'000C,
                     kIdealProcessor = 0x3'000E;
}

}  // namespace vitrine::abi
