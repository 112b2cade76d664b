// Exceptions that programs raise and contexts that they continue with; hard errors; and the debugger's services, which
// are refused: no debug objects exist.
#include <fmt/format.h>

#include <array>

#include "nt/capture.h"
#include "nt/exception_dispatch.h"
#include "nt/families.h"
#include "nt/strace.h"
#include "ps/access.h"
#include "ps/user_mode.h"

namespace vitrine::nt {
namespace {

// NT: KeTestAlertThread after the context was taken, so that an APC's frame goes below the new stack pointer.
Status nt_continue(Call call, Va context, bool test_alert) {
  cpu::GuestContext registers = call.thread->registers();
  VITRINE_TRY(ps::read_user_context(call.space(), context, registers));
  call.thread->registers() = registers;
  call.thread->user->registers_replaced = true;
  if (test_alert) (void)call->kernel.test_alert(call.thread->tcb, ke::Mode::user);
  return Status::success;
}

Status nt_raise_exception(Call call, UserPtr<abi::ExceptionRecord> record, Va context, bool first_chance) {
  const auto captured = record.read(call.space());
  if (!captured) return captured.error();
  if (captured->parameter_count > abi::kMaximumExceptionParameters) return Status::invalid_parameter;
  cpu::GuestContext registers = call.thread->registers();
  VITRINE_TRY(ps::read_user_context(call.space(), context, registers));
  call.thread->registers() = registers;
  call.thread->user->registers_replaced = true;
  dispatch_exception(*call.executive, *call.thread, *captured, first_chance ? Chance::first : Chance::second);
  return Status::success;
}

// HARDERROR_RESPONSE_OPTION's last value, and what is answered: nobody sits before this machine. [ntexapi.h]
constexpr u32 kOptionShutdownSystem = 6;
constexpr u32 kMostOptions = 8;
constexpr u32 kResponseReturnToCaller = 0;
constexpr u32 kMaximumHardErrorParameters = 5;

std::string describe_parameters(Call call, u32 count, u32 unicode_mask, UserPtr<u64> parameters) {
  std::string text;
  for (u32 i = 0; i < count; ++i) {
    const auto value = parameters.element(i).read(call.space());
    if (!value) break;
    if ((unicode_mask >> i & 1) != 0) {
      const auto string = capture_string(call, {*value});
      if (string) text += fmt::format(" \"{}\"", printable(*string));
    } else {
      text += fmt::format(" {:#x}", *value);
    }
  }
  return text;
}

Status nt_raise_hard_error(Call call, u32 error, u32 count, u32 unicode_mask, UserPtr<u64> parameters, u32 option,
                           UserPtr<u32> response) {
  if (count > kMaximumHardErrorParameters) return Status::invalid_parameter_2;
  if (count != 0 && !parameters) return Status::invalid_parameter_4;
  if (option > kMostOptions) return Status::invalid_parameter_4;
  if (option == kOptionShutdownSystem && !call.process().token->data.has_privilege(se::Privilege::shutdown)) {
    return Status::privilege_not_held;
  }
  const std::string details = describe_parameters(call, count, unicode_mask, parameters);
  call->notice(
      fmt::format("{} reports a hard error: {}{}", call.process().short_name(), status_name(Status{error}), details));
  return response.write(call.space(), kResponseReturnToCaller);
}

// ---- debugger: refused
// ---------------------------------------------------------------------------------------------------

Status nt_create_debug_object(Call, UserPtr<Handle>, u32, UserPtr<ObjectAttributes>, u32) {
  return Status::access_denied;
}

// What every service that takes a debug object's handle answers: it cannot be one.
Status refuse_debug_handle(Call call, Handle handle) {
  const auto object = reference_any(call, handle, 0);
  return object ? Status::object_type_mismatch : object.error();
}
Status nt_debug_active_process(Call call, Handle, Handle debug) { return refuse_debug_handle(call, debug); }
Status nt_remove_process_debug(Call call, Handle process, Handle) {
  const auto object = reference_process(call, process, ps::process_access::kSuspendResume);
  return object ? Status::port_not_set : object.error();
}
Status nt_wait_for_debug_event(Call call, Handle debug, bool, UserPtr<i64>, Buffer) {
  return refuse_debug_handle(call, debug);
}
Status nt_debug_continue(Call call, Handle debug, UserPtr<abi::ClientId>, u32) {
  return refuse_debug_handle(call, debug);
}
Status nt_set_information_debug_object(Call call, Handle debug, u32, Buffer, u32, UserPtr<u32>) {
  return refuse_debug_handle(call, debug);
}

}  // namespace

std::span<const Service> exception_services() {
  using enum SupportLevel;
  static constexpr std::array table{
      service<&nt_continue>("NtContinue", complete, "context, test alert"),
      service<&nt_raise_exception>("NtRaiseException", complete, "record, context, first chance"),
      service<&nt_raise_hard_error>("NtRaiseHardError", partial,
                                    "error, count, unicode mask, parameters, option, response",
                                    "the error is told to the user; every question is answered \"return to caller\""),
      service<&nt_create_debug_object>("NtCreateDebugObject", refused, "handle, access, attributes, flags"),
      service<&nt_debug_active_process>("NtDebugActiveProcess", refused, "process, debug object"),
      service<&nt_remove_process_debug>("NtRemoveProcessDebug", refused, "process, debug object"),
      service<&nt_wait_for_debug_event>("NtWaitForDebugEvent", refused,
                                        "debug object, alertable, timeout, state change"),
      service<&nt_debug_continue>("NtDebugContinue", refused, "debug object, client id, status"),
      service<&nt_set_information_debug_object>("NtSetInformationDebugObject", refused,
                                                "debug object, class, buffer, length, return length"),
  };
  return table;
}

}  // namespace vitrine::nt
