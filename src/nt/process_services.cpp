// Processes: end, open, suspend. Information classes are in process_information.cpp. [facts 5.14, 10.4]
#include <array>

#include "nt/capture.h"
#include "nt/families.h"
#include "ps/access.h"

namespace vitrine::nt {
namespace {

namespace process_access = ps::process_access;

// NT: a null handle ends the caller's other threads; the caller goes on to end itself. [Wine's and NT's
// RtlExitUserProcess]
Status nt_terminate_process(Call call, Handle handle, u32 exit_status) {
  const Status status{exit_status};
  if (!handle) {
    (void)call->processes.terminate_process(call.process(), status, call.thread);
    return Status::success;
  }
  const auto process = reference_process(call, handle, process_access::kTerminate);
  if (!process) return process.error();
  if ((*process)->space == nullptr) return Status::access_denied;  // System
  if ((*process)->exiting) return Status::process_is_terminating;
  return call->processes.terminate_process(**process, status, nullptr);
}

Status nt_open_process(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes,
                       UserPtr<abi::ClientId> client_id) {
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  if (!client_id || !captured->name.empty())
    return Status::invalid_parameter_mix;  // NT: an id or a name, and there are no names
  const auto id = client_id.read(call.space());
  if (!id) return id.error();
  ob::Ref<ps::Process> process;
  if (id->unique_thread != 0) {
    const ob::Ref<ps::Thread> thread = call->processes.find_thread(id->unique_thread);
    if (!thread || thread->process->id != id->unique_process) return Status::invalid_cid;
    process = ob::Ref<ps::Process>(thread->process);
  } else {
    process = call->processes.find_process(id->unique_process);
  }
  // NT: an unknown process id alone; kernel32 turns both into ERROR_INVALID_PARAMETER. [facts 10.4]
  if (!process) return Status::invalid_cid;
  const auto opened = call.process().handles->open(*process, access, captured->attributes, user_access(call));
  if (!opened) return opened.error();
  return return_handle(call, handle, *opened);
}

Result<ob::Ref<ps::Process>> suspendable_process(Call call, Handle handle) {
  auto process = reference_process(call, handle, process_access::kSuspendResume);
  if (process && (*process)->rundown.active()) return Failure(Status::process_is_terminating);
  return process;
}

// NT: each thread in turn; one that is ending or at its limit does not stop the rest. [facts 10.4: PsSuspendProcess]
Status nt_suspend_process(Call call, Handle handle) {
  const auto process = suspendable_process(call, handle);
  if (!process) return process.error();
  for (ps::Thread& thread : (*process)->threads) {
    if (!thread.rundown.active()) (void)call->kernel.suspend_thread(thread.tcb);
  }
  return Status::success;
}

Status nt_resume_process(Call call, Handle handle) {
  const auto process = suspendable_process(call, handle);
  if (!process) return process.error();
  for (ps::Thread& thread : (*process)->threads) {
    if (!thread.rundown.active()) (void)call->kernel.resume_thread(thread.tcb);
  }
  return Status::success;
}

}  // namespace

std::span<const Service> process_services() {
  using enum SupportLevel;
  static constexpr std::array table{
      service<&nt_terminate_process>("NtTerminateProcess", complete, "process, exit status"),
      service<&nt_open_process>("NtOpenProcess", complete, "handle, access, attributes, client id"),
      service<&nt_suspend_process>("NtSuspendProcess", complete, "process"),
      service<&nt_resume_process>("NtResumeProcess", complete, "process"),
  };
  return table;
}

}  // namespace vitrine::nt
