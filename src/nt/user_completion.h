// UserCompletion: where the end of an asynchronous request is announced: status block, event and user APC of the thread that asked
// (NT: the special kernel APC of IopCompleteRequest does this in that thread; here the address space is reached directly).
//
// Owns references on the thread (and through it the process) and the event until it is delivered or dropped.
#pragma once

#include "nt/capture.h"

namespace vitrine::nt {

struct UserCompletion {
  ob::Ref<ps::Thread> thread;
  ob::Ref<ob::EventObject> event;  // null: none
  Va io_status = 0;                // 0: none
  Va apc_routine = 0;              // 0: none
  u64 apc_context = 0;
};

// References `event_handle` (0: none) with the right to set it and clears it, as every request with an event does.
// Errors: invalid_handle, object_type_mismatch, access_denied.
[[nodiscard]] Result<ob::Ref<ob::EventObject>> reference_request_event(Call call, Handle event_handle);

// Writes the status block, sets the event, queues the APC. What cannot be written any more (the process is gone) is dropped.
void deliver(Executive& executive, const UserCompletion& completion, Status status, u64 information);

// Copies what a request brought to where its requester wants it; what the device opened becomes a handle of `process` first. Errors:
// access_violation, those of a new handle.
[[nodiscard]] Status copy_answer(ps::Process& process, io::Irp& irp);

// NtQueueApcThread's and I/O completion's way to make a thread call `routine(arguments...)`. False: it takes no more APCs.
bool queue_user_apc(Executive& executive, ps::Thread& thread, const ke::UserApcCall& apc_call);

}  // namespace vitrine::nt
