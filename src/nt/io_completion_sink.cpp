#include "nt/io_completion_sink.h"

#include "nt/user_completion.h"

namespace vitrine::nt {

void IoCompletionSink::complete(io::IrpPtr irp) {
  const io::Requester& requester = irp->requester;
  if (requester.thread == nullptr) {
    executive_.io.announce(*irp);
    return;
  }
  ps::Thread& thread = *ps::Thread::from(requester.thread);
  mm::AddressSpace* space = thread.process->space.get();
  Status status = irp->status;
  if (space != nullptr && !is_error(status)) {
    // NT: the program took its buffer away; the request then ends with the failure to copy.
    if (const Status copied = copy_answer(*thread.process, *irp); !is_success(copied)) irp->status = status = copied;
  }
  if (space != nullptr && requester.io_status != 0) {
    (void)UserPtr<abi::IoStatusBlock>{requester.io_status}.write(*space,
                                                                 {static_cast<u32>(status), 0, irp->information});
  }
  executive_.io.announce(*irp);
  if (requester.apc_routine != 0) {
    queue_user_apc(executive_, thread, {requester.apc_routine, {requester.apc_context, requester.io_status, 0}, false});
  }
}

}  // namespace vitrine::nt
