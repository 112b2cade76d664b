// Services of open files: create, read, write, control, lock, cancel, directories. How a request travels is
// file_request.h; what a file is, io/. [WI5 ch.7; ntifs.h NtXxxFile pages]
#include <algorithm>

#include "nt/families.h"
#include "nt/file_open.h"
#include "nt/file_request.h"
#include "nt/socket_request.h"

namespace vitrine::nt {
namespace {

using IoStatusPtr = UserPtr<abi::IoStatusBlock>;

constexpr u32 kValidFileAttributes = 0x7FB7;        // FILE_ATTRIBUTE_VALID_FLAGS
constexpr u64 kMaximumDirectoryBytes = 1ull << 20;  // of one answer; the program asks again for the rest
constexpr u32 kAccessShift = 14, kAccessMask = 3;   // of CTL_CODE
constexpr u32 kThreadTerminate = 1;                 // THREAD_TERMINATE [facts 10.3]

Result<std::optional<i64>> capture_offset(Call call, UserPtr<i64> offset) {
  if (offset.is_null()) return std::optional<i64>();
  const auto value = offset.read(call.space());
  if (!value) return Failure(value.error());
  return std::optional(*value);
}

Result<u32> capture_key(Call call, UserPtr<u32> key) { return key ? key.read(call.space()) : Result<u32>(0); }

// --- open
// --------------------------------------------------------------------------------------------------------------

Status nt_create_file(Call call, UserPtr<Handle> file, u32 access, UserPtr<ObjectAttributes> attributes,
                      IoStatusPtr io_status, UserPtr<i64> allocation_size, u32 file_attributes, u32 share,
                      u32 disposition, u32 options, Buffer /*ea*/, u32 ea_length) {
  if ((file_attributes & ~kValidFileAttributes) != 0) return Status::invalid_parameter;
  if (disposition > abi::kCreateDispositionMaximum) return Status::invalid_parameter;
  FileOpening opening{file, attributes, io_status, {}};
  opening.parameters.access = access;
  opening.parameters.share = share;
  opening.parameters.disposition = static_cast<abi::CreateDisposition>(disposition);
  opening.parameters.options = options;
  opening.parameters.attributes = file_attributes;
  if (allocation_size) {
    const auto size = allocation_size.read(call.space());
    if (!size) return size.error();
    if (*size < 0) return Status::invalid_parameter;
    opening.parameters.allocation_size = *size;
  }
  if (ea_length != 0) return Status::eas_not_supported;
  return open_file(call, opening);
}

Status nt_open_file(Call call, UserPtr<Handle> file, u32 access, UserPtr<ObjectAttributes> attributes,
                    IoStatusPtr io_status, u32 share, u32 options) {
  FileOpening opening{file, attributes, io_status, {}};
  opening.parameters.access = access;
  opening.parameters.share = share;
  opening.parameters.options = options;
  return open_file(call, opening);
}

Status nt_delete_file(Call call, UserPtr<ObjectAttributes> attributes) {
  const auto name = capture_file_name(call, attributes);
  if (!name) return name.error();
  io::CreateParameters parameters;
  parameters.access = abi::kFileDelete;
  parameters.share = abi::kFileShareRead | abi::kFileShareWrite | abi::kFileShareDelete;
  parameters.options = abi::kFileOpenForBackupIntent;
  parameters.case_sensitive = (name->attributes & abi::obj::kCaseInsensitive) == 0;
  const auto opened = call->io.open_path(name->root.get(), name->path, parameters);
  if (!opened) return opened.error();
  const abi::FileDispositionInformation disposition{1};
  return call->io.set_information(*opened->file, abi::FileInformationClass::disposition, {&disposition.delete_file, 1});
}

Result<abi::FileNetworkOpenInformation> query_attributes(Call call, UserPtr<ObjectAttributes> attributes) {
  const auto name = capture_file_name(call, attributes);
  if (!name) return Failure(name.error());
  return call->io.query_attributes(name->root.get(), name->path);
}

Status nt_query_attributes_file(Call call, UserPtr<ObjectAttributes> attributes,
                                UserPtr<abi::FileBasicInformation> information) {
  VITRINE_TRY(call.space().probe(information.address, sizeof(abi::FileBasicInformation), 4, true));
  const auto all = query_attributes(call, attributes);
  if (!all) return all.error();
  return information.write(call.space(), {all->creation_time, all->last_access_time, all->last_write_time,
                                          all->change_time, all->attributes, 0});
}

Status nt_query_full_attributes_file(Call call, UserPtr<ObjectAttributes> attributes,
                                     UserPtr<abi::FileNetworkOpenInformation> information) {
  VITRINE_TRY(call.space().probe(information.address, sizeof(abi::FileNetworkOpenInformation), 4, true));
  const auto all = query_attributes(call, attributes);
  if (!all) return all.error();
  return information.write(call.space(), *all);
}

// --- read and write
// ----------------------------------------------------------------------------------------------------

Outcome nt_read_file(Call call, Handle handle, Handle event, Buffer apc, u64 apc_context, IoStatusPtr io_status,
                     Buffer buffer, u32 length, UserPtr<i64> offset, UserPtr<u32> key) {
  auto referenced = reference_file(call, handle, abi::kFileReadData);
  if (!referenced) return referenced.error();
  if (const Status s = call.space().probe(buffer.address, length, 1, true); !is_success(s)) return s;
  const auto start = capture_offset(call, offset);
  if (!start) return start.error();
  const auto lock_key = capture_key(call, key);
  if (!lock_key) return lock_key.error();
  const RequestTarget target{event, apc.address, apc_context, io_status};
  ob::Ref<io::FileObject> file = std::move(referenced->file);
  u64 bytes = length;
  if (bytes > io::kMaximumTransferBytes) {
    if (file->device->is_seekable()) {
      return run_long_transfer(
          {call, std::move(file), io::MajorFunction::read, target, buffer.address, bytes, *start, *lock_key});
    }
    bytes = io::kMaximumTransferBytes;  // a stream may always give less
  }
  auto request = make_request(call, *file, io::MajorFunction::read, bytes, target);
  if (!request) return request.error();
  request->irp->key = *lock_key;
  request->irp->requester.user_buffer = buffer.address;
  request->positioned = true;
  request->offset = *start;
  return run_request(std::move(*request));
}

// NT: writing needs the right to write data or to append.
Result<ob::Ref<io::FileObject>> reference_for_write(Call call, Handle handle) {
  auto referenced = reference_file(call, handle, 0);
  if (!referenced) return Failure(referenced.error());
  if ((referenced->granted_access & (abi::kFileWriteData | abi::kFileAppendData)) == 0)
    return Failure(Status::access_denied);
  return std::move(referenced->file);
}

Outcome nt_write_file(Call call, Handle handle, Handle event, Buffer apc, u64 apc_context, IoStatusPtr io_status,
                      Buffer buffer, u32 length, UserPtr<i64> offset, UserPtr<u32> key) {
  auto referenced = reference_for_write(call, handle);
  if (!referenced) return referenced.error();
  ob::Ref<io::FileObject> file = std::move(*referenced);
  const auto start = capture_offset(call, offset);
  if (!start) return start.error();
  const auto lock_key = capture_key(call, key);
  if (!lock_key) return lock_key.error();
  const RequestTarget target{event, apc.address, apc_context, io_status};
  if (length > io::kMaximumTransferBytes) {
    return run_long_transfer(
        {call, std::move(file), io::MajorFunction::write, target, buffer.address, length, *start, *lock_key});
  }
  auto data = capture_bytes(call, buffer, length, io::kMaximumTransferBytes);
  if (!data) return data.error();
  auto request = make_request(call, *file, io::MajorFunction::write, length, target);
  if (!request) return request.error();
  request->irp->input = std::move(*data);
  request->irp->key = *lock_key;
  request->positioned = true;
  request->offset = *start;
  return run_request(std::move(*request));
}

// FILE_SEGMENT_ELEMENTs: one page each, ended by length. NT: only for files opened without buffering and
// asynchronously.
Result<std::vector<Va>> capture_segments(Call call, const io::FileObject& file, UserPtr<u64> segments, u32 length) {
  if ((file.options & abi::kFileNoIntermediateBuffering) == 0 || file.is_synchronous() || !file.device->is_seekable()) {
    return Failure(Status::invalid_parameter);
  }
  if (length > io::kMaximumTransferBytes) return Failure(Status::insufficient_resources);
  std::vector<Va> pages(bytes_to_pages(length));
  const Status status = call.space().read(segments.address, std::as_writable_bytes(std::span(pages)));
  if (!is_success(status)) return Failure(status);
  if (std::ranges::any_of(pages, [](Va page) { return (page & kPageMask) != 0; })) {
    return Failure(Status::datatype_misalignment);
  }
  return pages;
}

Outcome nt_read_file_scatter(Call call, Handle handle, Handle event, Buffer apc, u64 apc_context, IoStatusPtr io_status,
                             UserPtr<u64> segments, u32 length, UserPtr<i64> offset, UserPtr<u32> key) {
  const auto referenced = reference_file(call, handle, abi::kFileReadData);
  if (!referenced) return referenced.error();
  auto pages = capture_segments(call, *referenced->file, segments, length);
  if (!pages) return pages.error();
  const auto start = capture_offset(call, offset);
  if (!start) return start.error();
  const auto lock_key = capture_key(call, key);
  if (!lock_key) return lock_key.error();
  auto request = make_request(call, *referenced->file, io::MajorFunction::read, length,
                              {event, apc.address, apc_context, io_status});
  if (!request) return request.error();
  request->irp->key = *lock_key;
  request->positioned = true;
  request->offset = *start;
  for (const Va page : *pages) request->irp->requester.segments.push_back({page, kPageSize});
  return run_request(std::move(*request));
}

Outcome nt_write_file_gather(Call call, Handle handle, Handle event, Buffer apc, u64 apc_context, IoStatusPtr io_status,
                             UserPtr<u64> segments, u32 length, UserPtr<i64> offset, UserPtr<u32> key) {
  const auto file = reference_for_write(call, handle);
  if (!file) return file.error();
  const auto pages = capture_segments(call, **file, segments, length);
  if (!pages) return pages.error();
  const auto start = capture_offset(call, offset);
  if (!start) return start.error();
  const auto lock_key = capture_key(call, key);
  if (!lock_key) return lock_key.error();
  std::vector<u8> data(length);
  for (u64 done = 0, i = 0; done < length; done += kPageSize, ++i) {
    const auto piece = std::as_writable_bytes(std::span(data)).subspan(done, std::min<u64>(kPageSize, length - done));
    if (const Status s = call.space().read((*pages)[i], piece); !is_success(s)) return s;
  }
  auto request =
      make_request(call, **file, io::MajorFunction::write, length, {event, apc.address, apc_context, io_status});
  if (!request) return request.error();
  request->irp->input = std::move(data);
  request->irp->key = *lock_key;
  request->positioned = true;
  request->offset = *start;
  return run_request(std::move(*request));
}

Outcome nt_flush_buffers_file(Call call, Handle handle, IoStatusPtr io_status) {
  const auto file = reference_for_write(call, handle);
  if (!file) return file.error();
  auto request = make_request(call, **file, io::MajorFunction::flush, 0, {{}, 0, 0, io_status});
  if (!request) return request.error();
  return run_request(std::move(*request));
}

// --- control
// -----------------------------------------------------------------------------------------------------------

Outcome control(Call call, io::MajorFunction function, const ControlArguments& arguments) {
  // NT: the control code says which rights of the handle it needs [CTL_CODE].
  const u32 needed = (arguments.code >> kAccessShift) & kAccessMask;  // FILE_READ_ACCESS 1, FILE_WRITE_ACCESS 2
  const auto referenced = reference_file(call, arguments.handle, needed);
  if (!referenced) return referenced.error();
  if (referenced->file->device == &call->sockets && function == io::MajorFunction::device_control) {
    return socket_control(call, *referenced->file, arguments);
  }
  if (arguments.output_length != 0) {
    const Status s = call.space().probe(arguments.output.address, arguments.output_length, 1, true);
    if (!is_success(s)) return s;
  }
  if (arguments.input_length > io::kMaximumTransferBytes) return Status::insufficient_resources;
  auto input = capture_bytes(call, arguments.input, arguments.input_length, io::kMaximumTransferBytes);
  if (!input) return input.error();
  auto request = make_request(call, *referenced->file, function,
                              std::min<u64>(arguments.output_length, io::kMaximumTransferBytes), arguments.target);
  if (!request) return request.error();
  request->irp->control_code = arguments.code;
  request->irp->input = std::move(*input);
  request->irp->requester.user_buffer = arguments.output.address;
  return run_request(std::move(*request));
}

Outcome nt_device_io_control_file(Call call, Handle handle, Handle event, Buffer apc, u64 apc_context,
                                  IoStatusPtr io_status, u32 code, Buffer input, u32 input_length, Buffer output,
                                  u32 output_length) {
  return control(
      call, io::MajorFunction::device_control,
      {handle, {event, apc.address, apc_context, io_status}, code, input, input_length, output, output_length});
}

Outcome nt_fs_control_file(Call call, Handle handle, Handle event, Buffer apc, u64 apc_context, IoStatusPtr io_status,
                           u32 code, Buffer input, u32 input_length, Buffer output, u32 output_length) {
  return control(
      call, io::MajorFunction::fs_control,
      {handle, {event, apc.address, apc_context, io_status}, code, input, input_length, output, output_length});
}

// --- locks
// -------------------------------------------------------------------------------------------------------------

Outcome nt_lock_file(Call call, Handle handle, Handle event, Buffer apc, u64 apc_context, IoStatusPtr io_status,
                     UserPtr<i64> offset, UserPtr<u64> length, u32 key, bool fail_immediately, bool exclusive) {
  const auto referenced = reference_file(call, handle, 0);
  if (!referenced) return referenced.error();
  if ((referenced->granted_access & (abi::kFileReadData | abi::kFileWriteData)) == 0) return Status::access_denied;
  const auto start = offset.read(call.space());
  if (!start) return start.error();
  const auto bytes = length.read(call.space());
  if (!bytes) return bytes.error();
  auto request = make_request(call, *referenced->file, io::MajorFunction::lock, *bytes,
                              {event, apc.address, apc_context, io_status});
  if (!request) return request.error();
  request->irp->offset = *start;
  request->irp->key = key;
  request->irp->lock_flags = (exclusive ? io::kLockExclusive : 0) | (fail_immediately ? io::kLockFailImmediately : 0);
  return run_request(std::move(*request));
}

Outcome nt_unlock_file(Call call, Handle handle, IoStatusPtr io_status, UserPtr<i64> offset, UserPtr<u64> length,
                       u32 key) {
  auto referenced = reference_file(call, handle, 0);
  if (!referenced) return referenced.error();
  if ((referenced->granted_access & (abi::kFileReadData | abi::kFileWriteData)) == 0) return Status::access_denied;
  const auto start = offset.read(call.space());
  if (!start) return start.error();
  const auto bytes = length.read(call.space());
  if (!bytes) return bytes.error();
  return run_locked(call, std::move(referenced->file),
                    [call, io_status, start = *start, bytes = *bytes, key](io::FileObject& file) {
                      const Status status = file.device->unlock(file, start, bytes, key);
                      // NT wants the block; Wine's UnlockFile gives none.
                      if (is_error(status) || io_status.is_null()) return status;
                      return io_status.write(call.space(), {static_cast<u32>(status), 0, 0});
                    });
}

// --- cancel
// ------------------------------------------------------------------------------------------------------------

Status nt_cancel_io_file(Call call, Handle handle, IoStatusPtr io_status) {
  const auto referenced = reference_file(call, handle, 0);
  if (!referenced) return referenced.error();
  call->io.cancel(*referenced->file, &call.thread->tcb, 0);
  return io_status.write(call.space(), {0, 0, 0});
}

Status nt_cancel_io_file_ex(Call call, Handle handle, IoStatusPtr target, IoStatusPtr io_status) {
  const auto referenced = reference_file(call, handle, 0);
  if (!referenced) return referenced.error();
  const u32 cancelled = call->io.cancel(*referenced->file, nullptr, target.address);
  const Status status = cancelled != 0 ? Status::success : Status::not_found;
  VITRINE_TRY(io_status.write(call.space(), {static_cast<u32>(status), 0, 0}));
  return status;
}

// Cancels what the thread waits for in a synchronous file. The file is one that its process has open: handles are
// searched in ascending order.
Status nt_cancel_synchronous_io_file(Call call, Handle thread_handle, IoStatusPtr target, IoStatusPtr io_status) {
  const auto thread = reference_thread(call, thread_handle, kThreadTerminate);
  if (!thread) return thread.error();
  ob::ObjectHandles* handles = (*thread)->process->handles.get();
  u32 cancelled = 0;
  for (Handle h = handles == nullptr ? Handle{} : handles->next({0}); h; h = handles->next(h)) {
    ob::Object* object = handles->peek(h);
    if (object == nullptr || &object->type() != &call->io.file_type()) continue;
    auto& file = static_cast<io::FileObject&>(*object);
    if (file.is_synchronous()) cancelled += call->io.cancel(file, &(*thread)->tcb, target.address);
  }
  const Status status = cancelled != 0 ? Status::success : Status::not_found;
  VITRINE_TRY(io_status.write(call.space(), {static_cast<u32>(status), 0, 0}));
  return status;
}

// --- directories
// -------------------------------------------------------------------------------------------------------

struct DirectoryArguments {
  RequestTarget target;
  Va buffer;
  u64 length;
  abi::FileInformationClass information_class;
  std::u16string pattern;
  bool single_entry, restart;
};

Status query_directory(Call call, io::FileObject& file, const DirectoryArguments& arguments) {
  std::vector<u8> entries(std::min(arguments.length, kMaximumDirectoryBytes));
  u32 written = 0;
  const Status status = file.device->query_directory(
      file, {arguments.information_class, arguments.pattern, arguments.restart, arguments.single_entry}, entries,
      &written);
  if (is_error(status)) return status;
  VITRINE_TRY(call.space().write(arguments.buffer, std::as_bytes(std::span(entries)).first(written)));
  // The answer is complete; what is left is what every ended request announces.
  auto request = make_request(call, file, io::MajorFunction::notify_directory, 0, arguments.target);
  if (!request) return request.error();
  request->irp->status = status;
  request->irp->information = written;
  return finish_request(*request, status);
}

Outcome nt_query_directory_file(Call call, Handle handle, Handle event, Buffer apc, u64 apc_context,
                                IoStatusPtr io_status, Buffer buffer, u32 length, u32 information_class,
                                bool single_entry, UserPtr<UnicodeString> pattern, bool restart) {
  if (information_class == 0 || information_class >= static_cast<u32>(abi::FileInformationClass::maximum)) {
    return Status::invalid_info_class;
  }
  auto referenced = reference_file(call, handle, abi::kFileReadData);  // FILE_LIST_DIRECTORY
  if (!referenced) return referenced.error();
  if (const Status s = call.space().probe(buffer.address, length, 4, true); !is_success(s)) return s;
  DirectoryArguments arguments{{event, apc.address, apc_context, io_status},
                               buffer.address,
                               length,
                               static_cast<abi::FileInformationClass>(information_class),
                               {},
                               single_entry,
                               restart};
  if (pattern) {
    auto text = capture_string(call, pattern);
    if (!text) return text.error();
    arguments.pattern = std::move(*text);
  }
  return run_locked(call, std::move(referenced->file), [call, arguments = std::move(arguments)](io::FileObject& file) {
    return query_directory(call, file, arguments);
  });
}

Outcome nt_notify_change_directory_file(Call call, Handle handle, Handle event, Buffer apc, u64 apc_context,
                                        IoStatusPtr io_status, Buffer buffer, u32 length, u32 filter, bool watch_tree) {
  constexpr u32 kValidFilter = 0xFFF;  // FILE_NOTIFY_VALID_MASK
  if (filter == 0 || (filter & ~kValidFilter) != 0) return Status::invalid_parameter;
  const auto referenced = reference_file(call, handle, abi::kFileReadData);
  if (!referenced) return referenced.error();
  if (const Status s = call.space().probe(buffer.address, length, 4, true); !is_success(s)) return s;
  auto request =
      make_request(call, *referenced->file, io::MajorFunction::notify_directory,
                   std::min<u64>(length, kMaximumDirectoryBytes), {event, apc.address, apc_context, io_status});
  if (!request) return request.error();
  request->irp->control_code = filter;
  request->irp->key = watch_tree;
  request->irp->requester.user_buffer = buffer.address;
  // NT waits here when the handle is a synchronous one. Wine's kernelbase opens such handles for FindFirstChangeNotification and goes on:
  // whoever wants to wait waits for the handle or the event.
  const Status status = call->io.send(*request->irp);
  if (status != Status::pending) return finish_request(*request, status);
  call->io.detach(std::move(request->irp));
  return status;
}

using enum SupportLevel;
constexpr Service kServices[] = {
    service<&nt_cancel_io_file>("NtCancelIoFile", complete, "file, io_status"),
    service<&nt_cancel_io_file_ex>("NtCancelIoFileEx", complete, "file, target, io_status"),
    service<&nt_cancel_synchronous_io_file>("NtCancelSynchronousIoFile", complete, "thread, target, io_status"),
    service<&nt_create_file>(
        "NtCreateFile", partial,
        "file, access, attributes, io_status, allocation_size, file_attributes, share, disposition, "
        "options, ea_buffer, ea_length",
        "extended attributes are refused: the volume has none"),
    service<&nt_delete_file>("NtDeleteFile", complete, "attributes"),
    service<&nt_device_io_control_file>(
        "NtDeviceIoControlFile", complete,
        "file, event, apc, apc_context, io_status, code, input, input_length, output, output_length"),
    service<&nt_flush_buffers_file>("NtFlushBuffersFile", complete, "file, io_status"),
    service<&nt_fs_control_file>(
        "NtFsControlFile", complete,
        "file, event, apc, apc_context, io_status, code, input, input_length, output, output_length"),
    service<&nt_lock_file>(
        "NtLockFile", complete,
        "file, event, apc, apc_context, io_status, offset, length, key, fail_immediately, exclusive"),
    service<&nt_notify_change_directory_file>(
        "NtNotifyChangeDirectoryFile", complete,
        "file, event, apc, apc_context, io_status, buffer, length, filter, watch_tree"),
    service<&nt_open_file>("NtOpenFile", complete, "file, access, attributes, io_status, share, options"),
    service<&nt_query_attributes_file>("NtQueryAttributesFile", complete, "attributes, information"),
    service<&nt_query_directory_file>(
        "NtQueryDirectoryFile", complete,
        "file, event, apc, apc_context, io_status, buffer, length, class, single_entry, pattern, restart"),
    service<&nt_query_full_attributes_file>("NtQueryFullAttributesFile", complete, "attributes, information"),
    service<&nt_read_file>("NtReadFile", complete,
                           "file, event, apc, apc_context, io_status, buffer, length, offset, key"),
    service<&nt_read_file_scatter>("NtReadFileScatter", partial,
                                   "file, event, apc, apc_context, io_status, segments, length, offset, key",
                                   "at most 16 MB at once"),
    service<&nt_unlock_file>("NtUnlockFile", complete, "file, io_status, offset, length, key"),
    service<&nt_write_file>("NtWriteFile", complete,
                            "file, event, apc, apc_context, io_status, buffer, length, offset, key"),
    service<&nt_write_file_gather>("NtWriteFileGather", partial,
                                   "file, event, apc, apc_context, io_status, segments, length, offset, key",
                                   "at most 16 MB at once"),
};

}  // namespace

std::span<const Service> file_services() { return kServices; }

}  // namespace vitrine::nt
