// The dispatcher's vocabulary: states, reasons, modes, priorities and increments, with NT's numbers. Names and values are
// those of the public WDK headers and of facts 5.1, 5.2, 6 and 7.
#pragma once

#include <optional>
#include <string_view>

#include "base/types.h"

namespace vitrine::ke {

// One bit per processor; a machine has 1 to 64.
using AffinityMask = u64;
inline constexpr u32 kMaximumProcessors = 64;

// KTHREAD_STATE. 9 (WaitingForProcessInSwap) is Windows 10's and not in scope.
enum class ThreadState : u8 {
  initialized = 0, ready = 1, running = 2, standby = 3, terminated = 4, waiting = 5, transition = 6, deferred_ready = 7,
  gate_wait = 8,
};
[[nodiscard]] std::string_view thread_state_name(ThreadState state);

// KPROCESS.State.
enum class ProcessState : u8 { in_memory = 0, out_of_memory = 1, in_transition = 2, out_transition = 3, in_swap = 4, out_swap = 5 };

// KWAIT_REASON. The "wr" twins are waits that the kernel makes on behalf of a user request; 30 to 33 say why a ready
// thread lost the processor.
enum class WaitReason : u8 {
  executive = 0, free_page = 1, page_in = 2, pool_allocation = 3, delay_execution = 4, suspended = 5, user_request = 6,
  wr_executive = 7, wr_free_page = 8, wr_page_in = 9, wr_pool_allocation = 10, wr_delay_execution = 11, wr_suspended = 12,
  wr_user_request = 13, wr_event_pair = 14, wr_queue = 15, wr_lpc_receive = 16, wr_lpc_reply = 17, wr_virtual_memory = 18,
  wr_page_out = 19, wr_rendezvous = 20, wr_keyed_event = 21, wr_terminated = 22, wr_process_in_swap = 23,
  wr_cpu_rate_control = 24, wr_callout_stack = 25, wr_kernel = 26, wr_resource = 27, wr_push_lock = 28, wr_mutex = 29,
  wr_quantum_end = 30, wr_dispatch_int = 31, wr_preempted = 32, wr_yield_execution = 33, wr_fast_mutex = 34,
  wr_guarded_mutex = 35, wr_rundown = 36,
  wr_alert_by_thread_id = 37,  // 6.2 and later; Wine's ntdll waits this way
  maximum = 38,
};
[[nodiscard]] std::string_view wait_reason_name(WaitReason reason);

// KIRQL, numbered as on x64 [WDK]. x86 numbers what lies above DISPATCH_LEVEL differently; nothing depends on it.
enum class Irql : u8 { passive = 0, apc = 1, dispatch = 2, clock = 13, high = 15 };

// KPROCESSOR_MODE.
enum class Mode : u8 { kernel = 0, user = 1 };

// WAIT_TYPE.
enum class WaitType : u8 { all = 0, any = 1 };

// KTHREAD.AdjustReason: what a thread that is being readied still has to be given.
enum class AdjustReason : u8 { none = 0, unwait = 1, boost = 2 };

// Why a priority changed, in traces.
enum class PriorityChange : u8 { wait_boost = 1, lock_boost = 2, decay = 3, starvation = 4, set = 5, direct_boost = 6 };

using Priority = u8;
inline constexpr Priority kLowPriority = 0;           // the zero-page thread only
inline constexpr Priority kHighestDynamicPriority = 15;
inline constexpr Priority kLowRealtimePriority = 16;
inline constexpr Priority kHighPriority = 31;
inline constexpr u32 kPriorityLevels = 32;
inline constexpr i32 kSaturationIncrement = 16;       // KeSetBasePriorityThread: (HIGH_PRIORITY + 1) / 2

// Priority increments that come with a wake-up [WDK; ROS for the last two].
inline constexpr i8 kIncrementNone = 0;
inline constexpr i8 kIncrementDisk = 1;
inline constexpr i8 kIncrementEvent = 1;
inline constexpr i8 kIncrementSemaphore = 1;
inline constexpr i8 kIncrementMutant = 1;
inline constexpr i8 kIncrementNamedPipe = 2;
inline constexpr i8 kIncrementNetwork = 2;
inline constexpr i8 kIncrementSerial = 2;
inline constexpr i8 kIncrementKeyboard = 6;
inline constexpr i8 kIncrementSound = 8;
inline constexpr i8 kIncrementAlert = 2;
inline constexpr i8 kIncrementExitApc = 2;

inline constexpr u8 kHighestSchedulingClass = 9;      // of jobs: 0 to 9 [facts 9.2]

inline constexpr u8 kClockQuantumDecrement = 3;       // per tick, in units [ROS/WDK]
inline constexpr u8 kWaitQuantumDecrement = 1;
inline constexpr u8 kMaximumSuspendCount = 127;       // MAXIMUM_SUSPEND_COUNT
inline constexpr u32 kThreadWaitObjects = 3;          // built-in wait blocks for objects; the fourth is the timer's
inline constexpr u32 kTimerWaitBlock = 3;
inline constexpr u32 kMaximumWaitObjects = 64;

// How to wait. A timeout is NT's: negative is relative in interrupt time, positive absolute in system time, zero polls,
// absent waits for ever; unit 100 ns.
struct WaitParameters {
  WaitReason reason = WaitReason::executive;
  Mode mode = Mode::kernel;
  bool alertable = false;
  std::optional<Ticks> timeout;
};

}  // namespace vitrine::ke
