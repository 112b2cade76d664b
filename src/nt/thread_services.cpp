// Threads: birth, death, suspension, APCs, contexts. Information classes are in thread_information.cpp.
// [facts 5.11, 5.14, 7.7, 7.8, 10.4]
#include <array>

#include "abi/thread_information.h"
#include "csr/subsystem.h"
#include "nt/capture.h"
#include "nt/families.h"
#include "nt/ps_attributes.h"
#include "nt/thread_context.h"
#include "nt/user_completion.h"
#include "ps/access.h"

namespace vitrine::nt {
namespace {

namespace thread_access = ps::thread_access;
namespace flags = ps::cross_thread_flags;

// ---- birth
// -----------------------------------------------------------------------------------------------------------------

struct ThreadAttributes {
  abi::PsAttribute client_id{};
  abi::PsAttribute teb{};
  std::optional<u64> affinity;
  std::optional<u8> ideal_processor;
};

// Errors: access_violation, invalid_parameter (shape, or an attribute that threads do not take).
Result<ThreadAttributes> capture_thread_attributes(Call call, Va list) {
  ThreadAttributes attributes;
  const auto captured = capture_attribute_list(call, list);
  if (!captured) return Failure(captured.error());
  for (const abi::PsAttribute& attribute : *captured) {
    switch (attribute.attribute) {
      case abi::ps_attribute::kClientId:
        if (attribute.size < sizeof(abi::ClientId)) return Failure(Status::info_length_mismatch);
        attributes.client_id = attribute;
        break;
      case abi::ps_attribute::kTebAddress:
        if (attribute.size < sizeof(Va)) return Failure(Status::info_length_mismatch);
        attributes.teb = attribute;
        break;
      case abi::ps_attribute::kGroupAffinity: {
        const auto affinity = UserPtr<abi::GroupAffinity>{attribute.value}.read(call.space());
        if (!affinity) return Failure(affinity.error());
        if (affinity->group != 0 || affinity->mask == 0) return Failure(Status::invalid_parameter);
        attributes.affinity = affinity->mask;
        break;
      }
      case abi::ps_attribute::kIdealProcessor: {
        const auto number = UserPtr<abi::ProcessorNumber>{attribute.value}.read(call.space());
        if (!number) return Failure(number.error());
        if (number->group != 0 || number->number >= call->kernel.processor_count())
          return Failure(Status::invalid_parameter);
        attributes.ideal_processor = number->number;
        break;
      }
      default:
        return Failure(Status::invalid_parameter);
    }
  }
  return attributes;
}

// The thread exists and is ready: what is left can fail only through the caller's own addresses or handle table.
Status publish_thread(Call call, const ob::Ref<ps::Thread>& thread, const ob::ObjectAttributes& object_attributes,
                      u32 access, UserPtr<Handle> handle, const ThreadAttributes& attributes) {
  if (attributes.affinity) {
    const auto set = call->kernel.set_affinity(thread->tcb, *attributes.affinity);
    if (!set) return set.error();
  }
  if (attributes.ideal_processor) {
    const auto set = call->kernel.set_ideal_processor(thread->tcb, *attributes.ideal_processor);
    if (!set) return set.error();
  }
  VITRINE_TRY(return_attribute(call, attributes.client_id, abi::ClientId{thread->process->id, thread->id}));
  VITRINE_TRY(return_attribute(call, attributes.teb, thread->teb));
  const u32 wanted = access == 0 ? thread_access::kAll : access;  // Wine's callers pass 0 for everything
  auto created = call.process().handles->insert_new(thread, object_attributes, wanted, user_access(call));
  if (!created) return created.error();
  // NT: it is kernel32 that tells CSRSS, after NtCreateThreadEx; when that fails it ends the thread and closes the handle.
  // Wine's kernel32 makes no such call, so it is made here for it (csr/README.md), unless the process has shown that it
  // makes its own.
  Status status = Status::success;
  if (call->csrss != nullptr && call->csrss->serves(call.process()) && call->csrss->serves(*thread->process) &&
      !call->csrss->calls_itself(call.process())) {
    status = call->csrss->create_thread(call.thread, *thread);
  }
  if (is_success(status)) return return_handle(call, handle, created->handle);
  (void)call.process().handles->close(created->handle, se::Mode::kernel);
  return status;
}

Status nt_create_thread_ex(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes,
                           Handle process_handle, Va start, Va argument, u32 create_flags, u64 zero_bits,
                           u64 stack_commit, u64 stack_reserve, Va attribute_list) {
  if ((create_flags & ~abi::thread_create::kKnown) != 0) return Status::invalid_parameter_7;
  if (zero_bits > 21 && zero_bits < 32) return Status::invalid_parameter_3;
  auto object_attributes = capture_attributes(call, attributes);
  if (!object_attributes) return object_attributes.error();
  object_attributes->name.clear();  // NT: threads have no names in the namespace
  const auto thread_attributes = capture_thread_attributes(call, attribute_list);
  if (!thread_attributes) return thread_attributes.error();
  const auto process = reference_process(call, process_handle, ps::process_access::kCreateThread);
  if (!process) return process.error();
  if ((*process)->space == nullptr) return Status::invalid_handle;  // System
  ps::ThreadParameters parameters;
  parameters.start_address = start;
  parameters.argument = argument;
  parameters.stack_reserve = stack_reserve;
  parameters.stack_commit = stack_commit;
  parameters.suspended = (create_flags & abi::thread_create::kSuspended) != 0;
  if ((create_flags & abi::thread_create::kSkipThreadAttach) != 0) parameters.flags |= flags::kSkipThreadAttach;
  if ((create_flags & abi::thread_create::kHideFromDebugger) != 0) parameters.flags |= flags::kHideFromDebugger;
  call->kernel.charge_picoseconds(call->kernel.executing_processor(), call->profile.costs.thread_create.picoseconds, ke::Mode::kernel);
  const auto thread = call->processes.create_thread(**process, parameters);
  if (!thread) return thread.error();
  const Status status = publish_thread(call, *thread, *object_attributes, access, handle, *thread_attributes);
  if (!is_success(status)) call->processes.terminate_thread(**thread, status);
  return status;
}

// NT 5.2's form, where the caller brings its own stack and first context; nothing since Vista calls it.
Status nt_create_thread(Call, UserPtr<Handle>, u32, UserPtr<ObjectAttributes>, Handle, Buffer, Buffer, Buffer, bool) {
  return Status::not_supported;
}

Status nt_open_thread(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes,
                      UserPtr<abi::ClientId> client_id) {
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  if (!client_id) return Status::invalid_parameter_mix;  // NT: a name or an id, and threads have no names
  if (!captured->name.empty()) return Status::invalid_parameter_mix;
  const auto id = client_id.read(call.space());
  if (!id) return id.error();
  const ob::Ref<ps::Thread> thread = call->processes.find_thread(id->unique_thread);
  const bool matches = thread && (id->unique_process == 0 || id->unique_process == thread->process->id);
  if (!matches) return id->unique_process != 0 ? Status::invalid_cid : Status::invalid_parameter;
  const auto opened = call.process().handles->open(*thread, access, captured->attributes, user_access(call));
  if (!opened) return opened.error();
  return return_handle(call, handle, *opened);
}

// ---- death, suspension, alerts
// ---------------------------------------------------------------------------------------------

Status nt_terminate_thread(Call call, Handle handle, u32 exit_status) {
  const Status status{exit_status};
  if (!handle) {
    if (call.process().active_threads == 1) return Status::cant_terminate_self;
    call->processes.terminate_thread(*call.thread, status);
    return Status::success;
  }
  const auto thread = reference_thread(call, handle, thread_access::kTerminate);
  if (!thread) return thread.error();
  if ((*thread)->has_flag(flags::kSystem)) return Status::access_denied;
  call->processes.terminate_thread(**thread, status);
  return Status::success;
}

// Errors: those of the reference; thread_is_terminating.
Result<ob::Ref<ps::Thread>> suspendable_thread(Call call, Handle handle) {
  auto thread = reference_thread(call, handle, thread_access::kSuspendResume);
  if (!thread) return thread;
  if ((*thread)->rundown.active()) return Failure(Status::thread_is_terminating);
  return thread;
}

Status return_count(Call call, UserPtr<u32> previous, u32 count) {
  return previous ? previous.write(call.space(), count) : Status::success;
}

Status nt_suspend_thread(Call call, Handle handle, UserPtr<u32> previous) {
  const auto thread = suspendable_thread(call, handle);
  if (!thread) return thread.error();
  if ((*thread)->has_flag(flags::kTerminated)) return Status::thread_is_terminating;
  const auto count = call->kernel.suspend_thread((*thread)->tcb);
  if (!count) return count.error();
  return return_count(call, previous, *count);
}

Status nt_resume_thread(Call call, Handle handle, UserPtr<u32> previous) {
  const auto thread = reference_thread(call, handle, thread_access::kSuspendResume);
  if (!thread) return thread.error();
  return return_count(call, previous, call->kernel.resume_thread((*thread)->tcb));
}

Status nt_alert_thread(Call call, Handle handle) {
  const auto thread = reference_thread(call, handle, thread_access::kAlert);
  if (!thread) return thread.error();
  (void)call->kernel.alert_thread((*thread)->tcb, ke::Mode::user);
  return Status::success;
}

Status nt_alert_resume_thread(Call call, Handle handle, UserPtr<u32> previous) {
  const auto thread = suspendable_thread(call, handle);
  if (!thread) return thread.error();
  return return_count(call, previous, call->kernel.alert_resume_thread((*thread)->tcb));
}

// ---- APCs and contexts
// -----------------------------------------------------------------------------------------------------

Status nt_queue_apc_thread(Call call, Handle handle, Va routine, u64 context, u64 argument1, u64 argument2) {
  const auto thread = reference_thread(call, handle, thread_access::kSetContext);
  if (!thread) return thread.error();
  if ((*thread)->has_flag(flags::kSystem)) return Status::invalid_handle;
  const bool queued = queue_user_apc(*call.executive, **thread, {routine, {context, argument1, argument2}, false});
  return queued ? Status::success : Status::unsuccessful;
}

Status nt_get_context_thread(Call call, Handle handle, Va context) {
  const auto thread = reference_thread(call, handle, thread_access::kGetContext);
  if (!thread) return thread.error();
  if ((*thread)->has_flag(flags::kSystem)) return Status::invalid_handle;
  return get_thread_context(call, **thread, context);
}

Status nt_set_context_thread(Call call, Handle handle, Va context) {
  const auto thread = reference_thread(call, handle, thread_access::kSetContext);
  if (!thread) return thread.error();
  if ((*thread)->has_flag(flags::kSystem)) return Status::invalid_handle;
  return set_thread_context(call, **thread, context);
}

// ---- the rest
// --------------------------------------------------------------------------------------------------------------

Status nt_get_next_thread(Call call, Handle process_handle, Handle thread_handle, u32 access, u32 attributes,
                          u32 search_flags, UserPtr<Handle> next) {
  if (search_flags != 0) return Status::invalid_parameter;
  VITRINE_TRY(call.space().probe(next.address, sizeof(Handle), 1, true));
  const auto process = reference_process(call, process_handle, ps::process_access::kQueryInformation);
  if (!process) return process.error();
  ps::Thread* thread = (*process)->threads.front();
  ob::Ref<ps::Thread> previous;
  if (thread_handle) {
    auto given = reference_thread(call, thread_handle, 0);
    if (!given) return given.error();
    previous = std::move(*given);
    if (previous->process != process->get() || !previous->process_link.is_linked()) return Status::invalid_parameter;
    thread = (*process)->threads.next(*previous);
  }
  for (; thread != nullptr; thread = (*process)->threads.next(*thread)) {
    if (thread->pointer_count() == 0) continue;  // on its way out
    const auto opened = call.process().handles->open(*thread, access, attributes, user_access(call));
    if (opened) return return_handle(call, next, *opened);
    if (opened.error() != Status::access_denied) return opened.error();
  }
  return Status::no_more_entries;
}

// The number itself is the result.
Status nt_get_current_processor_number(Call call) { return Status{call->kernel.executing_processor()}; }

Status nt_register_thread_terminate_port(Call call, Handle port) {
  const auto object = reference_any(call, port, 0);
  return object ? Status::object_type_mismatch : object.error();  // no ports exist, so it is none
}

Status nt_set_thread_execution_state(Call call, u32 state, UserPtr<u32> previous) {
  constexpr u32 kContinuous = 0x8000'0000;
  constexpr u32 kKnown = kContinuous | 0x47;  // ES_SYSTEM_, DISPLAY_, USER_PRESENT, AWAYMODE_REQUIRED
  if ((state & ~kKnown) != 0) return Status::invalid_parameter;
  ps::ThreadExtra& extra = call.process().thread_extras[call.thread->id];
  VITRINE_TRY(previous.write(call.space(), extra.execution_state));
  // NT: without ES_CONTINUOUS the request only restarts the idle timers, of which there are none.
  if ((state & kContinuous) != 0) extra.execution_state = state;
  return Status::success;
}

// NT x64 has no LDT.
Status nt_set_ldt_entries(Call, u32, u64, u32, u64) { return Status::not_implemented; }

}  // namespace

std::span<const Service> thread_services() {
  using enum SupportLevel;
  static constexpr std::array table{
      service<&nt_create_thread_ex>(
          "NtCreateThreadEx", partial,
          "handle, access, attributes, process, start, argument, flags, zero bits, commit, reserve, list",
          "zero bits are checked but do not place the stack; no loader-worker threads"),
      service<&nt_create_thread>("NtCreateThread", refused,
                                 "handle, access, attributes, process, client id, context, initial teb, suspended"),
      service<&nt_open_thread>("NtOpenThread", complete, "handle, access, attributes, client id"),
      service<&nt_terminate_thread>("NtTerminateThread", complete, "handle, exit status"),
      service<&nt_suspend_thread>("NtSuspendThread", complete, "handle, previous"),
      service<&nt_resume_thread>("NtResumeThread", complete, "handle, previous"),
      service<&nt_alert_thread>("NtAlertThread", complete, "handle"),
      service<&nt_alert_resume_thread>("NtAlertResumeThread", complete, "handle, previous"),
      service<&nt_queue_apc_thread>("NtQueueApcThread", complete, "handle, routine, context, argument 1, argument 2"),
      service<&nt_get_context_thread>("NtGetContextThread", complete, "handle, context"),
      service<&nt_set_context_thread>("NtSetContextThread", complete, "handle, context"),
      service<&nt_get_next_thread>("NtGetNextThread", complete, "process, thread, access, attributes, flags, next"),
      service<&nt_get_current_processor_number>("NtGetCurrentProcessorNumber", complete, ""),
      service<&nt_register_thread_terminate_port>("NtRegisterThreadTerminatePort", refused, "port"),
      service<&nt_set_thread_execution_state>("NtSetThreadExecutionState", partial, "state, previous",
                                              "kept and returned; nothing sleeps here"),
      service<&nt_set_ldt_entries>("NtSetLdtEntries", refused, "selector 1, entry 1, selector 2, entry 2"),
  };
  return table;
}

}  // namespace vitrine::nt
