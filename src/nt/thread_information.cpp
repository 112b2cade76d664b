// NtQueryInformationThread and NtSetInformationThread. A class that is not here gets invalid_info_class, as NT gives
// for one that it does not know. [facts 10.4]
#include "abi/thread_information.h"

#include <algorithm>
#include <array>

#include "abi/teb.h"
#include "nt/capture.h"
#include "nt/families.h"
#include "ps/access.h"

namespace vitrine::nt {
namespace {

using Class = abi::ThreadInformationClass;
namespace thread_access = ps::thread_access;
namespace flags = ps::cross_thread_flags;

// References a thread when the handle has any of the rights: NT lets the limited right do for what the full one allows.
Result<ob::Ref<ps::Thread>> reference_with_any(Call call, Handle handle, u32 rights) {
  ob::HandleInformation information{};
  auto thread = ob::reference_by_handle<ps::Thread>(*call.process().handles, handle, call->processes.thread_type(), 0,
                                                    se::Mode::user, &information);
  if (thread && (information.granted_access & rights) == 0) return Failure(Status::access_denied);
  return thread;
}

const ps::ThreadExtra* extra_of(const ps::Thread& thread) {
  const auto found = thread.process->thread_extras.find(thread.id);
  return found == thread.process->thread_extras.end() ? nullptr : &found->second;
}
ps::ThreadExtra& make_extra(ps::Thread& thread) { return thread.process->thread_extras[thread.id]; }

// ---- query
// -----------------------------------------------------------------------------------------------------------------

struct Query {
  Buffer buffer;
  u32 length;
  UserPtr<u32> return_length;
};

constexpr i32 kSaturatedPriority = 15;  // THREAD_PRIORITY_TIME_CRITICAL; THREAD_PRIORITY_IDLE is its negative

abi::ThreadBasicInformation basic_information(Call call, const ps::Thread& thread) {
  abi::ThreadBasicInformation information{};
  const bool ended = thread.tcb.state == ke::ThreadState::terminated;
  information.exit_status = static_cast<u32>(ended ? thread.exit_status : Status::pending);
  information.teb = thread.teb;
  information.client_id = {thread.process->id, thread.id};
  information.affinity_mask = thread.tcb.affinity;
  // NT gives the current priority here. Wine 8.0's kernelbase reads GetThreadPriority's answer from this field, where
  // Windows' takes BasePriority; the guest gets what its own DLLs expect (DESIGN 3.3). The current one is in the
  // process list. Windows' GetThreadPriority also turns the saturated increments of +-16 into
  // THREAD_PRIORITY_TIME_CRITICAL and _IDLE [winbase.h].
  const i32 increment = call->kernel.query_base_priority(thread.tcb);
  information.priority = std::clamp(increment, -kSaturatedPriority, kSaturatedPriority);
  information.base_priority = increment;
  return information;
}

abi::KernelUserTimes times(Call call, const ps::Thread& thread) {
  const i64 interval = call->machine.clock_interval_100ns();
  return {thread.create_time.value, thread.exit_time.value, thread.tcb.kernel_time * interval,
          thread.tcb.user_time * interval};
}

Status query_name(Call call, const ps::Thread& thread, const Query& query) {
  const ps::ThreadExtra* extra = extra_of(thread);
  const std::u16string name = extra == nullptr ? std::u16string() : extra->name;
  return return_string(call, query.buffer, query.length, name, query.return_length, Status::buffer_too_small);
}

// Rights: 0 when the class cannot be queried.
u32 query_rights(Class information_class) {
  switch (information_class) {
    case Class::basic:
    case Class::times:
    case Class::priority_boost:
    case Class::cycle_time:
    case Class::page_priority:
    case Class::actual_base_priority:
    case Class::group_information:
    case Class::ideal_processor_ex:
    case Class::suspend_count:
    case Class::is_terminated:
    case Class::name:
      return thread_access::kQueryInformation | thread_access::kQueryLimitedInformation;
    case Class::win32_start_address:
    case Class::am_i_last_thread:
    case Class::hide_from_debugger:
    case Class::break_on_termination:
      return thread_access::kQueryInformation;
    default:
      return 0;
  }
}

Status query_value(Call call, const ps::Thread& thread, Class information_class, const Query& query) {
  const auto give = [&](const auto& value) {
    return return_value(call, query.buffer, query.length, value, query.return_length);
  };
  const ps::ThreadExtra* extra = extra_of(thread);
  switch (information_class) {
    case Class::basic:
      return give(basic_information(call, thread));
    case Class::times:
      return give(times(call, thread));
    case Class::win32_start_address:
      return give(extra != nullptr && extra->win32_start_address != 0 ? extra->win32_start_address
                                                                      : thread.start_address);
    case Class::am_i_last_thread:
      return give(u32{thread.process->active_threads == 1});
    case Class::priority_boost:
      return give(u32{thread.tcb.disable_boost});
    case Class::hide_from_debugger:
      return give(static_cast<u8>(thread.has_flag(flags::kHideFromDebugger) ? 1 : 0));
    case Class::break_on_termination:
      return give(u32{thread.has_flag(flags::kBreakOnTermination)});
    case Class::is_terminated:
      return give(u32{thread.tcb.state == ke::ThreadState::terminated});
    case Class::cycle_time:
      return give(abi::ThreadCycleTimeInformation{thread.tcb.cycle_time,
                                                  call->machine.time_stamp(call->kernel.executing_processor())});
    case Class::page_priority:
      return give(extra == nullptr ? ps::kDefaultPagePriority : extra->page_priority);
    case Class::actual_base_priority:
      return give(i32{thread.tcb.base_priority});
    case Class::group_information:
      return give(abi::GroupAffinity{thread.tcb.affinity, 0, {}});
    case Class::ideal_processor_ex:
      return give(abi::ProcessorNumber{0, thread.tcb.ideal_processor, 0});
    case Class::suspend_count:
      return give(u32{thread.tcb.suspend_count});
    case Class::name:
      return query_name(call, thread, query);
    default:
      return Status::invalid_info_class;
  }
}

Status nt_query_information_thread(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length,
                                   UserPtr<u32> return_length) {
  const Class wanted{information_class};
  const u32 rights = query_rights(wanted);
  if (rights == 0) return Status::invalid_info_class;
  const auto thread = reference_with_any(call, handle, rights);
  if (!thread) return thread.error();
  return query_value(call, **thread, wanted, {buffer, length, return_length});
}

// ---- set
// -------------------------------------------------------------------------------------------------------------------

Status set_priority(Call call, ps::Thread& thread, i32 priority) {
  if (priority < 1 || priority > ke::kHighPriority) return Status::invalid_parameter;
  if (priority >= ke::kLowRealtimePriority &&
      !call.process().token->data.has_privilege(se::Privilege::increase_base_priority)) {
    return Status::privilege_not_held;
  }
  (void)call->kernel.set_priority(thread.tcb, static_cast<ke::Priority>(priority));
  return Status::success;
}

// NT: THREAD_BASE_PRIORITY_MIN..MAX, or one past LOWRT and IDLE for saturation; a real-time process may go further.
Status set_base_priority(Call call, ps::Thread& thread, i32 increment) {
  constexpr i32 kMaximum = 2, kMinimum = -2, kLowRealtime = 15, kIdle = -15;
  if (increment >= kLowRealtime && increment <= kLowRealtime + 1) {
    increment = ke::kSaturationIncrement;
  } else if (increment <= kIdle && increment >= kIdle - 1) {
    increment = -ke::kSaturationIncrement;
  } else if (increment > kMaximum || increment < kMinimum) {
    constexpr i32 kRealtimeMaximum = 6, kRealtimeMinimum = -7;
    const bool realtime = thread.process->priority_class == ps::PriorityClass::realtime;
    if (!realtime || increment > kRealtimeMaximum || increment < kRealtimeMinimum) return Status::invalid_parameter;
  }
  (void)call->kernel.set_base_priority(thread.tcb, increment);
  return Status::success;
}

Status set_affinity(Call call, ps::Thread& thread, u64 mask) {
  const auto old = call->kernel.set_affinity(thread.tcb, mask);
  return old ? Status::success : old.error();
}

Status set_impersonation(Call call, ps::Thread& thread, Handle token_handle) {
  if (!token_handle) {
    if (extra_of(thread) != nullptr) make_extra(thread).impersonation.reset();
    thread.flags &= static_cast<u16>(~flags::kActiveImpersonation);
    return Status::success;
  }
  auto token =
      reference<ps::TokenObject>(call, token_handle, call->processes.token_type(), ps::token_access::kImpersonate);
  if (!token) return token.error();
  if ((*token)->data.type != se::TokenType::impersonation) return Status::bad_token_type;
  make_extra(thread).impersonation = std::move(*token);
  thread.flags |= flags::kActiveImpersonation;
  return Status::success;
}

// NT: clears one TLS cell of every thread of the caller's process. A thread that has never run has none but zeros.
Status zero_tls_cell(Call call, u32 index) {
  constexpr u32 kDirectSlots = 64, kExpansionSlots = 1024;
  constexpr u64 kExpansionPointer = 0x1780;  // TEB.TlsExpansionSlots
  if (index >= kDirectSlots + kExpansionSlots) return Status::invalid_parameter;
  mm::AddressSpace& space = call.space();
  for (const ps::Thread& thread : call.process().threads) {
    if (thread.user == nullptr || thread.teb == 0) continue;
    Va slots = thread.teb + offsetof(abi::Teb, tls_slots);
    u32 slot = index;
    if (index >= kDirectSlots) {
      const auto expansion = space.read_value<Va>(thread.teb + kExpansionPointer);
      if (!expansion || *expansion == 0) continue;
      slots = *expansion;
      slot = index - kDirectSlots;
    }
    VITRINE_TRY(space.write_value(slots + u64{slot} * sizeof(u64), u64{0}));
  }
  return Status::success;
}

// NT: the old processor is the result; MAXIMUM_PROCESSORS asks for it alone.
Status set_ideal_processor(Call call, ps::Thread& thread, u32 processor) {
  if (processor > ke::kMaximumProcessors) return Status::invalid_parameter;
  if (processor == ke::kMaximumProcessors) return Status{thread.tcb.ideal_processor};
  const auto old = call->kernel.set_ideal_processor(thread.tcb, static_cast<u8>(processor));
  return old ? Status{*old} : old.error();
}

Status set_group(Call call, ps::Thread& thread, const abi::GroupAffinity& affinity) {
  const bool reserved = affinity.reserved[0] != 0 || affinity.reserved[1] != 0 || affinity.reserved[2] != 0;
  if (reserved || affinity.group != 0) return Status::invalid_parameter;
  return set_affinity(call, thread, affinity.mask);
}

Status set_break_on_termination(Call call, ps::Thread& thread, u32 value) {
  if (!call.process().token->data.has_privilege(se::Privilege::debug)) return Status::privilege_not_held;
  thread.flags = static_cast<u16>(value != 0 ? thread.flags | flags::kBreakOnTermination
                                             : thread.flags & ~flags::kBreakOnTermination);
  return Status::success;
}

Status set_page_priority(ps::Thread& thread, u32 priority) {
  if (priority < 1 || priority > ps::kDefaultPagePriority) return Status::invalid_parameter;
  make_extra(thread).page_priority = priority;
  return Status::success;
}

Status set_power_throttling(const abi::PowerThrottlingState& state) {
  constexpr u32 kVersion = 1, kExecutionSpeed = 1;
  const bool valid = state.version == kVersion && (state.control_mask & ~kExecutionSpeed) == 0 &&
                     (state.state_mask & ~state.control_mask) == 0;
  return valid ? Status::success : Status::invalid_parameter;
}

u32 set_rights(Class information_class) {
  switch (information_class) {
    case Class::priority:
    case Class::base_priority:
    case Class::priority_boost:
    case Class::ideal_processor:
    case Class::ideal_processor_ex:
    case Class::page_priority:
    case Class::power_throttling_state:
    case Class::name:
    case Class::wine_native_name:
      return thread_access::kSetInformation | thread_access::kSetLimitedInformation;
    case Class::affinity_mask:
    case Class::group_information:
    case Class::win32_start_address:
    case Class::zero_tls_cell:
    case Class::hide_from_debugger:
    case Class::break_on_termination:
      return thread_access::kSetInformation;
    case Class::impersonation_token:
      return thread_access::kSetThreadToken;
    default:
      return 0;
  }
}

// Captures a T and applies `apply`. Length first, then the buffer, as NT does.
template <typename T, typename Apply>
Status with_value(Call call, Buffer buffer, u32 length, Apply apply) {
  const auto value = capture_value<T>(call, buffer, length);
  return value ? apply(*value) : value.error();
}

Status set_name(Call call, ps::Thread& thread, Buffer buffer, u32 length) {
  if (length != sizeof(UnicodeString)) return Status::info_length_mismatch;
  auto name = capture_string(call, buffer.as<UnicodeString>());
  if (!name) return name.error();
  make_extra(thread).name = std::move(*name);
  return Status::success;
}

Status set_value(Call call, ps::Thread& thread, Class information_class, Buffer buffer, u32 length) {
  switch (information_class) {
    case Class::priority:
      return with_value<i32>(call, buffer, length, [&](i32 value) { return set_priority(call, thread, value); });
    case Class::base_priority:
      return with_value<i32>(call, buffer, length, [&](i32 value) { return set_base_priority(call, thread, value); });
    case Class::affinity_mask:
      return with_value<u64>(call, buffer, length, [&](u64 mask) { return set_affinity(call, thread, mask); });
    case Class::impersonation_token:
      return with_value<Handle>(call, buffer, length,
                                [&](Handle token) { return set_impersonation(call, thread, token); });
    case Class::win32_start_address:
      return with_value<Va>(call, buffer, length, [&](Va va) {
        make_extra(thread).win32_start_address = va;
        return Status::success;
      });
    case Class::zero_tls_cell:
      if (&thread != call.thread) return Status::invalid_parameter;  // NT: of the caller's own process, through itself
      return with_value<u32>(call, buffer, length, [&](u32 index) { return zero_tls_cell(call, index); });
    case Class::ideal_processor:
      return with_value<u32>(call, buffer, length,
                             [&](u32 number) { return set_ideal_processor(call, thread, number); });
    case Class::ideal_processor_ex:
      return with_value<abi::ProcessorNumber>(call, buffer, length, [&](const abi::ProcessorNumber& number) {
        if (number.group != 0 || number.reserved != 0) return Status::invalid_parameter;
        const auto old = call->kernel.set_ideal_processor(thread.tcb, number.number);
        return old ? Status::success : old.error();
      });
    case Class::priority_boost:
      return with_value<u32>(call, buffer, length, [&](u32 value) {
        (void)call->kernel.set_disable_boost(thread.tcb, value != 0);
        return Status::success;
      });
    case Class::hide_from_debugger:
      if (length != 0) return Status::info_length_mismatch;
      thread.flags |= flags::kHideFromDebugger;
      return Status::success;
    case Class::break_on_termination:
      return with_value<u32>(call, buffer, length,
                             [&](u32 value) { return set_break_on_termination(call, thread, value); });
    case Class::page_priority:
      return with_value<u32>(call, buffer, length, [&](u32 value) { return set_page_priority(thread, value); });
    case Class::group_information:
      return with_value<abi::GroupAffinity>(
          call, buffer, length, [&](const abi::GroupAffinity& value) { return set_group(call, thread, value); });
    case Class::power_throttling_state:
      return with_value<abi::PowerThrottlingState>(call, buffer, length, set_power_throttling);
    case Class::name:
    case Class::wine_native_name:
      return set_name(call, thread, buffer, length);
    default:
      return Status::invalid_info_class;
  }
}

Status nt_set_information_thread(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length) {
  const Class wanted{information_class};
  const u32 rights = set_rights(wanted);
  if (rights == 0) return Status::invalid_info_class;
  const auto thread = reference_with_any(call, handle, rights);
  if (!thread) return thread.error();
  if ((*thread)->rundown.active()) return Status::thread_is_terminating;
  return set_value(call, **thread, wanted, buffer, length);
}

}  // namespace

std::span<const Service> thread_information_services() {
  using enum SupportLevel;
  static constexpr std::array table{
      service<&nt_query_information_thread>("NtQueryInformationThread", partial,
                                            "thread, class, buffer, length, return length",
                                            "classes 0 1 9 12 14 17 18 20 23-25 30 33 35 38"),
      service<&nt_set_information_thread>(
          "NtSetInformationThread", partial, "thread, class, buffer, length",
          "classes 2-5 9 10 13 14 17 18 24 30 33 38 49; page priority and power throttling are "
          "kept or checked but change nothing"),
  };
  return table;
}

}  // namespace vitrine::nt
