// Creation of named pipes and mailslots. Everything else about a pipe is a file service. [ntifs.h, WI5 ch.12]
#include "nt/families.h"
#include "nt/file_open.h"

namespace vitrine::nt {
namespace {

using IoStatusPtr = UserPtr<abi::IoStatusBlock>;

// NT's checks of NtCreateNamedPipeFile before the pipe driver is asked [ReactOS io/iomgr/file.c behaviour].
Status check_pipe(const io::PipeParameters& pipe, abi::CreateDisposition disposition, u32 options) {
  if ((pipe.type & ~(abi::kPipeMessageType | abi::kPipeRejectRemoteClients)) != 0) return Status::invalid_parameter;
  if (pipe.read_mode > abi::kPipeMessageMode || pipe.completion_mode > abi::kPipeCompleteOperation) {
    return Status::invalid_parameter;
  }
  const bool messages = (pipe.type & abi::kPipeMessageType) != 0;
  if (!messages && pipe.read_mode == abi::kPipeMessageMode) return Status::invalid_parameter;
  if (pipe.default_timeout > 0) return Status::invalid_parameter;  // only a relative time makes sense
  if ((options & (abi::kFileDirectoryFile | abi::kFileDeleteOnClose)) != 0) return Status::invalid_parameter;
  // Wine 8.0's CreatePipe asks to overwrite, which for a pipe means to open or create.
  const bool creates = disposition == abi::CreateDisposition::create || disposition == abi::CreateDisposition::open ||
                       disposition == abi::CreateDisposition::open_if ||
                       disposition == abi::CreateDisposition::overwrite_if;
  return creates ? Status::success : Status::invalid_parameter;
}

Status nt_create_named_pipe_file(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes,
                                 IoStatusPtr io_status, u32 share, u32 disposition, u32 options, u32 type,
                                 u32 read_mode, u32 completion_mode, u32 maximum_instances, u32 inbound_quota,
                                 u32 outbound_quota, UserPtr<i64> default_timeout) {
  io::PipeParameters pipe{type, read_mode, completion_mode, maximum_instances, inbound_quota, outbound_quota, 0};
  if (default_timeout) {
    const auto timeout = default_timeout.read(call.space());
    if (!timeout) return timeout.error();
    pipe.default_timeout = *timeout;
  }
  if (disposition > abi::kCreateDispositionMaximum) return Status::invalid_parameter;
  VITRINE_TRY(check_pipe(pipe, static_cast<abi::CreateDisposition>(disposition), options));
  FileOpening opening{handle, attributes, io_status, {}};
  opening.parameters.access = access;
  opening.parameters.share = share;
  opening.parameters.disposition = static_cast<abi::CreateDisposition>(disposition);
  opening.parameters.options = options;
  opening.parameters.pipe = &pipe;
  return open_file(call, opening);
}

// NT without the mailslot driver: nothing answers below \Device\Mailslot.
Status nt_create_mailslot_file(Call, UserPtr<Handle>, u32, UserPtr<ObjectAttributes>, IoStatusPtr, u32, u32, u32,
                               UserPtr<i64>) {
  return Status::object_name_not_found;
}

using enum SupportLevel;
constexpr Service kServices[] = {
    service<&nt_create_mailslot_file>("NtCreateMailslotFile", refused,
                                      "mailslot, access, attributes, io_status, options, quota, message_size, timeout",
                                      "there is no mailslot device"),
    service<&nt_create_named_pipe_file>(
        "NtCreateNamedPipeFile", complete,
        "pipe, access, attributes, io_status, share, disposition, options, type, read_mode, "
        "completion_mode, maximum_instances, inbound_quota, outbound_quota, default_timeout"),
};

}  // namespace

std::span<const Service> pipe_services() { return kServices; }

}  // namespace vitrine::nt
