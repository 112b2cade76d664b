// I/O completion ports. [WI5 ch.7 "I/O Completion Ports"; winternl.h NtXxxIoCompletion]
#include <algorithm>

#include "nt/capture.h"
#include "nt/completion_records.h"
#include "nt/families.h"
#include "nt/new_object.h"

namespace vitrine::nt {
namespace {

constexpr u32 kQueryState = 1, kModifyState = 2;  // IO_COMPLETION_*

Result<ob::Ref<io::IoCompletionObject>> reference_port(Call call, Handle handle, u32 access) {
  return reference<io::IoCompletionObject>(call, handle, call->io.completion_type(), access);
}

Status nt_create_io_completion(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes,
                               u32 concurrency) {
  VITRINE_TRY(call.space().probe(handle.address, sizeof(Handle), 1, true));
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  auto port = call->io.create_port(request_for(call, *captured), concurrency);
  if (!port) return port.error();
  return insert_and_return(call, std::move(*port), *captured, access, handle);
}

Status nt_open_io_completion(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes) {
  VITRINE_TRY(call.space().probe(handle.address, sizeof(Handle), 1, true));
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  const auto opened =
      call.process().handles->open_by_name(*captured, &call->io.completion_type(), access, user_access(call));
  if (!opened) return opened.error();
  return return_handle(call, handle, *opened);
}

Status nt_set_io_completion(Call call, Handle handle, u64 key, u64 value, u32 status, u64 information) {
  const auto port = reference_port(call, handle, kModifyState);
  if (!port) return port.error();
  return call->io.post(**port, key, value, static_cast<Status>(status), information);
}

Status nt_query_io_completion(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length,
                              UserPtr<u32> return_length) {
  if (information_class != 0) return Status::invalid_info_class;
  const auto port = reference_port(call, handle, kQueryState);
  if (!port) return port.error();
  // NT: IO_COMPLETION_BASIC_INFORMATION, the depth of the queue.
  return return_value(call, buffer, length, (*port)->queue.header.signal_state, return_length);
}

struct RemoveArguments {
  ob::Ref<io::IoCompletionObject> port;
  std::optional<Ticks> timeout;
  bool alertable = false;
  u32 capacity = 1;
  // NtRemoveIoCompletion
  UserPtr<u64> key{}, value{};
  UserPtr<abi::IoStatusBlock> io_status{};
  // NtRemoveIoCompletionEx
  UserPtr<FileIoCompletionInformation> entries{};
  UserPtr<u32> removed{};
};

Status return_packets(Call call, const RemoveArguments& to, std::span<const io::CompletionRecord> packets) {
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const FileIoCompletionInformation packet = completion_information(packets[i]);
    if (to.entries) {
      VITRINE_TRY(to.entries.element(i).write(call.space(), packet));
      continue;
    }
    VITRINE_TRY(to.key.write(call.space(), packet.key));
    VITRINE_TRY(to.value.write(call.space(), packet.value));
    VITRINE_TRY(to.io_status.write(call.space(), packet.io_status));
  }
  return Status::success;
}

Task<Status> remove(Call call, RemoveArguments arguments) {
  const auto packets = std::make_unique<io::CompletionRecord[]>(arguments.capacity);
  u32 removed = 0;
  const i64 timeout = arguments.timeout ? arguments.timeout->value : 0;
  Status status = co_await call->io.remove(arguments.port, packets.get(), arguments.capacity, &removed,
                                           arguments.timeout ? &timeout : nullptr, arguments.alertable);
  const Status returned = return_packets(call, arguments, std::span(packets.get(), removed));
  if (!is_success(returned)) status = returned;
  if (arguments.removed) {
    // NT: the count is 1 even when nothing was removed, unless the wait was satisfied [Wine conformance tests of 8.0].
    const Status counted = arguments.removed.write(call.space(), removed == 0 ? 1 : removed);
    if (!is_success(counted)) status = counted;
  }
  co_return status;
}

Outcome nt_remove_io_completion(Call call, Handle handle, UserPtr<u64> key, UserPtr<u64> value,
                                UserPtr<abi::IoStatusBlock> io_status, UserPtr<i64> timeout) {
  for (const Va address : {key.address, value.address}) {
    if (const Status s = call.space().probe(address, sizeof(u64), 1, true); !is_success(s)) return s;
  }
  if (const Status s = call.space().probe(io_status.address, sizeof(abi::IoStatusBlock), 1, true); !is_success(s))
    return s;
  const auto limit = capture_timeout(call, timeout);
  if (!limit) return limit.error();
  auto port = reference_port(call, handle, kModifyState);
  if (!port) return port.error();
  RemoveArguments arguments{
      .port = std::move(*port), .timeout = *limit, .key = key, .value = value, .io_status = io_status};
  return remove(call, std::move(arguments));
}

Outcome nt_remove_io_completion_ex(Call call, Handle handle, UserPtr<FileIoCompletionInformation> entries, u32 count,
                                   UserPtr<u32> removed, UserPtr<i64> timeout, bool alertable) {
  if (count == 0) return Status::invalid_parameter;
  const u32 capacity = std::min(count, kMaximumRemoved);
  const Status probed =
      call.space().probe(entries.address, u64{capacity} * sizeof(FileIoCompletionInformation), 1, true);
  if (!is_success(probed)) return probed;
  if (const Status s = call.space().probe(removed.address, sizeof(u32), 1, true); !is_success(s)) return s;
  const auto limit = capture_timeout(call, timeout);
  if (!limit) return limit.error();
  auto port = reference_port(call, handle, kModifyState);
  if (!port) return port.error();
  return remove(call, {.port = std::move(*port),
                       .timeout = *limit,
                       .alertable = alertable,
                       .capacity = capacity,
                       .entries = entries,
                       .removed = removed});
}

using enum SupportLevel;
constexpr Service kServices[] = {
    service<&nt_create_io_completion>("NtCreateIoCompletion", complete, "port, access, attributes, concurrency"),
    service<&nt_open_io_completion>("NtOpenIoCompletion", complete, "port, access, attributes"),
    service<&nt_query_io_completion>("NtQueryIoCompletion", complete, "port, class, buffer, length, return_length"),
    service<&nt_remove_io_completion>("NtRemoveIoCompletion", complete, "port, key, value, io_status, timeout"),
    service<&nt_remove_io_completion_ex>("NtRemoveIoCompletionEx", complete,
                                         "port, entries, count, removed, timeout, alertable"),
    service<&nt_set_io_completion>("NtSetIoCompletion", complete, "port, key, value, status, information"),
};

}  // namespace

std::span<const Service> completion_services() { return kServices; }

}  // namespace vitrine::nt
