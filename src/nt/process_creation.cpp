// NtCreateUserProcess: a process with its first thread in one call [WI5 ch.5 "Flow of CreateProcess", stages 2 to 4]. The parameters
// are captured from the caller's RTL_USER_PROCESS_PARAMETERS; ldr writes them anew into the child.
#include <algorithm>
#include <array>

#include "abi/peb.h"
#include "abi/process_creation.h"
#include "abi/process_information.h"
#include "csr/subsystem.h"
#include "nt/families.h"
#include "nt/ps_attributes.h"
#include "ps/access.h"
#include "ps/job.h"

namespace vitrine::nt {
namespace {

using Number = abi::PsAttributeNumber;

constexpr u64 kMaximumEnvironmentBytes = 16u << 20;
constexpr u64 kMaximumHandleListBytes = 64 * 1024;

struct Request {
  std::u16string image_name;  // NT path
  ps::Process* parent = nullptr;
  ob::Ref<ps::Process> parent_reference;
  ps::PriorityClass priority_class = ps::PriorityClass::normal;
  bool inherit_handles = false;
  bool has_handle_list = false;
  bool breakaway = false;  // from the parent's job
  std::vector<ob::Ref<ps::Job>> jobs;  // to join instead
  std::vector<u64> handle_list;
  abi::PsAttribute client_id{}, teb{}, image_information{};
  ldr::ParameterBlock parameters;
};

Result<std::u16string> capture_text(Call call, Va address, u64 bytes) {
  if (bytes % 2 != 0 || bytes > 0xFFFF) return Failure(Status::object_name_invalid);
  std::u16string text(bytes / 2, u'\0');
  const Status status = call.space().read(address, std::as_writable_bytes(std::span(text)));
  if (!is_success(status)) return Failure(status);
  return text;
}

// A string of the parameters: normalised ones hold addresses, others offsets from their beginning.
Status capture_parameter(Call call, Va base, bool normalized, const UnicodeString& string, std::u16string& out) {
  if (string.buffer == 0) return Status::success;
  auto text = capture_text(call, normalized ? string.buffer : base + string.buffer, string.length);
  if (!text) return text.error();
  out = std::move(*text);
  return Status::success;
}

// Bytes in the place of a string.
Status capture_runtime_data(Call call, Va base, bool normalized, const UnicodeString& data, std::vector<u8>& out) {
  if (data.buffer == 0) return Status::success;
  out.assign(data.length, 0);
  return call.space().read(normalized ? data.buffer : base + data.buffer, std::as_writable_bytes(std::span(out)));
}

Status capture_environment(Call call, Va address, u64 bytes, std::u16string& out) {
  if (address == 0) return Status::success;
  if (bytes > kMaximumEnvironmentBytes) return Status::invalid_parameter;
  out.resize(bytes / 2);
  return call.space().read(address, std::as_writable_bytes(std::span(out)));
}

Status capture_parameters(Call call, Va address, ldr::ParameterBlock& block) {
  if (address == 0) return Status::invalid_parameter;
  const auto raw = call.space().read_value<abi::ProcessParameters>(address);
  if (!raw) return raw.error();
  const bool normalized = (raw->flags & abi::kParametersNormalized) != 0;
  const std::pair<const UnicodeString*, std::u16string*> strings[] = {
      {&raw->image_path_name, &block.image_path_name}, {&raw->command_line, &block.command_line},
      {&raw->current_directory.path, &block.current_directory}, {&raw->dll_path, &block.dll_path},
      {&raw->window_title, &block.window_title}, {&raw->desktop_info, &block.desktop},
      {&raw->shell_info, &block.shell_info}};
  for (const auto& [string, out] : strings) VITRINE_TRY(capture_parameter(call, address, normalized, *string, *out));
  VITRINE_TRY(capture_runtime_data(call, address, normalized, raw->runtime_data, block.runtime_data));
  VITRINE_TRY(capture_environment(call, normalized || raw->environment == 0 ? raw->environment : address + raw->environment,
                                  raw->environment_size, block.environment));
  block.console_handle = raw->console_handle;
  block.standard_input = raw->standard_input;
  block.standard_output = raw->standard_output;
  block.standard_error = raw->standard_error;
  block.flags = raw->flags;
  block.window_flags = raw->window_flags;
  block.show_window = raw->show_window_flags;
  block.process_group_id = raw->process_group_id;
  return Status::success;
}

Status capture_handle_list(Call call, const abi::PsAttribute& attribute, Request& request) {
  if (attribute.size % sizeof(u64) != 0 || attribute.size > kMaximumHandleListBytes) return Status::invalid_parameter;
  request.has_handle_list = true;
  request.handle_list.resize(attribute.size / sizeof(u64));
  return call.space().read(attribute.value, std::as_writable_bytes(std::span(request.handle_list)));
}

// NT: PROC_THREAD_ATTRIBUTE_JOB_LIST; without nesting there can be one.
Status capture_job_list(Call call, const abi::PsAttribute& attribute, Request& request) {
  if (attribute.size == 0 || attribute.size % sizeof(u64) != 0 || attribute.size > kMaximumHandleListBytes) {
    return Status::invalid_parameter;
  }
  std::vector<u64> handles(attribute.size / sizeof(u64));
  VITRINE_TRY(call.space().read(attribute.value, std::as_writable_bytes(std::span(handles))));
  for (const u64 handle : handles) {
    auto job = reference<ps::Job>(call, Handle{handle}, call->processes.jobs().type(), ps::job_access::kAssignProcess);
    if (!job) return job.error();
    request.jobs.push_back(std::move(*job));
  }
  return Status::success;
}

Status capture_priority_class(Call call, const abi::PsAttribute& attribute, Request& request) {
  const auto value = UserPtr<abi::ProcessPriorityClass>{attribute.value}.read(call.space());
  if (!value) return value.error();
  if (value->priority_class == 0 || value->priority_class >= ps::kClassBasePriority.size()) return Status::invalid_parameter;
  request.priority_class = ps::PriorityClass{value->priority_class};
  return Status::success;
}

Status capture_attribute(Call call, const abi::PsAttribute& attribute, Request& request) {
  switch (Number{static_cast<u16>(attribute.attribute)}) {
    case Number::parent_process: {
      auto parent = reference_process(call, Handle{attribute.value}, ps::process_access::kCreateProcess);
      if (!parent) return parent.error();
      request.parent_reference = std::move(*parent);
      request.parent = request.parent_reference.get();
      return Status::success;
    }
    case Number::image_name: {
      auto name = capture_text(call, attribute.value, attribute.size);
      if (!name) return name.error();
      request.image_name = std::move(*name);
      return Status::success;
    }
    case Number::client_id: request.client_id = attribute; return Status::success;
    case Number::teb_address: request.teb = attribute; return Status::success;
    case Number::image_information: request.image_information = attribute; return Status::success;
    case Number::handle_list: return capture_handle_list(call, attribute, request);
    case Number::job_list: return capture_job_list(call, attribute, request);
    case Number::priority_class: return capture_priority_class(call, attribute, request);
    case Number::memory_reserve:
    case Number::error_mode:
    case Number::standard_handles:
    case Number::preferred_node:
    case Number::mitigation_options:
    case Number::child_process_policy: return Status::success;  // hints; nothing that a program can miss
    default: return Status::not_supported;  // a debugger, another user's token: there are none yet
  }
}

// NT: PROC_THREAD_ATTRIBUTE_HANDLE_LIST: of the inheritable handles only these.
void keep_listed_handles(ps::Process& process, const Request& request) {
  if (!request.has_handle_list) return;
  for (Handle handle = process.handles->next({0}); handle;) {
    const Handle next = process.handles->next(handle);
    if (std::ranges::find(request.handle_list, handle.value) == request.handle_list.end()) {
      (void)process.handles->close(handle, se::Mode::kernel);
    }
    handle = next;
  }
}

// The jobs that the caller names, else the parent's.
Status join_jobs(Call call, const Request& request, const ps::Process& parent, ps::Process& child) {
  if (request.jobs.empty()) return call->processes.jobs().join_at_birth(parent, child, request.breakaway);
  for (const auto& job : request.jobs) VITRINE_TRY(call->processes.jobs().assign(*job, child));
  return Status::success;
}

struct Born {
  ob::Ref<ps::Process> process;
  ob::Ref<ps::Thread> thread;
};

// Everything up to a suspended or ready first thread. On failure nothing of the child is left running.
Result<Born> give_birth(Call call, const Request& request, ob::Ref<mm::SectionObject> image, bool suspended) {
  ps::Process* parent = request.parent != nullptr ? request.parent : &call.process();
  auto process = call->processes.create_process({.parent = parent, .inherit_handles = request.inherit_handles,
                                                 .image_path = request.image_name, .priority_class = request.priority_class,
                                                 .session_id = parent->session_id});
  if (!process) return Failure(process.error());
  keep_listed_handles(**process, request);
  Status status = call->loader->set_up(**process, std::move(image), request.parameters);
  if (is_success(status)) status = join_jobs(call, request, *parent, **process);
  if (is_success(status)) {
    auto thread = call->processes.create_thread(**process, {.start_address = (*process)->image.entry_point,
                                                            .argument = (*process)->peb, .suspended = suspended});
    if (thread) return Born{std::move(*process), std::move(*thread)};
    status = thread.error();
  }
  (void)call->processes.terminate_process(**process, status, nullptr);
  return Failure(status);
}

Status return_results(Call call, const Request& request, const Born& born, const mm::SectionObject& image) {
  VITRINE_TRY(return_attribute(call, request.client_id, abi::ClientId{born.process->id, born.thread->id}));
  VITRINE_TRY(return_attribute(call, request.teb, born.thread->teb));
  const auto information = image.section.image_information();
  if (!information) return information.error();
  return return_attribute(call, request.image_information, *information);
}

Status return_handles(Call call, const Born& born, UserPtr<Handle> process_handle, UserPtr<Handle> thread_handle,
                      u32 process_access, u32 thread_access) {
  ob::ObjectHandles& handles = *call.process().handles;
  const auto process = handles.open(*born.process, process_access, 0, user_access(call));
  if (!process) return process.error();
  const auto thread = handles.open(*born.thread, thread_access, 0, user_access(call));
  if (!thread) return thread.error();
  VITRINE_TRY(return_handle(call, process_handle, *process));
  return return_handle(call, thread_handle, *thread);
}

Status set_create_state(Call call, Buffer create_info, u32 state) {
  if (!create_info) return Status::success;
  const auto info = create_info.as<abi::PsCreateInfo>().read(call.space());
  if (!info) return info.error();
  abi::PsCreateInfo changed = *info;
  changed.state = state;
  return create_info.as<abi::PsCreateInfo>().write(call.space(), changed);
}

Status nt_create_user_process(Call call, UserPtr<Handle> process_handle, UserPtr<Handle> thread_handle, u32 process_access,
                              u32 thread_access, UserPtr<ObjectAttributes> process_attributes,
                              UserPtr<ObjectAttributes> thread_attributes, u32 process_flags, u32 thread_flags,
                              Buffer parameters, Buffer create_info, Buffer attribute_list) {
  if (call->loader == nullptr) return Status::not_supported;  // a machine without ntdll
  for (const auto attributes : {process_attributes, thread_attributes}) {
    if (const auto captured = capture_attributes(call, attributes); !captured) return captured.error();
  }
  Request request;
  request.inherit_handles = (process_flags & abi::process_create_flags::kInheritHandles) != 0;
  request.breakaway = (process_flags & abi::process_create_flags::kBreakaway) != 0;
  const auto list = capture_attribute_list(call, attribute_list.address);
  if (!list) return list.error();
  for (const abi::PsAttribute& attribute : *list) VITRINE_TRY(capture_attribute(call, attribute, request));
  VITRINE_TRY(capture_parameters(call, parameters.address, request.parameters));
  if (request.image_name.empty()) return Status::object_path_syntax_bad;

  auto image = call->loader->open_image(request.image_name);
  if (!image) {
    VITRINE_TRY(set_create_state(call, create_info, abi::kCreateFailedOnSection));
    return image.error();
  }
  const auto born = give_birth(call, request, *image, (thread_flags & abi::thread_create_flags::kSuspended) != 0);
  if (!born) return born.error();
  Status status = return_results(call, request, *born, **image);
  if (is_success(status)) {
    status = return_handles(call, *born, process_handle, thread_handle, process_access, thread_access);
  }
  // NT: kernel32's call to CSRSS, stage 5 of CreateProcess (csr/README.md).
  if (is_success(status) && call->csrss != nullptr && call->csrss->serves(call.process())) {
    status = call->csrss->create_process(call.thread, *born->process, *born->thread);
  }
  if (is_success(status)) status = set_create_state(call, create_info, abi::kCreateSucceeded);
  if (!is_success(status)) (void)call->processes.terminate_process(*born->process, status, nullptr);
  return status;
}

constexpr std::array kServices{
    service<&nt_create_user_process>("NtCreateUserProcess", SupportLevel::partial,
                                     "process, thread, process access, thread access, process attributes, thread attributes, "
                                     "process flags, thread flags, parameters, create info, attribute list",
                                     "debug port and token attributes are refused"),
};

}  // namespace

std::span<const Service> process_creation_services() { return kServices; }

}  // namespace vitrine::nt
