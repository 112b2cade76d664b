// NtQuery/SetInformationFile and the volume twins. Which class needs which right, and its layout, is io's and the
// devices'; here are the classes that name another object: rename, link, completion port.
#include <algorithm>

#include "nt/families.h"
#include "nt/file_request.h"

namespace vitrine::nt {
namespace {

using abi::FileInformationClass;
using IoStatusPtr = UserPtr<abi::IoStatusBlock>;

constexpr u64 kMaximumInformationBytes = 0x2'0000;  // the longest answer is a name of 64 KB
constexpr u32 kIoCompletionModifyState = 2;         // IO_COMPLETION_MODIFY_STATE

bool is_file_class(u32 information_class) {
  return information_class != 0 && information_class < static_cast<u32>(FileInformationClass::maximum);
}

// NT: FileBasicInformation needs FILE_READ_ATTRIBUTES. Wine 8.0's kernelbase asks for it with a handle that it opened
// for DELETE only (MoveFileWithProgressW), because its kernel side asks for no right here; the guest gets what its DLLs
// expect (DESIGN 3.3).
u32 guest_query_access(FileInformationClass wanted) {
  return wanted == FileInformationClass::basic ? 0 : io::IoManager::query_access(wanted);
}

// Copies an answer out and fills in the status block. NT: warnings (a name that was cut) come with what fits.
Status return_answer(Call call, Status status, Buffer buffer, std::span<const u8> answer, IoStatusPtr io_status) {
  if (is_error(status)) return status;
  VITRINE_TRY(call.space().write(buffer.address, std::as_bytes(answer)));
  VITRINE_TRY(io_status.write(call.space(), {static_cast<u32>(status), 0, answer.size()}));
  return status;
}

Outcome nt_query_information_file(Call call, Handle handle, IoStatusPtr io_status, Buffer buffer, u32 length,
                                  u32 information_class) {
  if (!is_file_class(information_class)) return Status::invalid_info_class;
  const auto wanted = static_cast<FileInformationClass>(information_class);
  if (const Status s = call.space().probe(io_status.address, sizeof(abi::IoStatusBlock), 4, true); !is_success(s))
    return s;
  if (const Status s = call.space().probe(buffer.address, length, 1, true); !is_success(s)) return s;
  auto referenced = reference_file(call, handle, guest_query_access(wanted));
  if (!referenced) return referenced.error();
  return run_locked(call, std::move(referenced->file), [=](io::FileObject& file) {
    std::vector<u8> answer(std::min<u64>(length, kMaximumInformationBytes));
    u32 written = 0;
    const Status status = call->io.query_information(file, wanted, answer, &written);
    return return_answer(call, status, buffer, std::span(answer).first(written), io_status);
  });
}

// FILE_RENAME_INFORMATION and FILE_LINK_INFORMATION, old and -Ex forms.
Status rename(Call call, io::FileObject& file, FileInformationClass wanted, std::span<const u8> in) {
  abi::FileRenameInformation information{};
  if (in.size() < abi::kFileRenameInformationNameOffset) return Status::info_length_mismatch;
  std::memcpy(&information, in.data(), abi::kFileRenameInformationNameOffset);
  const u64 name_bytes = information.file_name_length;
  if (name_bytes > in.size() - abi::kFileRenameInformationNameOffset) return Status::invalid_parameter;
  if (name_bytes % 2 != 0) return Status::invalid_parameter;
  std::u16string name(name_bytes / 2, u'\0');
  std::memcpy(name.data(), in.data() + abi::kFileRenameInformationNameOffset, name_bytes);
  ob::Ref<io::FileObject> root;
  if (information.root_directory != 0) {
    auto found = reference<io::FileObject>(call, Handle{information.root_directory}, call->io.file_type(), 0);
    if (!found) return found.error();
    root = std::move(*found);
  }
  io::RenameParameters parameters;
  parameters.link = wanted == FileInformationClass::link;
  if (wanted == FileInformationClass::rename_ex) {
    parameters.replace = (information.flags & abi::kRenameReplaceIfExists) != 0;
    parameters.ignore_readonly = (information.flags & abi::kRenameIgnoreReadonly) != 0;
  } else {
    parameters.replace = (information.flags & 0xFF) != 0;  // a BOOLEAN in the old form
  }
  return call->io.rename(file, root.get(), name, parameters);
}

// FILE_COMPLETION_INFORMATION: the port's handle and the key of the file's packets.
Status set_port(Call call, io::FileObject& file, FileInformationClass wanted, std::span<const u8> in) {
  abi::FileCompletionInformation information{};
  if (in.size() < sizeof(information)) return Status::info_length_mismatch;
  std::memcpy(&information, in.data(), sizeof(information));
  ob::Ref<io::IoCompletionObject> port;
  if (wanted == FileInformationClass::completion || information.port != 0) {
    auto found = reference<io::IoCompletionObject>(call, Handle{information.port}, call->io.completion_type(),
                                                   kIoCompletionModifyState);
    if (!found) return found.error();
    port = std::move(*found);
  }
  return wanted == FileInformationClass::completion
             ? call->io.associate(file, std::move(port), information.key)
             : call->io.replace_association(file, std::move(port), information.key);
}

Status set_information(Call call, io::FileObject& file, FileInformationClass wanted, std::span<const u8> in) {
  switch (wanted) {
    case FileInformationClass::rename:
    case FileInformationClass::rename_ex:
    case FileInformationClass::link:
      return rename(call, file, wanted, in);
    case FileInformationClass::completion:
    case FileInformationClass::replace_completion:
      return set_port(call, file, wanted, in);
    default:
      return call->io.set_information(file, wanted, in);
  }
}

Outcome nt_set_information_file(Call call, Handle handle, IoStatusPtr io_status, Buffer buffer, u32 length,
                                u32 information_class) {
  if (!is_file_class(information_class)) return Status::invalid_info_class;
  const auto wanted = static_cast<FileInformationClass>(information_class);
  if (const Status s = call.space().probe(io_status.address, sizeof(abi::IoStatusBlock), 4, true); !is_success(s))
    return s;
  auto in = capture_bytes(call, buffer, length, kMaximumInformationBytes);
  if (!in) return in.error();
  auto referenced = reference_file(call, handle, io::IoManager::set_access(wanted));
  if (!referenced) return referenced.error();
  return run_locked(call, std::move(referenced->file),
                    [call, io_status, wanted, in = std::move(*in)](io::FileObject& file) {
                      const Status status = set_information(call, file, wanted, in);
                      if (is_error(status)) return status;
                      VITRINE_TRY(io_status.write(call.space(), {static_cast<u32>(status), 0, 0}));
                      return status;
                    });
}

Outcome nt_query_volume_information_file(Call call, Handle handle, IoStatusPtr io_status, Buffer buffer, u32 length,
                                         u32 information_class) {
  if (const Status s = call.space().probe(io_status.address, sizeof(abi::IoStatusBlock), 4, true); !is_success(s))
    return s;
  if (const Status s = call.space().probe(buffer.address, length, 1, true); !is_success(s)) return s;
  auto referenced = reference_file(call, handle, 0);
  if (!referenced) return referenced.error();
  const auto wanted = static_cast<abi::VolumeInformationClass>(information_class);
  FileOperation query = [=](io::FileObject& file) {
    std::vector<u8> answer(std::min<u64>(length, kMaximumInformationBytes));
    u32 written = 0;
    const Status status = file.device->query_volume(file, wanted, answer, &written);
    return return_answer(call, status, buffer, std::span(answer).first(written), io_status);
  };
  // NT: the device class is answered without the file's lock, so that GetFileType works while another thread reads.
  if (wanted == abi::VolumeInformationClass::device) return query(*referenced->file);
  return run_locked(call, std::move(referenced->file), std::move(query));
}

// NT: the label, quotas and object ids of a volume; this one's are the machine's, and no file system of ours takes
// them.
Status nt_set_volume_information_file(Call call, Handle handle, IoStatusPtr, Buffer, u32, u32) {
  const auto referenced = reference_file(call, handle, 0);
  return referenced ? Status::access_denied : referenced.error();
}

Status nt_query_ea_file(Call call, Handle handle, IoStatusPtr, Buffer, u32, bool, Buffer, u32, UserPtr<u32>, bool) {
  const auto referenced = reference_file(call, handle, abi::kFileReadEa);
  return referenced ? Status::eas_not_supported : referenced.error();
}

Status nt_set_ea_file(Call call, Handle handle, IoStatusPtr, Buffer, u32) {
  const auto referenced = reference_file(call, handle, abi::kFileWriteEa);
  return referenced ? Status::eas_not_supported : referenced.error();
}

using enum SupportLevel;
constexpr std::string_view kNoEas = "no file system here has extended attributes";
constexpr Service kServices[] = {
    service<&nt_query_ea_file>("NtQueryEaFile", refused,
                               "file, io_status, buffer, length, single_entry, list, list_length, index, restart",
                               kNoEas),
    service<&nt_query_information_file>("NtQueryInformationFile", complete, "file, io_status, buffer, length, class"),
    service<&nt_query_volume_information_file>("NtQueryVolumeInformationFile", complete,
                                               "file, io_status, buffer, length, class"),
    service<&nt_set_ea_file>("NtSetEaFile", refused, "file, io_status, buffer, length", kNoEas),
    service<&nt_set_information_file>("NtSetInformationFile", complete, "file, io_status, buffer, length, class"),
    service<&nt_set_volume_information_file>("NtSetVolumeInformationFile", refused,
                                             "file, io_status, buffer, length, class",
                                             "labels and quotas of volumes cannot be changed"),
};

}  // namespace

std::span<const Service> file_information_services() { return kServices; }

}  // namespace vitrine::nt
