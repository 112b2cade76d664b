// IoManager: information classes: what each one needs, and those that belong to the open and not to the device.
#include <algorithm>
#include <cstring>

#include "abi/file_info.h"
#include "io/info_buffer.h"
#include "io/io_manager.h"

namespace vitrine::io {
namespace {

using abi::FileInformationClass;

constexpr u32 kModeBits = abi::kFileWriteThrough | abi::kFileSequentialOnly | abi::kFileNoIntermediateBuffering |
                          abi::kFileSynchronousIoAlert | abi::kFileSynchronousIoNonalert | abi::kFileDeleteOnClose;

Status query_name(const FileObject& file, std::span<u8> out, u32* written) {
  const u32 bytes = static_cast<u32>(file.name.size() * 2);
  if (out.size() < sizeof(abi::FileNameInformation) + sizeof(u32)) return Status::info_length_mismatch;
  return put_with_name(out, &bytes, abi::kFileNameInformationNameOffset, file.name, written);
}

// One part of FileAllInformation; a device that has no such class leaves it zero.
template <typename T>
Status query_part(FileObject& file, FileInformationClass part, T* value) {
  u32 written = 0;
  const Status status =
      file.device->query_information(file, part, std::span(reinterpret_cast<u8*>(value), sizeof(T)), &written);
  return status == Status::invalid_info_class ? Status::success : status;
}

Status query_all(FileObject& file, std::span<u8> out, u32* written) {
  if (out.size() < sizeof(abi::FileAllInformation)) return Status::info_length_mismatch;
  abi::FileAllInformation all{};
  VITRINE_TRY(query_part(file, FileInformationClass::basic, &all.basic));
  VITRINE_TRY(query_part(file, FileInformationClass::standard, &all.standard));
  VITRINE_TRY(query_part(file, FileInformationClass::internal, &all.internal));
  VITRINE_TRY(query_part(file, FileInformationClass::ea, &all.ea));
  all.access.access_flags = file.access;
  all.position.current_byte_offset = file.current_offset;
  all.mode.mode = file.options & kModeBits;
  all.name.name_length = static_cast<u32>(file.name.size() * 2);
  return put_with_name(out, &all, abi::kFileAllInformationNameOffset, file.name, written);
}

}  // namespace

// NT: IopQueryOperationAccess and IopSetOperationAccess, by class [ntifs.h remarks of each class].
u32 IoManager::query_access(FileInformationClass information_class) {
  switch (information_class) {
    case FileInformationClass::basic:
    case FileInformationClass::all:
    case FileInformationClass::network_open:
    case FileInformationClass::attribute_tag:
    case FileInformationClass::pipe:
    case FileInformationClass::pipe_local:
    case FileInformationClass::pipe_remote: return abi::kFileReadAttributes;
    case FileInformationClass::full_ea: return abi::kFileReadEa;
    default: return 0;
  }
}

u32 IoManager::set_access(FileInformationClass information_class) {
  switch (information_class) {
    // NT wants FILE_WRITE_ATTRIBUTES; Wine's SetFileAttributesW opens with SYNCHRONIZE alone. The volume refuses where the mount does.
    case FileInformationClass::basic: return 0;
    case FileInformationClass::pipe: return abi::kFileWriteAttributes;
    case FileInformationClass::rename:
    case FileInformationClass::rename_ex:
    case FileInformationClass::disposition:
    case FileInformationClass::disposition_ex: return abi::kFileDelete;
    case FileInformationClass::allocation:
    case FileInformationClass::end_of_file:
    case FileInformationClass::valid_data_length: return abi::kFileWriteData;
    case FileInformationClass::full_ea: return abi::kFileWriteEa;
    default: return 0;
  }
}

Status IoManager::query_information(FileObject& file, FileInformationClass information_class, std::span<u8> out,
                                    u32* written) {
  *written = 0;
  if (file.cleaned_up) return Status::file_closed;
  switch (information_class) {
    case FileInformationClass::access: return put(out, abi::FileAccessInformation{file.access}, written);
    case FileInformationClass::position: return put(out, abi::FilePositionInformation{file.current_offset}, written);
    case FileInformationClass::mode: return put(out, abi::FileModeInformation{file.options & kModeBits}, written);
    case FileInformationClass::alignment: return put(out, abi::FileAlignmentInformation{0}, written);  // byte aligned
    case FileInformationClass::name:
    case FileInformationClass::normalized_name: return query_name(file, out, written);
    case FileInformationClass::all: return query_all(file, out, written);
    case FileInformationClass::io_completion_notification:
      return put(out, abi::FileIoCompletionNotificationInformation{file.notification_flags}, written);
    default: return file.device->query_information(file, information_class, out, written);
  }
}

Status IoManager::set_information(FileObject& file, FileInformationClass information_class, std::span<const u8> in) {
  if (file.cleaned_up) return Status::file_closed;
  switch (information_class) {
    case FileInformationClass::position: {
      const auto position = take<abi::FilePositionInformation>(in);
      if (!position) return Status::info_length_mismatch;
      if (position->current_byte_offset < 0) return Status::invalid_parameter;
      file.current_offset = position->current_byte_offset;
      return Status::success;
    }
    case FileInformationClass::mode: {
      const auto mode = take<abi::FileModeInformation>(in);
      if (!mode) return Status::info_length_mismatch;
      // NT: whether the file is synchronous, and unbuffered, is settled at open; alertable or not may change.
      constexpr u32 kSynchronous = abi::kFileSynchronousIoAlert | abi::kFileSynchronousIoNonalert;
      constexpr u32 kMayChange = abi::kFileWriteThrough | abi::kFileSequentialOnly | kSynchronous;
      const u32 synchronous = mode->mode & kSynchronous;
      if ((mode->mode & ~kMayChange) != 0 || synchronous == kSynchronous) return Status::invalid_parameter;
      if (file.is_synchronous() != (synchronous != 0)) return Status::invalid_parameter;
      file.options = (file.options & ~kMayChange) | mode->mode;
      return Status::success;
    }
    case FileInformationClass::io_completion_notification: {
      const auto flags = take<abi::FileIoCompletionNotificationInformation>(in);
      if (!flags) return Status::info_length_mismatch;
      constexpr u32 kKnown =
          abi::kSkipCompletionPortOnSuccess | abi::kSkipSetEventOnHandle | abi::kSkipSetUserEventOnFastIo;
      if ((flags->flags & ~kKnown) != 0 || file.is_synchronous()) return Status::invalid_parameter;
      file.notification_flags |= flags->flags;  // NT: flags can be set, never cleared
      return Status::success;
    }
    case FileInformationClass::io_priority_hint:  // one disk queue without priorities: accepted and without effect
      return in.size() < sizeof(u32) ? Status::info_length_mismatch : Status::success;
    default: return file.device->set_information(file, information_class, in);
  }
}

Result<abi::FileNetworkOpenInformation> IoManager::query_attributes(FileObject* root, std::u16string_view path) {
  CreateParameters parameters;
  parameters.access = abi::kFileReadAttributes;
  parameters.share = abi::kFileShareRead | abi::kFileShareWrite | abi::kFileShareDelete;
  parameters.options = abi::kFileOpenForBackupIntent;
  auto opened = open_path(root, path, parameters);
  if (!opened) return Failure(opened.error());
  abi::FileNetworkOpenInformation result{};
  u32 written = 0;
  FileObject& file = *opened->file;
  const Status status = file.device->query_information(
      file, FileInformationClass::network_open, std::span(reinterpret_cast<u8*>(&result), sizeof(result)), &written);
  if (!is_success(status)) return Failure(status);
  return result;
}

}  // namespace vitrine::io
