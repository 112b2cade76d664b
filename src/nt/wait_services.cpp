// Waiting: for objects, for time, for an alert, and the keyed rendezvous. A wait that ends at once takes no coroutine
// frame; one that blocks holds its objects by reference in the frame. [facts 7.3, 7.6]
#include <array>

#include "abi/object_constants.h"
#include "nt/capture.h"
#include "nt/families.h"
#include "nt/waitable.h"

namespace vitrine::nt {
namespace {

ke::WaitParameters user_wait(ke::WaitReason reason, bool alertable, std::optional<Ticks> timeout) {
  return {.reason = reason, .mode = ke::Mode::user, .alertable = alertable, .timeout = timeout};
}

Task<Status> wait_for_one(Call call, Waitable target, ke::WaitParameters parameters) {
  co_return co_await call->kernel.wait_single(&call.thread->tcb, target.header, parameters);
}

Outcome nt_wait_for_single_object(Call call, Handle handle, bool alertable, UserPtr<i64> timeout) {
  const auto limit = capture_timeout(call, timeout);
  if (!limit) return limit.error();
  auto target = reference_waitable(call, handle);
  if (!target) return target.error();
  const ke::WaitParameters parameters = user_wait(ke::WaitReason::user_request, alertable, *limit);
  if (const auto status = call->kernel.try_wait_single(call.thread->tcb, *target->header, parameters)) return *status;
  return wait_for_one(call, std::move(*target), parameters);
}

Task<Status> wait_for_many(Call call, WaitList list, ke::WaitType type, ke::WaitParameters parameters) {
  co_return co_await call->kernel.wait_multiple(&call.thread->tcb, list.headers, type, parameters);
}

Outcome nt_wait_for_multiple_objects(Call call, u32 count, UserPtr<Handle> handles, bool wait_any, bool alertable,
                                     UserPtr<i64> timeout) {
  if (count == 0 || count > ke::kMaximumWaitObjects) return Status::invalid_parameter_1;
  const auto limit = capture_timeout(call, timeout);
  if (!limit) return limit.error();
  auto list = capture_wait_list(call, handles, count);
  if (!list) return list.error();
  const ke::WaitType type = wait_any ? ke::WaitType::any : ke::WaitType::all;
  const ke::WaitParameters parameters = user_wait(ke::WaitReason::user_request, alertable, *limit);
  if (const auto status = call->kernel.try_wait_multiple(call.thread->tcb, list->headers, type, parameters))
    return *status;
  return wait_for_many(call, std::move(*list), type, parameters);
}

// The object that a SignalAndWait signals: event, semaphore or mutant. NT checks the type before the right.
// Errors: invalid_handle, object_type_mismatch, access_denied.
Result<Waitable> reference_signal(Call call, Handle handle) {
  ob::HandleInformation information{};
  auto object = call.process().handles->reference(handle, nullptr, 0, se::Mode::user, &information);
  if (!object) return Failure(object.error());
  const ob::ObjectType* type = &(*object)->type();
  u32 needed = 0;
  if (type == &call->sync.event()) {
    needed = abi::event_access::kModifyState;
  } else if (type == &call->sync.semaphore()) {
    needed = abi::semaphore_access::kModifyState;
  } else if (type != &call->sync.mutant()) {
    return Failure(Status::object_type_mismatch);
  }
  if ((information.granted_access & needed) != needed) return Failure(Status::access_denied);
  ke::DispatcherHeader* header = ob::dispatcher_header(**object);
  return Waitable{std::move(*object), header};
}

Task<Status> signal_and_wait(Call call, Waitable signal, Waitable target, ke::WaitParameters parameters) {
  co_return co_await call->kernel.signal_and_wait(&call.thread->tcb, signal.header, target.header, parameters);
}

Outcome nt_signal_and_wait_for_single_object(Call call, Handle signal_handle, Handle wait_handle, bool alertable,
                                             UserPtr<i64> timeout) {
  const auto limit = capture_timeout(call, timeout);
  if (!limit) return limit.error();
  auto signal = reference_signal(call, signal_handle);
  if (!signal) return signal.error();
  auto target = reference_waitable(call, wait_handle);
  if (!target) return target.error();
  return signal_and_wait(call, std::move(*signal), std::move(*target),
                         user_wait(ke::WaitReason::user_request, alertable, *limit));
}

Task<Status> delay(Call call, ke::WaitParameters parameters) {
  co_return co_await call->kernel.delay_execution(&call.thread->tcb, parameters);
}

Outcome nt_delay_execution(Call call, bool alertable, UserPtr<i64> interval) {
  const auto limit = capture_timeout(call, interval);  // winpthreads passes none for "for ever"
  if (!limit) return limit.error();
  return delay(call, user_wait(ke::WaitReason::delay_execution, alertable, *limit));
}

Status nt_yield_execution(Call call) { return call->kernel.yield_execution(call.thread->tcb); }

Status nt_test_alert(Call call) { return call->kernel.test_alert(call.thread->tcb, ke::Mode::user); }

Task<Status> wait_for_alert(Call call, Va address, std::optional<Ticks> timeout) {
  co_return co_await call->kernel.wait_for_alert_by_id(&call.thread->tcb, address, timeout);
}

Outcome nt_wait_for_alert_by_thread_id(Call call, Buffer address, UserPtr<i64> timeout) {
  const auto limit = capture_timeout(call, timeout);
  if (!limit) return limit.error();
  if (const auto status = call->kernel.try_wait_for_alert_by_id(call.thread->tcb, *limit)) return *status;
  return wait_for_alert(call, address.address, *limit);
}

Status nt_alert_thread_by_thread_id(Call call, u64 thread_id) {
  const ob::Ref<ps::Thread> thread = call->processes.find_thread(thread_id);
  if (!thread) return Status::invalid_cid;
  // NT 6.2: an id of another process is refused; only one's own threads wait on one's own addresses.
  if (thread->process != call.thread->process) return Status::access_denied;
  call->kernel.alert_thread_by_id(thread->tcb);
  return Status::success;
}

// A null handle names the event that the system keeps for critical sections that found no memory for one of their own.
// NT makes it at boot; here the first caller does. [WI6 ch. 3 "Keyed Events"]
constexpr std::u16string_view kSystemKeyedEvent = u"\\KernelObjects\\CritSecOutOfMemoryEvent";

Result<ob::Ref<ob::KeyedEventObject>> system_keyed_event(Call call) {
  const ob::ObjectType& type = call->sync.keyed_event();
  auto found = call->objects.lookup(
      {.name = kSystemKeyedEvent, .attributes = abi::obj::kCaseInsensitive, .type = &type, .access = {}});
  if (found) return ob::ref_cast<ob::KeyedEventObject>(std::move(*found));
  ob::CreateRequest request;
  request.attributes.name = kSystemKeyedEvent;
  request.attributes.attributes = abi::obj::kCaseInsensitive | abi::obj::kPermanent;
  request.kernel_object = true;
  auto event = call->sync.create_keyed_event(request);
  if (!event) return event;
  const auto inserted = call->objects.insert(*event, request.attributes, {});
  if (!inserted) return Failure(inserted.error());
  call->objects.make_permanent(**event);
  return event;
}

Result<ob::Ref<ob::KeyedEventObject>> reference_keyed_event(Call call, Handle handle, u32 access) {
  if (handle.value == 0) return system_keyed_event(call);
  return reference<ob::KeyedEventObject>(call, handle, call->sync.keyed_event(), access);
}

enum class KeyedSide : u8 { wait, release };

Task<Status> meet(Call call, ob::Ref<ob::KeyedEventObject> event, u64 key, KeyedSide side,
                  ke::WaitParameters parameters) {
  ke::Thread* thread = &call.thread->tcb;
  if (side == KeyedSide::wait) co_return co_await call->kernel.wait_keyed_event(thread, &event->event, key, parameters);
  co_return co_await call->kernel.release_keyed_event(thread, &event->event, key, parameters);
}

Outcome begin_meeting(Call call, Handle handle, u64 key, bool alertable, UserPtr<i64> timeout, KeyedSide side) {
  if ((key & 1) != 0) return Status::invalid_parameter_1;
  const auto limit = capture_timeout(call, timeout);
  if (!limit) return limit.error();
  const u32 access = side == KeyedSide::wait ? abi::keyed_event_access::kWait : abi::keyed_event_access::kWake;
  auto event = reference_keyed_event(call, handle, access);
  if (!event) return event.error();
  return meet(call, std::move(*event), key, side, user_wait(ke::WaitReason::wr_keyed_event, alertable, *limit));
}

Outcome nt_wait_for_keyed_event(Call call, Handle handle, u64 key, bool alertable, UserPtr<i64> timeout) {
  return begin_meeting(call, handle, key, alertable, timeout, KeyedSide::wait);
}
Outcome nt_release_keyed_event(Call call, Handle handle, u64 key, bool alertable, UserPtr<i64> timeout) {
  return begin_meeting(call, handle, key, alertable, timeout, KeyedSide::release);
}

}  // namespace

std::span<const Service> wait_services() {
  using enum SupportLevel;
  static constexpr std::array table{
      service<&nt_wait_for_single_object>("NtWaitForSingleObject", complete, "handle, alertable, timeout"),
      service<&nt_wait_for_multiple_objects>("NtWaitForMultipleObjects", complete,
                                             "count, handles, any, alertable, timeout"),
      service<&nt_signal_and_wait_for_single_object>("NtSignalAndWaitForSingleObject", complete,
                                                     "signal, wait, alertable, timeout"),
      service<&nt_delay_execution>("NtDelayExecution", complete, "alertable, interval"),
      service<&nt_yield_execution>("NtYieldExecution", complete, ""),
      service<&nt_test_alert>("NtTestAlert", complete, ""),
      service<&nt_wait_for_alert_by_thread_id>("NtWaitForAlertByThreadId", complete, "address, timeout"),
      service<&nt_alert_thread_by_thread_id>("NtAlertThreadByThreadId", complete, "thread id"),
      service<&nt_wait_for_keyed_event>("NtWaitForKeyedEvent", complete, "handle, key, alertable, timeout"),
      service<&nt_release_keyed_event>("NtReleaseKeyedEvent", complete, "handle, key, alertable, timeout"),
  };
  return table;
}

}  // namespace vitrine::nt
