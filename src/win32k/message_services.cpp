// Posting and fetching messages, and thread timers. [Microsoft: PostThreadMessage, GetMessage, PeekMessage,
// PostQuitMessage, SetTimer, GetQueueStatus; seen in Wine 8.0's win32u: the services' arguments]
#include <array>

#include "nt/executive.h"
#include "win32k/services.h"
#include "win32k/subsystem.h"

namespace vitrine::win32k {
namespace {

using nt::Buffer;
using nt::Call;
using nt::Outcome;
using nt::UserPtr;
namespace qs = abi::queue_status;
namespace error = abi::win32_error;

constexpr u64 kThreadMessages = ~u64{0};  // the window of a look that wants only messages without one
constexpr u32 kWordMask = 0xFFFF;
// BOOL's third value, which GetMessage has for an error.
constexpr Value kGetMessageError = static_cast<Value>(~0u);

// Nothing here has a window: a look at one window's messages fails, any other sees them all.
bool is_windowless(u64 window) {
  return window == 0 || window == kThreadMessages || static_cast<u32>(window) == kWordMask;
}

MessageFilter make_filter(u32 first, u32 last, u32 status) {
  if (first == 0 && last == 0) last = ~0u;
  return {first, last, status == 0 ? qs::kAllInput : status};
}

// What user32 shows through GetMessageTime and GetMessageExtraInfo: Wine keeps it in the TEB [decision 0011].
struct ClientMessageInfo {
  u32 time;
  i16 x, y;
  u64 extra;
};
constexpr u64 kClientMessageInfoOffset = 0x808;

Status deliver(Call call, UserPtr<abi::Message> into, const abi::Message& message) {
  VITRINE_TRY(into.write(call.space(), message));
  return call.space().write_value(call.thread->teb + kClientMessageInfoOffset,
                                  ClientMessageInfo{message.time, 0, 0, 0});
}

Value post_thread_message(Call call, u32 thread_id, u32 message, u64 wparam, u64 lparam) {
  MessageQueue* const queue = subsystem(call).queue_of(thread_id);
  if (queue == nullptr) return fail(call, error::kInvalidThreadId);
  return queue->post(message, wparam, lparam) ? kTrue : fail(call, error::kNotEnoughQuota);
}

// Without a window it is a message to the thread itself.
Value post_message(Call call, u64 window, u32 message, u64 wparam, u64 lparam) {
  if (window != 0) return fail(call, error::kInvalidWindowHandle);
  return own_queue(call).post(message, wparam, lparam) ? kTrue : fail(call, error::kNotEnoughQuota);
}

Value peek_message(Call call, UserPtr<abi::Message> into, u64 window, u32 first, u32 last, u32 flags) {
  if (!is_windowless(window)) return fail(call, error::kInvalidWindowHandle);
  MessageQueue& queue = own_queue(call);
  const MessageFilter filter = make_filter(first, last, flags >> abi::peek::kStatusShift);
  const auto message = queue.next(filter, false);
  if (!message) return kFalse;
  if (!is_success(deliver(call, into, *message))) return fail(call, error::kNoAccess);
  // Taken out only once the program has it.
  if ((flags & abi::peek::kRemove) != 0) (void)queue.next(filter, true);
  return kTrue;
}

// Hands a message out and takes it from the queue, in this order: a program that gave a bad address loses nothing.
// 0 for WM_QUIT, which ends the program's loop; -1 for an error.
Value take(Call call, MessageQueue& queue, UserPtr<abi::Message> into, const MessageFilter& filter,
           const abi::Message& message) {
  if (!is_success(deliver(call, into, message))) {
    (void)fail(call, error::kNoAccess);
    return kGetMessageError;
  }
  (void)queue.next(filter, true);
  return message.message == abi::kWmQuit ? kFalse : kTrue;
}

Task<Status> wait_for_message(Call call, UserPtr<abi::Message> into, MessageFilter filter) {
  MessageQueue& queue = own_queue(call);
  for (;;) {
    ke::DispatcherHeader& event = queue.begin_wait(filter.status, false);
    const Status status = co_await call->kernel.wait_single(
        &call.thread->tcb, &event, {ke::WaitReason::wr_user_request, ke::Mode::user, false, std::nullopt});
    queue.end_wait();
    if (status != Status::success) co_return status;  // the thread is ending
    const auto message = queue.next(filter, false);
    if (message) co_return take(call, queue, into, filter, *message);
  }
}

Outcome get_message(Call call, UserPtr<abi::Message> into, u64 window, u32 first, u32 last) {
  if (!is_windowless(window)) {
    (void)fail(call, error::kInvalidWindowHandle);
    return kGetMessageError;
  }
  const MessageFilter filter = make_filter(first, last, 0);
  MessageQueue& queue = own_queue(call);
  const auto message = queue.next(filter, false);
  if (message) return take(call, queue, into, filter, *message);
  return wait_for_message(call, into, filter);
}

// No window, so no window procedure: a message of the thread's own is dispatched to nobody. user32 calls a timer's
// procedure by itself.
Value dispatch_message(Call, UserPtr<abi::Message>) { return kFalse; }

// What user32 calls a procedure with: filled here, then used there [seen in Wine 8.0's user32, struct win_proc_params].
struct ProcedureCall {
  Va function;  // user32's, in
  u64 window;
  u32 message, padding;
  u64 wparam, lparam;
  Va result;    // user32's, in
  u32 narrow_caller, narrow_procedure, needs_unpack, mapping;
  u64 dpi_awareness;
  Va narrow_function, wide_function;
};
static_assert(sizeof(ProcedureCall) == 88);

// NT: many calls in one, told apart by a number. Without windows one is left: CallWindowProc, which a timer's procedure is
// called by. A plain function takes text as its caller has it.
Value message_call(Call call, u64 window, u32 message, u64 wparam, u64 lparam, UserPtr<ProcedureCall> into, u32 kind, bool narrow) {
  constexpr u32 kCallWindowProcedure = 0x2AB, kMapping = 5;  // WMCHAR_MAP_CALLWINDOWPROC
  if (kind != kCallWindowProcedure) return fail(call, error::kCallNotImplemented);
  auto procedure = into.read(call.space());
  if (!procedure) return fail(call, error::kNoAccess);
  const Va function = procedure->function, result = procedure->result;
  *procedure = {.function = function, .window = window, .message = message, .padding = 0, .wparam = wparam, .lparam = lparam,
                .result = result, .narrow_caller = narrow, .narrow_procedure = narrow, .needs_unpack = 0, .mapping = kMapping,
                .dpi_awareness = 0, .narrow_function = function, .wide_function = function};
  return is_success(into.write(call.space(), *procedure)) ? kTrue : fail(call, error::kNoAccess);
}

// Only key strokes are translated, and there are none.
Value translate_message(Call, UserPtr<abi::Message>, u32) { return kFalse; }

Value get_queue_status(Call call, u32 flags) {
  if ((flags & ~qs::kValid) != 0) return fail(call, error::kInvalidFlags);
  return value(own_queue(call).take_status(flags));
}

Value set_timer(Call call, u64 window, u64 id, u32 period, Buffer procedure, u32) {
  if (window != 0) return fail(call, error::kInvalidWindowHandle);
  const u64 made = own_queue(call).set_timer(id, period, procedure.address);
  return made != 0 ? value(static_cast<u32>(made)) : fail(call, error::kNotEnoughQuota);
}

Value kill_timer(Call call, u64 window, u64 id) {
  if (window != 0) return fail(call, error::kInvalidWindowHandle);
  return own_queue(call).kill_timer(id) ? kTrue : fail(call, error::kInvalidParameter);
}

constexpr std::string_view kNoWindows = "there are no windows";

}  // namespace

std::span<const nt::Service> message_services() {
  using enum nt::SupportLevel;
  using nt::service;
  static constexpr std::array table{
      service<&post_thread_message>("NtUserPostThreadMessage", complete, "thread, message, wparam, lparam"),
      service<&post_message>("NtUserPostMessage", partial, "window, message, wparam, lparam", kNoWindows),
      service<&peek_message>("NtUserPeekMessage", partial, "message, window, first, last, flags", kNoWindows),
      service<&get_message>("NtUserGetMessage", partial, "message, window, first, last", kNoWindows),
      service<&dispatch_message>("NtUserDispatchMessage", partial, "message", kNoWindows),
      service<&translate_message>("NtUserTranslateMessage", partial, "message, flags",
                                        "there is no keyboard input"),
      service<&message_call>("NtUserMessageCall", partial, "window, message, wparam, lparam, result, kind, narrow",
                                   "CallWindowProc alone: there are no windows"),
      service<&get_queue_status>("NtUserGetQueueStatus", complete, "flags"),
      service<&set_timer>("NtUserSetTimer", partial, "window, id, period, procedure, tolerance", kNoWindows),
      service<&kill_timer>("NtUserKillTimer", partial, "window, id", kNoWindows),
  };
  return table;
}

}  // namespace vitrine::win32k
