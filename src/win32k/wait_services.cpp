// Waiting for messages, alone or together with objects. [Microsoft: MsgWaitForMultipleObjectsEx, WaitMessage]
#include "nt/waitable.h"
#include "win32k/services.h"
#include "win32k/subsystem.h"

namespace vitrine::win32k {
namespace {

using nt::Call;
using nt::Handle;
using nt::Outcome;
using nt::UserPtr;
using nt::WaitList;
namespace error = abi::win32_error;
namespace flag = abi::message_wait;

constexpr Value kWaitFailed = static_cast<Value>(~0u);
constexpr u32 kInfinite = ~0u;
constexpr i64 kTicksPerMillisecond = 10'000;
// The queue's event is the last one.
constexpr u32 kMaximumHandles = ke::kMaximumWaitObjects - 1;

Value wait_failed(Call call, u32 win32_error) {
  (void)fail(call, win32_error);
  return kWaitFailed;
}

Value wait_result(Call call, Status status) {
  own_queue(call).end_wait();
  // An object twice in a wait for all.
  return is_success(status) ? status : wait_failed(call, error::kInvalidParameter);
}

Task<Status> wait_for_many(Call call, WaitList list, ke::WaitType type, ke::WaitParameters parameters) {
  co_return wait_result(call, co_await call->kernel.wait_multiple(&call.thread->tcb, list.headers, type, parameters));
}

Outcome wait_for_input(Call call, WaitList list, u32 bits, u32 flags, std::optional<Ticks> timeout) {
  list.headers.push_back(&own_queue(call).begin_wait(bits, (flags & flag::kInputAvailable) != 0));
  const ke::WaitType type = (flags & flag::kWaitAll) != 0 ? ke::WaitType::all : ke::WaitType::any;
  const ke::WaitParameters parameters{ke::WaitReason::wr_user_request, ke::Mode::user, (flags & flag::kAlertable) != 0,
                                      timeout};
  if (const auto status = call->kernel.try_wait_multiple(call.thread->tcb, list.headers, type, parameters)) {
    return wait_result(call, *status);
  }
  return wait_for_many(call, std::move(list), type, parameters);
}

Outcome msg_wait_for_multiple_objects(Call call, u32 count, UserPtr<Handle> handles, u32 milliseconds, u32 bits,
                                      u32 flags) {
  if (count > kMaximumHandles || (flags & ~flag::kValid) != 0) return wait_failed(call, error::kInvalidParameter);
  auto list = nt::capture_wait_list(call, handles, count);
  if (!list) {
    const Status status = list.error();
    return wait_failed(call, status == Status::access_violation ? error::kNoAccess : error::kInvalidHandle);
  }
  std::optional<Ticks> timeout;
  if (milliseconds != kInfinite) timeout = Ticks{-static_cast<i64>(milliseconds) * kTicksPerMillisecond};
  return wait_for_input(call, std::move(*list), bits, flags, timeout);
}

Task<Status> as_boolean(Task<Status> wait) { co_return co_await std::move(wait) == Status::success ? kTrue : kFalse; }

Outcome wait_message(Call call) {
  Outcome outcome = wait_for_input(call, {}, abi::queue_status::kAllInput, 0, std::nullopt);
  if (outcome.suspends()) return as_boolean(outcome.take_task());
  return outcome.status() == Status::success ? kTrue : kFalse;
}

}  // namespace

std::span<const nt::Service> wait_services() {
  using enum nt::SupportLevel;
  static constexpr std::array table{
      nt::service<&msg_wait_for_multiple_objects>("NtUserMsgWaitForMultipleObjectsEx", complete,
                                                        "count, handles, milliseconds, wake mask, flags"),
      nt::service<&wait_message>("NtUserWaitMessage", complete, ""),
  };
  return table;
}

}  // namespace vitrine::win32k
