// Worker factories: the kernel's half of thread pools. Arguments and structures as winternl declares them for NT 6.2 and later.
// [WI6p1 ch.5 "Worker Factories (Thread Pools)"]
#include <algorithm>
#include <array>

#include "nt/capture.h"
#include "nt/completion_records.h"
#include "nt/executive_state.h"
#include "nt/families.h"
#include "nt/new_object.h"
#include "ps/access.h"

namespace vitrine::nt {
namespace {

namespace access_right = ps::worker_factory_access;
constexpr u32 kModifyPort = 2;

enum class FactoryClass : u32 {  // WORKERFACTORYINFOCLASS
  timeout = 0, retry_timeout = 1, idle_timeout = 2, binding_count = 3, thread_minimum = 4, thread_maximum = 5, paused = 6,
  basic = 7, stack = 10,
};

struct BasicInformation {  // WORKER_FACTORY_BASIC_INFORMATION
  i64 timeout, retry_timeout, idle_timeout;
  u8 paused, timer_set, queued_to_worker, may_create, create_in_progress, inserted_into_queue, shut_down, padding;
  u32 binding_count, minimum, maximum, pending_workers, waiting_workers, total_workers, release_count, padding2;
  i64 infinite_wait_goal;
  u64 start_routine, start_parameter, process_id, stack_reserve, stack_commit;
  u32 last_creation_status, padding3;
};
static_assert(sizeof(BasicInformation) == 0x78);

struct StackInformation {
  u64 reserve, commit;
};

ps::WorkerFactories& factories(Call call) { return *call->state->worker_factories; }

Result<ob::Ref<ps::WorkerFactoryObject>> reference_factory(Call call, Handle handle, u32 access) {
  return reference<ps::WorkerFactoryObject>(call, handle, factories(call).type(), access);
}

Status nt_create_worker_factory(Call call, UserPtr<Handle> handle, u32 access, UserPtr<ObjectAttributes> attributes, Handle port_handle,
                                Handle process_handle, Va start_routine, Va start_parameter, u32 maximum, u64 stack_reserve,
                                u64 stack_commit) {
  VITRINE_TRY(call.space().probe(handle.address, sizeof(Handle), 1, true));
  const auto captured = capture_attributes(call, attributes);
  if (!captured) return captured.error();
  auto port = reference<io::IoCompletionObject>(call, port_handle, call->io.completion_type(), kModifyPort);
  if (!port) return port.error();
  auto process = reference_process(call, process_handle, ps::process_access::kCreateThread);
  if (!process) return process.error();
  if ((*process)->space == nullptr) return Status::invalid_handle;  // System
  auto factory = factories(call).create(
      request_for(call, *captured),
      {std::move(*port), std::move(*process), start_routine, start_parameter, maximum, stack_reserve, stack_commit});
  if (!factory) return factory.error();
  return insert_and_return(call, std::move(*factory), *captured, access, handle);
}

BasicInformation basic_information(const ps::WorkerFactoryObject& f) {
  BasicInformation b{};
  b.timeout = f.timeout.value;
  b.retry_timeout = f.retry_timeout.value;
  b.idle_timeout = f.idle_timeout.value;
  b.paused = f.paused ? 1 : 0;
  b.may_create = !f.paused && !f.shut_down && f.total < f.with.maximum ? 1 : 0;
  b.create_in_progress = f.starting > 0 ? 1 : 0;
  b.shut_down = f.shut_down ? 1 : 0;
  b.binding_count = f.binding_count;
  b.minimum = f.minimum;
  b.maximum = f.with.maximum;
  b.pending_workers = f.starting;
  b.waiting_workers = static_cast<u32>(f.waiting.size());
  b.total_workers = f.total;
  b.release_count = f.released;
  b.start_routine = f.with.start_routine;
  b.start_parameter = f.with.start_parameter;
  b.process_id = f.with.process->id;
  b.stack_reserve = f.with.stack_reserve;
  b.stack_commit = f.with.stack_commit;
  b.last_creation_status = static_cast<u32>(f.last_creation);
  return b;
}

Status nt_query_information_worker_factory(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length,
                                           UserPtr<u32> return_length) {
  const auto which = static_cast<FactoryClass>(information_class);
  if (which != FactoryClass::basic && which != FactoryClass::timeout && which != FactoryClass::retry_timeout) {
    return Status::invalid_info_class;
  }
  const auto factory = reference_factory(call, handle, access_right::kQueryInformation);
  if (!factory) return factory.error();
  if (which == FactoryClass::timeout) return return_value(call, buffer, length, (*factory)->timeout.value, return_length);
  if (which == FactoryClass::retry_timeout) return return_value(call, buffer, length, (*factory)->retry_timeout.value, return_length);
  return return_value(call, buffer, length, basic_information(**factory), return_length);
}

Status set_time(Call call, Buffer buffer, u32 length, Ticks& time) {
  const auto value = capture_value<i64>(call, buffer, length);
  if (!value) return value.error();
  if (*value > 0) return Status::invalid_parameter;  // an interval, so negative. Assumed
  time = Ticks{*value};
  return Status::success;
}

Status set_number(Call call, ps::WorkerFactoryObject& factory, FactoryClass which, u32 value) {
  switch (which) {
    case FactoryClass::thread_minimum:
      return factories(call).set_limits(factory, value, factory.with.maximum);
    case FactoryClass::thread_maximum:
      return factories(call).set_limits(factory, factory.minimum, value);
    case FactoryClass::paused:
      factories(call).set_paused(factory, value != 0);
      return Status::success;
    default:
      factories(call).set_binding_count(factory, value);
      return Status::success;
  }
}

Status nt_set_information_worker_factory(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length) {
  const auto which = static_cast<FactoryClass>(information_class);
  const bool known = which <= FactoryClass::paused || which == FactoryClass::stack;
  if (!known) return Status::invalid_info_class;
  const auto factory = reference_factory(call, handle, access_right::kSetInformation);
  if (!factory) return factory.error();
  switch (which) {
    case FactoryClass::timeout:
      return set_time(call, buffer, length, (*factory)->timeout);
    case FactoryClass::retry_timeout:
      return set_time(call, buffer, length, (*factory)->retry_timeout);
    case FactoryClass::idle_timeout:
      return set_time(call, buffer, length, (*factory)->idle_timeout);
    case FactoryClass::stack: {
      const auto value = capture_value<StackInformation>(call, buffer, length);
      if (!value) return value.error();
      (*factory)->with.stack_reserve = value->reserve;
      (*factory)->with.stack_commit = value->commit;
      return Status::success;
    }
    default: {
      const auto value = capture_value<u32>(call, buffer, length);
      return value ? set_number(call, **factory, which, *value) : value.error();
    }
  }
}

Status nt_shutdown_worker_factory(Call call, Handle handle, UserPtr<u32> remaining) {
  VITRINE_TRY(call.space().probe(remaining.address, sizeof(u32), 1, true));
  const auto factory = reference_factory(call, handle, access_right::kShutdown);
  if (!factory) return factory.error();
  return remaining.write(call.space(), factories(call).shut_down(**factory));
}

Status nt_release_worker_factory_worker(Call call, Handle handle) {
  const auto factory = reference_factory(call, handle, access_right::kReleaseWorker);
  if (!factory) return factory.error();
  return factories(call).release_worker(**factory);
}

Status nt_worker_factory_worker_ready(Call call, Handle handle) {
  const auto factory = reference_factory(call, handle, access_right::kReadyWorker);
  if (!factory) return factory.error();
  return factories(call).worker_ready(*call.thread, **factory);
}

Task<Status> wait_for_work(Call call, ob::Ref<ps::WorkerFactoryObject> factory, UserPtr<FileIoCompletionInformation> packets, u32 capacity,
                           UserPtr<u32> returned) {
  const auto records = std::make_unique<io::CompletionRecord[]>(capacity);
  u32 removed = 0;
  const Status status = co_await factories(call).wait_for_work(call.thread, std::move(factory), records.get(), capacity, &removed);
  for (u32 i = 0; i < removed; ++i) {
    const Status written = packets.element(i).write(call.space(), completion_information(records[i]));
    if (!is_success(written)) co_return written;
  }
  if (const Status written = returned.write(call.space(), removed); !is_success(written)) co_return written;
  co_return status;
}

Outcome nt_wait_for_work_via_worker_factory(Call call, Handle handle, UserPtr<FileIoCompletionInformation> packets, u32 count,
                                            UserPtr<u32> returned, Buffer deferred_work) {
  if (count == 0) return Status::invalid_parameter;
  if (deferred_work) return Status::not_supported;
  const u32 capacity = std::min(count, kMaximumRemoved);
  const Status probed = call.space().probe(packets.address, u64{capacity} * sizeof(FileIoCompletionInformation), 1, true);
  if (!is_success(probed)) return probed;
  if (const Status s = call.space().probe(returned.address, sizeof(u32), 1, true); !is_success(s)) return s;
  auto factory = reference_factory(call, handle, access_right::kWait);
  if (!factory) return factory.error();
  return wait_for_work(call, std::move(*factory), packets, capacity, returned);
}

using enum SupportLevel;
constexpr Service kServices[] = {
    service<&nt_create_worker_factory>(
        "NtCreateWorkerFactory", complete,
        "factory, access, attributes, port, process, start routine, start parameter, maximum, stack reserve, stack commit"),
    service<&nt_query_information_worker_factory>("NtQueryInformationWorkerFactory", complete,
                                                  "factory, class, buffer, length, return_length"),
    service<&nt_set_information_worker_factory>(
        "NtSetInformationWorkerFactory", partial, "factory, class, buffer, length",
        "not the classes that adjust the thread goal, the callback type, base priorities, waiters' time-outs and soft limits"),
    service<&nt_shutdown_worker_factory>("NtShutdownWorkerFactory", complete, "factory, remaining"),
    service<&nt_release_worker_factory_worker>("NtReleaseWorkerFactoryWorker", complete, "factory"),
    service<&nt_worker_factory_worker_ready>("NtWorkerFactoryWorkerReady", complete, "factory"),
    service<&nt_wait_for_work_via_worker_factory>("NtWaitForWorkViaWorkerFactory", partial,
                                                  "factory, packets, count, returned, deferred_work",
                                                  "no deferred sends on ALPC ports"),
};

}  // namespace

std::span<const Service> worker_factory_services() { return kServices; }

}  // namespace vitrine::nt
