#include "ps/worker_factory.h"

#include <algorithm>
#include <utility>

#include "ke/kernel.h"

namespace vitrine::ps {
namespace {

constexpr ke::Priority kManagerPriority = 13;  // Assumed: that of a hyper-critical system worker
constexpr ke::WaitParameters kManagerWait{ke::WaitReason::executive, ke::Mode::kernel, false, std::nullopt};
constexpr u32 kBodyBytes = 0xF8;  // Assumed

}  // namespace

// What a call of release sends to the port.
struct WorkerFactories::ReleasePacket : io::CompletionPacket {
  explicit ReleasePacket(WorkerFactoryObject& factory_) : factory(factory_) {
    release = [](io::CompletionPacket& packet) {
      auto& self = static_cast<ReleasePacket&>(packet);
      --self.factory->released;
      delete &self;
    };
  }
  ob::Ref<WorkerFactoryObject> factory;
};

WorkerFactoryObject::WorkerFactoryObject(WorkerFactories& owner_, WorkerFactoryParameters parameters)
    : owner(owner_), with(std::move(parameters)), unattended(nullptr, this) {}

WorkerFactories::WorkerFactories(const Dependencies& on) : on_(on) {
  ob::TypeTraits traits{.name = u"TpWorkerFactory", .body_bytes = kBodyBytes, .valid_access = worker_factory_access::kAll};
  using namespace worker_factory_access;
  traits.mapping = {se::access::kReadControl | kQueryInformation,
                    se::access::kReadControl | kReleaseWorker | kWait | kSetInformation | kReadyWorker | kShutdown,
                    se::access::kReadControl, kAll};
  traits.delete_object = delete_factory;
  type_ = &on_.objects.register_type(traits);
}

Result<ob::Ref<WorkerFactoryObject>> WorkerFactories::create(const ob::CreateRequest& request, WorkerFactoryParameters parameters) {
  if (parameters.maximum == 0 || parameters.port->queue.unattended != nullptr) return Failure(Status::invalid_parameter);
  if (!manager_started_) {
    const auto manager = on_.processes.create_system_thread(kManagerPriority, [this](ke::Thread* thread) { return manage(thread); });
    if (!manager) return Failure(manager.error());
    const auto notified = on_.processes.thread_notify.add([this](Thread& thread, bool created) {
      if (!created) worker_left(thread.id);
    });
    if (!notified) return Failure(notified.error());
    manager_started_ = true;
  }
  auto factory = on_.objects.create<WorkerFactoryObject>(*type_, request, *this, std::move(parameters));
  if (!factory) return factory;
  (*factory)->unattended.routine = [](ke::Kernel& kernel, ke::Dpc&, void* context) {
    auto& self = *static_cast<WorkerFactoryObject*>(context);
    self.owner.unattended_.emplace_back(self);
    kernel.set_event(self.owner.manager_event_);
  };
  (*factory)->with.port->queue.unattended = &(*factory)->unattended;
  return factory;
}

void WorkerFactories::delete_factory(ob::Object& object) {
  auto& factory = static_cast<WorkerFactoryObject&>(object);
  factory.with.port->queue.unattended = nullptr;
  (void)ke::Kernel::remove_dpc(factory.unattended);
  factory.with = {};
}

// It ends when its wait is aborted.
Task<Status> WorkerFactories::manage(ke::Thread* thread) {
  for (;;) {
    const Status status = co_await on_.kernel.wait_single(thread, &manager_event_.header, kManagerWait);
    if (status != Status::success) co_return status;
    for (const auto& factory : std::exchange(unattended_, {})) create_missing(*factory);
  }
}

// NT: "dynamic thread creation": work lies at the port, another thread might run, and none waits or is on its way. Without a
// binding only a release counts as work [WI6p1 ch.5].
bool WorkerFactories::wants_worker(const WorkerFactoryObject& factory) const {
  if (factory.paused || factory.shut_down || factory.total >= factory.with.maximum) return false;
  if (factory.total < factory.minimum) return true;
  if (factory.starting != 0 || !factory.waiting.empty()) return false;
  const ke::Queue& queue = factory.with.port->queue;
  const bool work = !queue.entries.empty() && (factory.binding_count > 0 || factory.released > 0);
  return work && queue.current_count < queue.maximum_count;
}

void WorkerFactories::create_missing(WorkerFactoryObject& factory) {
  while (wants_worker(factory)) {
    if (!create_worker(factory)) return;
  }
}

bool WorkerFactories::create_worker(WorkerFactoryObject& factory) {
  const auto thread = on_.processes.create_thread(*factory.with.process, {.start_address = factory.with.start_routine,
                                                                          .argument = factory.with.start_parameter,
                                                                          .stack_reserve = factory.with.stack_reserve,
                                                                          .stack_commit = factory.with.stack_commit});
  factory.last_creation = thread ? Status::success : thread.error();
  if (!thread) return false;
  ++factory.starting;
  ++factory.total;
  workers_.emplace((*thread)->id, Worker{ob::Ref<WorkerFactoryObject>(factory)});
  return true;
}

void WorkerFactories::worker_left(u32 thread_id) {
  const auto found = workers_.find(thread_id);
  if (found == workers_.end()) return;
  const Worker worker = std::move(found->second);
  workers_.erase(found);
  --worker.factory->total;
  if (!worker.ready) --worker.factory->starting;
  if (worker.factory->shut_down) return;
  unattended_.push_back(worker.factory);
  on_.kernel.set_event(manager_event_);
}

Status WorkerFactories::release_worker(WorkerFactoryObject& factory) {
  if (factory.shut_down) return Status::too_late;
  ke::Queue& queue = factory.with.port->queue;
  if (queue.header.signal_state >= static_cast<i32>(io::kMaximumPackets)) return Status::quota_exceeded;
  ++factory.released;
  on_.kernel.insert_queue(queue, *new ReleasePacket(factory));
  create_missing(factory);
  return Status::success;
}

Status WorkerFactories::worker_ready(const Thread& thread, WorkerFactoryObject& factory) {
  if (factory.shut_down) return Status::too_late;
  const auto found = workers_.find(thread.id);
  if (found == workers_.end() || found->second.factory.get() != &factory || std::exchange(found->second.ready, true)) {
    return Status::unsuccessful;
  }
  --factory.starting;
  return Status::success;
}

Task<Status> WorkerFactories::wait_for_work(Thread* thread, ob::Ref<WorkerFactoryObject> factory, io::CompletionRecord* out, u32 capacity,
                                            u32* removed) {
  *removed = 0;
  Status status = Status::timeout;
  for (bool needed = true; status == Status::timeout && needed;) {
    if (factory->shut_down) co_return Status::too_late;
    factory->waiting.push_back(thread);
    const i64 limit = factory->timeout.value;
    status = co_await on_.io.remove(factory->with.port, out, capacity, removed, &limit, false);
    std::erase(factory->waiting, thread);
    needed = factory->total <= factory->minimum;  // as others have ended meanwhile
  }
  if (factory->shut_down && *removed == 0) co_return Status::too_late;
  if (status == Status::timeout) worker_left(thread->id);
  create_missing(*factory);  // this one is about to be busy
  co_return status;
}

u32 WorkerFactories::shut_down(WorkerFactoryObject& factory) {
  factory.shut_down = true;
  const std::vector<Thread*> waiting = factory.waiting;
  for (Thread* thread : waiting) {
    // A suspended worker sees the packet, and the shutdown, when it is resumed.
    if (!on_.kernel.abort_wait(thread->tcb, Status::too_late)) (void)on_.io.post(*factory.with.port, 0, 0, Status::too_late, 0);
  }
  return factory.total;
}

Status WorkerFactories::set_limits(WorkerFactoryObject& factory, u32 minimum, u32 maximum) {
  if (maximum == 0 || minimum > maximum) return Status::invalid_parameter;
  factory.minimum = minimum;
  factory.with.maximum = maximum;
  create_missing(factory);
  return Status::success;
}

void WorkerFactories::set_binding_count(WorkerFactoryObject& factory, u32 count) {
  factory.binding_count = count;
  create_missing(factory);
}

void WorkerFactories::set_paused(WorkerFactoryObject& factory, bool paused) {
  factory.paused = paused;
  create_missing(factory);
}

}  // namespace vitrine::ps
