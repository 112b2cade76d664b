#include "nt/user_completion.h"

namespace vitrine::nt {
namespace {

void free_apc(ke::Kernel&, ke::Apc& apc) { delete static_cast<ke::UserApc*>(&apc); }
void take_apc(ke::Kernel& kernel, ke::Apc& apc, ke::UserApcCall*) { free_apc(kernel, apc); }

constexpr ke::ApcOperations kHeapApc{take_apc, free_apc, nullptr};

}  // namespace

Result<ob::Ref<ob::EventObject>> reference_request_event(Call call, Handle event_handle) {
  if (!event_handle) return ob::Ref<ob::EventObject>();
  auto event = reference<ob::EventObject>(call, event_handle, call->sync.event(), abi::event_access::kModifyState);
  if (event) call->kernel.reset_event((*event)->event);
  return event;
}

void deliver(Executive& executive, const UserCompletion& completion, Status status, u64 information) {
  mm::AddressSpace* space = completion.thread->process->space.get();
  if (space == nullptr) return;
  if (completion.io_status != 0) {
    // A failure means that the program has unmapped its own status block; there is nobody to tell [NT ignores it too].
    (void)UserPtr<abi::IoStatusBlock>{completion.io_status}.write(*space, {static_cast<u32>(status), 0, information});
  }
  if (completion.event) executive.kernel.set_event(completion.event->event);
  if (completion.apc_routine != 0) {
    queue_user_apc(executive, *completion.thread,
                   {completion.apc_routine, {completion.apc_context, completion.io_status, 0}, false});
  }
}

bool queue_user_apc(Executive& executive, ps::Thread& thread, const ke::UserApcCall& apc_call) {
  auto apc = std::make_unique<ke::UserApc>();
  ke::Kernel::init_apc(*apc, thread.tcb, ke::ApcKind::user, kHeapApc);
  apc->call = apc_call;
  if (!executive.kernel.insert_apc(*apc)) return false;
  (void)apc.release();  // freed when it is delivered or run down
  return true;
}

}  // namespace vitrine::nt
