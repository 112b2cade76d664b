#include "nt/file_request.h"

#include <algorithm>

#include "nt/user_completion.h"

namespace vitrine::nt {
namespace {

Status resolve_position(FileRequest& request) {
  if (!request.positioned) return Status::success;
  io::Irp& irp = *request.irp;
  const auto offset =
      io::IoManager::resolve_offset(*irp.file, request.offset ? &*request.offset : nullptr, irp.function);
  if (!offset) return offset.error();
  irp.offset = *offset;
  return Status::success;
}

// The file's lock is held.
Task<Status> wait_and_finish(FileRequest request) {
  const ob::Ref<io::FileObject> file(*request.irp->file);
  Status status = co_await request.call->io.wait(request.irp.get());
  status = finish_request(request, status);
  request.call->io.release(*file);
  co_return status;
}

Task<Status> lock_and_run(FileRequest request) {
  const ob::Ref<io::FileObject> file(*request.irp->file);
  Status status = co_await request.call->io.acquire(file);
  if (status != Status::success) co_return status;
  status = resolve_position(request);
  if (is_success(status)) {
    status = request.call->io.send(*request.irp);
    if (status == Status::pending) status = co_await request.call->io.wait(request.irp.get());
    status = finish_request(request, status);
  }
  request.call->io.release(*file);
  co_return status;
}

// One piece of a long transfer, ready to be sent.
Result<FileRequest> make_piece(const LongTransfer& transfer, u64 done, std::optional<i64> start) {
  const u64 bytes = std::min(transfer.length - done, io::kMaximumTransferBytes);
  auto piece = make_request(transfer.call, *transfer.file, transfer.function, bytes, {});
  if (!piece) return piece;
  piece->irp->key = transfer.key;
  piece->positioned = true;
  piece->offset = start ? std::optional(*start + static_cast<i64>(done)) : transfer.offset;
  if (transfer.function == io::MajorFunction::write) {
    auto data = capture_bytes(transfer.call, {transfer.buffer + done}, bytes, io::kMaximumTransferBytes);
    if (!data) return Failure(data.error());
    piece->irp->input = std::move(*data);
  } else {
    piece->irp->requester.user_buffer = transfer.buffer + done;
  }
  return piece;
}

Task<Status> transfer_pieces(LongTransfer transfer) {
  io::IoManager& io = transfer.call->io;
  const bool locked = transfer.file->is_synchronous();
  if (locked) {
    const Status acquired = co_await io.acquire(transfer.file);
    if (acquired != Status::success) co_return acquired;
  }
  // The last request stands for all: its status block, event and APC are the program's.
  auto whole = make_request(transfer.call, *transfer.file, transfer.function, 0, transfer.target);
  Status status = whole ? Status::success : whole.error();
  u64 done = 0;
  std::optional<i64> start;
  while (is_success(status) && done < transfer.length) {
    auto piece = make_piece(transfer, done, start);
    status = piece ? resolve_position(*piece) : piece.error();
    if (!is_success(status)) break;
    io::Irp& irp = *piece->irp;
    status = io.send(irp);
    if (status == Status::pending) status = co_await io.wait(&irp);
    if (is_error(status)) break;
    if (!start && transfer.file->device->is_seekable()) start = irp.offset;  // now resolved, also for "the end"
    if (!irp.output.empty()) status = copy_answer(transfer.call.process(), irp);
    done += irp.information;
    if (irp.information < irp.length) break;
  }
  if (whole && (done != 0 || is_success(status))) {
    whole->irp->information = done;
    whole->irp->status = status = is_error(status) ? Status::success : status;  // what was done counts
    status = finish_request(*whole, status);
  }
  if (locked) io.release(*transfer.file);
  co_return status;
}

Task<Status> lock_and_operate(Call call, ob::Ref<io::FileObject> file, FileOperation operation) {
  const Status acquired = co_await call->io.acquire(file);
  if (acquired != Status::success) co_return acquired;
  const Status status = operation(*file);
  call->io.release(*file);
  co_return status;
}

}  // namespace

Result<ReferencedFile> reference_file(Call call, Handle handle, u32 access) {
  ob::HandleInformation information{};
  auto file = ob::reference_by_handle<io::FileObject>(*call.process().handles, handle, call->io.file_type(), access,
                                                      se::Mode::user, &information);
  if (!file) return Failure(file.error());
  return ReferencedFile{std::move(*file), information.granted_access};
}

Result<FileRequest> make_request(Call call, io::FileObject& file, io::MajorFunction function, u64 length,
                                 const RequestTarget& target) {
  if (target.io_status) {
    const Status probed = call.space().probe(target.io_status.address, sizeof(abi::IoStatusBlock), 4, true);
    if (!is_success(probed)) return Failure(probed);
  }
  // NT: a file tells of its requests through a port or through APCs, not both.
  if (file.port && target.apc_routine != 0) return Failure(Status::invalid_parameter);
  auto event = reference_request_event(call, target.event);
  if (!event) return Failure(event.error());
  FileRequest request;
  request.call = call;
  request.irp = io::make_irp(file, function, length);
  io::Requester& requester = request.irp->requester;
  requester.thread = &call.thread->tcb;
  requester.process_id = call.process().id;
  requester.io_status = target.io_status.address;
  requester.user_event = std::move(*event);
  requester.apc_routine = target.apc_routine;
  requester.apc_context = target.apc_context;
  return request;
}

Status finish_request(FileRequest& request, Status status) {
  io::Irp& irp = *request.irp;
  if (is_error(status) && !irp.pended) return status;
  if (!is_error(status)) {
    const Status copied = copy_answer(request.call.process(), irp);
    if (!is_success(copied)) irp.status = status = copied;
  }
  if (irp.requester.io_status != 0) {
    const UserPtr<abi::IoStatusBlock> block{irp.requester.io_status};
    VITRINE_TRY(block.write(request.call.space(), {static_cast<u32>(status), 0, irp.information}));
  }
  request.call->io.announce(irp);
  if (irp.requester.apc_routine != 0) {
    queue_user_apc(*request.call.executive, *request.call.thread,
                   {irp.requester.apc_routine, {irp.requester.apc_context, irp.requester.io_status, 0}, false});
  }
  return status;
}

Outcome run_request(FileRequest request) {
  io::FileObject& file = *request.irp->file;
  io::IoManager& io = request.call->io;
  if (!file.is_synchronous()) {
    if (const Status s = resolve_position(request); !is_success(s)) return s;
    const Status status = io.send(*request.irp);
    if (status != Status::pending) return finish_request(request, status);
    io.detach(std::move(request.irp));
    return status;
  }
  if (!io.try_acquire(file)) return lock_and_run(std::move(request));
  const ob::Ref<io::FileObject> keep(file);
  Status status = resolve_position(request);
  if (is_success(status)) {
    status = io.send(*request.irp);
    if (status == Status::pending) return wait_and_finish(std::move(request));
    status = finish_request(request, status);
  }
  io.release(file);
  return status;
}

Outcome run_long_transfer(LongTransfer transfer) { return transfer_pieces(std::move(transfer)); }

Outcome run_locked(Call call, ob::Ref<io::FileObject> file, FileOperation operation) {
  if (!file->is_synchronous()) return operation(*file);
  if (!call->io.try_acquire(*file)) return lock_and_operate(call, std::move(file), std::move(operation));
  const Status status = operation(*file);
  call->io.release(*file);
  return status;
}

}  // namespace vitrine::nt
