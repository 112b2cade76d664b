// FileRequest: the way of one request that a file service makes: position, file lock, device, wait, and what the program gets back
// (data, status block, event, packet, APC). The rules of io_manager.h in one place for all file services.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "nt/capture.h"
#include "nt/outcome.h"

namespace vitrine::nt {

// The arguments that every request of a file has.
struct RequestTarget {
  Handle event;
  Va apc_routine = 0;
  u64 apc_context = 0;
  UserPtr<abi::IoStatusBlock> io_status;
};

// NtDeviceIoControlFile and NtFsControlFile, as the program called them.
struct ControlArguments {
  Handle handle;
  RequestTarget target;
  u32 code = 0;
  Buffer input;
  u32 input_length = 0;
  Buffer output;
  u32 output_length = 0;
};

struct FileRequest {
  Call call{};
  io::IrpPtr irp;
  bool positioned = false;         // read, write: irp->offset is still to be resolved from `offset`
  std::optional<i64> offset;       // as the program gave it
};

struct ReferencedFile {
  ob::Ref<io::FileObject> file;
  u32 granted_access = 0;
};
// Errors: invalid_handle, object_type_mismatch, access_denied (a right of `access` is missing).
[[nodiscard]] Result<ReferencedFile> reference_file(Call call, Handle handle, u32 access);

// A request of `length` bytes with its requester filled in: probes the status block, references and clears the event.
// Errors: access_violation, invalid_parameter (an APC on a file with a completion port), those of the event handle.
[[nodiscard]] Result<FileRequest> make_request(Call call, io::FileObject& file, io::MajorFunction function, u64 length,
                                               const RequestTarget& target);

// Sends it. Suspends when a synchronous file is busy or its device makes it wait.
[[nodiscard]] Outcome run_request(FileRequest request);

// What the program gets of a request that has ended in its own service, in NT's order: data, status block, event and packet, APC.
// NT: one that fails at once leaves no trace but its status; one that had pended reports the failure everywhere.
[[nodiscard]] Status finish_request(FileRequest& request, Status status);

// NtReadFile and NtWriteFile of more bytes than one request may have: in pieces, each sent when the one before has ended.
struct LongTransfer {
  Call call{};
  ob::Ref<io::FileObject> file;
  io::MajorFunction function{};
  RequestTarget target;
  Va buffer = 0;
  u64 length = 0;
  std::optional<i64> offset;
  u32 key = 0;
};
[[nodiscard]] Outcome run_long_transfer(LongTransfer transfer);

// Runs `operation`, which does not suspend, under the lock of a synchronous file.
using FileOperation = std::function<Status(io::FileObject& file)>;
[[nodiscard]] Outcome run_locked(Call call, ob::Ref<io::FileObject> file, FileOperation operation);

}  // namespace vitrine::nt
