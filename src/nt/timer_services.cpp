// Timers and clocks. A timer expires at the first clock interrupt at or after its due time [facts 7.4]; the interrupt's
// interval is the profile's and programs cannot change it.
#include <array>

#include "abi/object_constants.h"
#include "nt/capture.h"
#include "nt/families.h"
#include "nt/new_object.h"
#include "se/token.h"

namespace vitrine::nt {
namespace {

struct TimerBasicInformation {  // TIMER_BASIC_INFORMATION
  i64 remaining;                // 100 ns; negative once it has expired
  u8 signalled;
  u8 padding[7];
};
static_assert(sizeof(TimerBasicInformation) == 16);

Status nt_create_timer(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes, u32 type) {
  if (type > 1) return Status::invalid_parameter_4;
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  const ke::TimerKind kind = type == 0 ? ke::TimerKind::notification : ke::TimerKind::synchronization;
  auto timer = call->sync.create_timer(request_for(call, *captured), kind);
  if (!timer) return timer.error();
  return insert_and_return(call, std::move(*timer), *captured, access, handle);
}

Status nt_open_timer(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes) {
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  const auto opened = call.process().handles->open_by_name(*captured, &call->sync.timer(), access, user_access(call));
  if (!opened) return opened.error();
  return return_handle(call, handle, *opened);
}

Result<ob::Ref<ob::TimerObject>> modifiable_timer(Call call, Handle handle) {
  return reference<ob::TimerObject>(call, handle, call->sync.timer(), abi::timer_access::kModifyState);
}

Status nt_set_timer(Call call, Handle handle, UserPtr<i64> due_time, Va apc_routine, u64 apc_context, bool resume,
                    i32 period, UserPtr<u8> previous) {
  if (period < 0) return Status::invalid_parameter_6;
  const auto due = due_time.read(call.space());
  if (!due) return due.error();
  const auto timer = modifiable_timer(call, handle);
  if (!timer) return timer.error();
  ob::SyncTypes::TimerSetting setting{.due = Ticks{*due}, .period_ms = static_cast<u32>(period)};
  if (apc_routine != 0) {
    setting.apc_thread = &call.thread->tcb;
    setting.apc_routine = apc_routine;
    setting.apc_context = apc_context;
  }
  const bool was_signalled = call->sync.set_timer(**timer, setting);
  if (previous) VITRINE_TRY(previous.write(call.space(), was_signalled ? 1 : 0));
  // NT: without power management that could wake the machine, the timer is set all the same and the status says so.
  return resume ? Status::timer_resume_ignored : Status::success;
}

Status nt_cancel_timer(Call call, Handle handle, UserPtr<u8> previous) {
  const auto timer = modifiable_timer(call, handle);
  if (!timer) return timer.error();
  // NT: CurrentState is the signal state, read before the timer is taken back.
  const bool was_signalled = ke::Kernel::read_state((*timer)->timer.header) != 0;
  (void)call->sync.cancel_timer(**timer);
  return previous ? previous.write(call.space(), was_signalled ? 1 : 0) : Status::success;
}

Status nt_query_timer(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length,
                      UserPtr<u32> return_length) {
  if (information_class != 0) return Status::invalid_info_class;
  if (length != sizeof(TimerBasicInformation)) return Status::info_length_mismatch;
  const auto timer = reference<ob::TimerObject>(call, handle, call->sync.timer(), abi::timer_access::kQueryState);
  if (!timer) return timer.error();
  const ke::Timer& state = (*timer)->timer;
  TimerBasicInformation information{};
  information.remaining = state.due.value - call->kernel.interrupt_time().value;
  information.signalled = ke::Kernel::read_state(state.header) != 0 ? 1 : 0;
  return return_value(call, buffer, length, information, return_length);
}

Status nt_query_timer_resolution(Call call, UserPtr<u32> coarsest, UserPtr<u32> finest, UserPtr<u32> current) {
  const u32 interval = call->machine.clock_interval_100ns();
  VITRINE_TRY(coarsest.write(call.space(), interval));
  VITRINE_TRY(finest.write(call.space(), interval));
  return current.write(call.space(), interval);
}

Status nt_set_timer_resolution(Call call, u32 desired, bool set, UserPtr<u32> current) {
  (void)desired;
  VITRINE_TRY(current.write(call.space(), call->machine.clock_interval_100ns()));
  // NT: taking back a request that was never granted fails.
  return set ? Status::success : Status::timer_resolution_not_set;
}

Status nt_query_performance_counter(Call call, UserPtr<i64> counter, UserPtr<i64> frequency) {
  const u64 value = call->machine.performance_counter(call->kernel.executing_processor());
  VITRINE_TRY(counter.write(call.space(), static_cast<i64>(value)));
  if (!frequency) return Status::success;
  return frequency.write(call.space(), static_cast<i64>(hal::kPerformanceCounterHz));
}

Status nt_query_system_time(Call call, UserPtr<i64> time) {
  return time.write(call.space(), call->kernel.system_time().value);
}

Status nt_set_system_time(Call call, UserPtr<i64> time, UserPtr<i64> previous) {
  const auto value = time.read(call.space());
  if (!value) return value.error();
  // NT: the year must lie in 1601..30827; the largest FILETIME that TIME_FIELDS can express bounds it. [WDK:
  // ZwSetSystemTime]
  constexpr i64 kHighestTime = 0x7FFF'35F4'F06C'58F0;
  if (*value < 0 || *value > kHighestTime) return Status::invalid_parameter;
  if (!call.process().token->data.has_privilege(se::Privilege::system_time)) return Status::privilege_not_held;
  const i64 before = call->kernel.system_time().value;
  call->kernel.set_system_time(Ticks{*value});
  if (call->loader != nullptr) call->loader->update_time();
  return previous ? previous.write(call.space(), before) : Status::success;
}

}  // namespace

std::span<const Service> timer_services() {
  using enum SupportLevel;
  static constexpr std::array table{
      service<&nt_create_timer>("NtCreateTimer", complete, "handle, access, attributes, type"),
      service<&nt_open_timer>("NtOpenTimer", complete, "handle, access, attributes"),
      service<&nt_set_timer>("NtSetTimer", complete, "handle, due, apc, apc context, resume, period, previous"),
      service<&nt_cancel_timer>("NtCancelTimer", complete, "handle, previous"),
      service<&nt_query_timer>("NtQueryTimer", complete, "handle, class, buffer, length, return length"),
      service<&nt_query_timer_resolution>("NtQueryTimerResolution", complete, "coarsest, finest, current"),
      service<&nt_set_timer_resolution>("NtSetTimerResolution", partial, "desired, set, current",
                                        "the clock interval is the profile's; a request leaves it as it is"),
      service<&nt_query_performance_counter>("NtQueryPerformanceCounter", complete, "counter, frequency"),
      service<&nt_query_system_time>("NtQuerySystemTime", complete, "time"),
      service<&nt_set_system_time>("NtSetSystemTime", complete, "time, previous"),
  };
  return table;
}

}  // namespace vitrine::nt
