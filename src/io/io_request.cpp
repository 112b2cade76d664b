// IoManager: the way of a request: sent, pending, completed, cancelled; and completion ports.
#include "abi/file_constants.h"
#include "io/io_manager.h"
#include "ob/sync_objects.h"

namespace vitrine::io {

Result<i64> IoManager::resolve_offset(const FileObject& file, const i64* given, MajorFunction function) {
  if (!file.device->is_seekable()) return 0;
  const bool write = function == MajorFunction::write;
  // NT: a file opened for appending only is always written at its end.
  if (write && (file.access & (abi::kFileWriteData | abi::kFileAppendData)) == abi::kFileAppendData) {
    return abi::kFileWriteToEndOfFile;
  }
  const bool current = given == nullptr || *given == abi::kFileUseFilePointerPosition;
  if (current) {
    if (!file.is_synchronous()) return Failure(Status::invalid_parameter);
    return file.current_offset;
  }
  if (write && *given == abi::kFileWriteToEndOfFile) return *given;
  if (*given < 0) return Failure(Status::invalid_parameter);
  return *given;
}

void IoManager::finish(Irp& irp, Status status) {
  irp.status = status;
  irp.state = IrpState::completed;
  const bool moves = irp.function == MajorFunction::read || irp.function == MajorFunction::write;
  if (moves && !is_error(status) && irp.file->is_synchronous() && irp.file->device->is_seekable()) {
    irp.file->current_offset = irp.offset + static_cast<i64>(irp.information);
  }
}

Status IoManager::send(Irp& irp) {
  VITRINE_CHECK(irp.state == IrpState::built);
  FileObject& file = *irp.file;
  if (file.cleaned_up) return Status::file_closed;
  irp.sequence = ++next_sequence_;
  kernel_.reset_event(file.event);
  if (irp.requester.user_event) kernel_.reset_event(static_cast<ob::EventObject&>(*irp.requester.user_event).event);
  const Status status = file.device->dispatch(irp);
  if (status != Status::pending) {
    finish(irp, status);
    return status;
  }
  irp.state = IrpState::pending;
  irp.pended = true;
  file.pending.push_back(irp);
  pending_.push_back(irp);
  return status;
}

void IoManager::detach(IrpPtr irp) {
  irp->detached = true;
  if (irp->state == IrpState::completed) {
    deliver(std::move(irp));
    return;
  }
  VITRINE_CHECK(irp->state == IrpState::pending);
  (void)irp.release();  // complete() takes it back
}

void IoManager::deliver(IrpPtr irp) {
  if (sink_ != nullptr) {
    sink_->complete(std::move(irp));
  } else {
    announce(*irp);
  }
}

void IoManager::complete(Irp& irp, Status status, u64 information) {
  VITRINE_CHECK(irp.state == IrpState::pending);
  irp.file_link.unlink();
  irp.manager_link.unlink();
  irp.information = information;
  finish(irp, status);
  if (irp.detached) {
    deliver(IrpPtr(&irp));
  } else {
    kernel_.set_event(irp.done, irp.file->device->completion_increment());
  }
}

Task<Status> IoManager::wait(Irp* irp) {
  ke::Thread* thread = irp->requester.thread;
  VITRINE_CHECK(thread != nullptr);
  // NT: the wait is in user mode even when it is not alertable, so that termination ends it [WI5 ch.7 "I/O
  // Cancellation"].
  const ke::WaitParameters parameters{.reason = ke::WaitReason::executive, .mode = ke::Mode::user,
                                      .alertable = irp->file->is_alertable(), .timeout = {}};
  // Whatever ended the wait, the request's own state says what became of it.
  (void)co_await kernel_.wait_single(thread, &irp->done.header, parameters);
  if (irp->state == IrpState::pending) cancel(*irp);
  co_return irp->status;
}

void IoManager::announce(const Irp& irp) {
  FileObject& file = *irp.file;
  const i8 increment = file.device->completion_increment();
  // NT: the caller's event, or the file's when it gave none [WDK IoCompleteRequest].
  if (irp.requester.user_event) {
    kernel_.set_event(static_cast<ob::EventObject&>(*irp.requester.user_event).event, increment);
  } else if ((file.notification_flags & abi::kSkipSetEventOnHandle) == 0 || file.is_synchronous()) {
    kernel_.set_event(file.event, increment);
  }
  // NT: a packet only for requests without an APC routine and with a context.
  if (!file.port || irp.requester.apc_routine != 0 || irp.requester.apc_context == 0) return;
  const bool skip = !irp.pended && (file.notification_flags & abi::kSkipCompletionPortOnSuccess) != 0;
  if (skip && is_success(irp.status)) return;
  queue_packet(*file.port, {file.completion_key, irp.requester.apc_context, irp.status, irp.information});
}

void IoManager::cancel(Irp& irp) {
  irp.file->device->cancel(irp);
  complete(irp, Status::cancelled, 0);
}

u32 IoManager::cancel(FileObject& file, const ke::Thread* thread, Va io_status) {
  u32 count = 0;
  for (bool found = true; found;) {
    found = false;
    for (Irp& irp : file.pending) {
      if (thread != nullptr && irp.requester.thread != thread) continue;
      if (io_status != 0 && irp.requester.io_status != io_status) continue;
      cancel(irp);  // changes the list: start again
      ++count;
      found = true;
      break;
    }
  }
  return count;
}

void IoManager::cancel_thread(const ke::Thread& thread) {
  for (bool found = true; found;) {
    found = false;
    for (Irp& irp : pending_) {
      if (irp.requester.thread != &thread) continue;
      cancel(irp);
      found = true;
      break;
    }
  }
}

bool IoManager::try_acquire(FileObject& file) {
  if (file.busy) return false;
  file.busy = true;
  return true;
}

Task<Status> IoManager::acquire(ob::Ref<FileObject> file) {
  ke::Thread* thread = kernel_.current(kernel_.executing_processor());
  while (!try_acquire(*file)) {
    const ke::WaitParameters parameters{.reason = ke::WaitReason::executive, .mode = ke::Mode::user,
                                        .alertable = file->is_alertable(), .timeout = {}};
    const Status status = co_await kernel_.wait_single(thread, &file->lock.header, parameters);
    if (status != Status::success) co_return status;
  }
  co_return Status::success;
}

void IoManager::release(FileObject& file) {
  VITRINE_CHECK(file.busy);
  file.busy = false;
  if (!file.lock.header.waiters.empty()) kernel_.set_event(file.lock, ke::kIncrementNone);
}

Result<ob::Ref<IoCompletionObject>> IoManager::create_port(const ob::CreateRequest& request, u32 concurrency) {
  const u32 limit = concurrency == 0 ? kernel_.processor_count() : concurrency;
  return objects_.create<IoCompletionObject>(*completion_type_, request, limit, kernel_);
}

Status IoManager::associate(FileObject& file, ob::Ref<IoCompletionObject> port, u64 key) {
  if (file.port || file.is_synchronous()) return Status::invalid_parameter;
  file.port = std::move(port);
  file.completion_key = key;
  return Status::success;
}

Status IoManager::replace_association(FileObject& file, ob::Ref<IoCompletionObject> port, u64 key) {
  if (file.is_synchronous()) return Status::invalid_parameter;
  file.port = std::move(port);  // null: the file has none any more
  file.completion_key = key;
  return Status::success;
}

void IoManager::queue_packet(IoCompletionObject& port, const CompletionRecord& record) {
  auto* packet = new CompletionPacket;
  packet->record = record;
  kernel_.insert_queue(port.queue, *packet);
}

Status IoManager::post(IoCompletionObject& port, u64 key, u64 value, Status status, u64 information) {
  if (port.queue.header.signal_state >= static_cast<i32>(kMaximumPackets)) return Status::quota_exceeded;
  queue_packet(port, {key, value, status, information});
  return Status::success;
}

Task<Status> IoManager::remove(ob::Ref<IoCompletionObject> port, CompletionRecord* out, u32 capacity, u32* removed,
                               const i64* timeout_100ns, bool alertable) {
  *removed = 0;
  if (capacity == 0) co_return Status::invalid_parameter;
  ke::Thread* thread = kernel_.current(kernel_.executing_processor());
  ke::WaitParameters parameters{
      .reason = ke::WaitReason::wr_queue, .mode = ke::Mode::user, .alertable = alertable, .timeout = {}};
  if (timeout_100ns != nullptr) parameters.timeout = Ticks{*timeout_100ns};
  auto entry = co_await kernel_.remove_queue(thread, &port->queue, parameters);
  while (entry) {
    auto* packet = static_cast<CompletionPacket*>(*entry);
    out[(*removed)++] = packet->record;
    release_packet(*packet);
    if (*removed == capacity) break;
    // Further packets are taken only if they are there already.
    const ke::WaitParameters poll{.reason = ke::WaitReason::wr_queue, .mode = ke::Mode::user, .timeout = Ticks{0}};
    auto next = kernel_.try_remove_queue(*thread, port->queue, poll);
    if (!next) break;
    entry = std::move(*next);
  }
  co_return *removed != 0 ? Status::success : entry.error();
}

}  // namespace vitrine::io
