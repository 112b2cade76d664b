#include "nt/user_completion.h"

#include <algorithm>
#include <cstring>

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

Status copy_answer(ps::Process& process, io::Irp& irp) {
  if (irp.opens_object) {
    const auto& file = static_cast<const io::FileObject&>(*irp.objects[0]);
    const auto handle = process.handles->insert(*irp.objects[0], file.access, static_cast<u8>(abi::obj::kInherit));
    if (!handle) return handle.error();
    const auto value = static_cast<u32>(handle->value);
    irp.output.resize(sizeof(value));
    std::memcpy(irp.output.data(), &value, sizeof(value));
  }
  const auto data = std::as_bytes(std::span(irp.output)).first(std::min<u64>(irp.output.size(), irp.length));
  mm::AddressSpace& space = *process.space;
  if (irp.requester.segments.empty()) {
    return irp.requester.user_buffer == 0 || data.empty() ? Status::success : space.write(irp.requester.user_buffer, data);
  }
  u64 done = 0;
  for (const io::UserSegment& segment : irp.requester.segments) {
    const auto piece = data.subspan(done, std::min<u64>(segment.bytes, data.size() - done));
    if (segment.address != 0 && !piece.empty()) VITRINE_TRY(space.write(segment.address, piece));
    done += piece.size();
  }
  return Status::success;
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
