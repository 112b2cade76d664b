#include "nt/key_notification.h"

#include "nt/user_completion.h"

namespace vitrine::nt {
namespace {

// NT: what a change is reported as (the program must look for itself what changed) [WDK ZwNotifyChangeKey].
Status reported(Status fired) { return fired == Status::success ? Status::notify_enum_dir : fired; }

struct PendingNotification {
  Executive* executive;
  UserCompletion completion;
};

void finish_asynchronous(void* context, Status fired) {
  std::unique_ptr<PendingNotification> pending(static_cast<PendingNotification*>(context));
  deliver(*pending->executive, pending->completion, reported(fired), 0);
}

// In the frame of the thread that waits.
struct WaitingNotification {
  explicit WaitingNotification(ke::Kernel& kernel_) : kernel(kernel_), event(ke::EventKind::notification) {}
  ke::Kernel& kernel;
  ke::Event event;
  Status fired = Status::pending;
};

void finish_synchronous(void* context, Status fired) {
  auto* waiting = static_cast<WaitingNotification*>(context);
  waiting->fired = fired;
  waiting->kernel.set_event(waiting->event);
}

Task<Status> wait_for_change(Call call, ob::Ref<cm::KeyObject> key, KeyNotificationRequest request) {
  WaitingNotification waiting(call->kernel);
  const Status asked = call->registry.notify(*key, {request.filter, request.watch_tree, finish_synchronous, &waiting});
  if (asked != Status::pending) co_return asked;
  const Status waited = co_await call->kernel.wait_single(
      &call.thread->tcb, &waiting.event.header, {ke::WaitReason::wr_executive, ke::Mode::user, false, std::nullopt});
  // The wait may end early (the thread is being terminated): the registry must forget this frame before it goes.
  if (waiting.fired == Status::pending) call->registry.cancel_notification(*key, &waiting);
  const Status status = waiting.fired == Status::pending ? waited : reported(waiting.fired);
  if (request.io_status != 0 && waiting.fired != Status::pending) {
    const UserPtr<abi::IoStatusBlock> block{request.io_status};
    const Status written = block.write(call.space(), {static_cast<u32>(status), 0, 0});
    if (!is_success(written)) co_return written;
  }
  co_return status;
}

}  // namespace

Outcome notify_change_key(Call call, const KeyNotificationRequest& request) {
  if (request.filter == 0 || (request.filter & ~cm::notify_filter::kValid) != 0) return Status::invalid_parameter;
  if (request.io_status != 0) {
    if (const Status s = call.space().probe(request.io_status, sizeof(abi::IoStatusBlock), 1, true); !is_success(s))
      return s;
  }
  auto key = reference<cm::KeyObject>(call, request.key, call->registry.key_type(), abi::key_access::kNotify);
  if (!key) return key.error();
  if (!request.asynchronous) return wait_for_change(call, std::move(*key), request);
  auto event = reference_request_event(call, request.event);
  if (!event) return event.error();
  auto pending = std::make_unique<PendingNotification>(PendingNotification{
      call.executive,
      {ob::Ref(*call.thread), std::move(*event), request.io_status, request.apc_routine, request.apc_context}});
  const Status status =
      call->registry.notify(**key, {request.filter, request.watch_tree, finish_asynchronous, pending.get()});
  if (status == Status::pending) (void)pending.release();  // finish_asynchronous takes it back
  return status;
}

}  // namespace vitrine::nt
