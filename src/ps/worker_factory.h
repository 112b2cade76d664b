// WorkerFactoryObject (NT 6.0: TpWorkerFactory): the kernel's half of a thread pool. Work is queued to a completion port that
// the pool has made; the factory sees to it that as many threads serve the port as its concurrency allows: it creates one when
// work lies there, another thread might run, and none waits [WI6p1 ch.5 "Worker Factories (Thread Pools)"]. Which thread runs
// when is the port's business (ke::Queue).
//
// WorkerFactories owns the type, the records of which thread works for which factory, and the system thread that creates
// workers on behalf of packets and of workers that block (NT: ExpWorkerFactoryManagerThread). A factory keeps its port and
// its process alive. It refuses to know about handles and guest memory (nt does).
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "io/io_manager.h"
#include "ps/process_manager.h"

namespace vitrine::ps {

class WorkerFactories;

// NT: the rights of a TpWorkerFactory handle [winternl].
namespace worker_factory_access {
inline constexpr u32 kReleaseWorker = 1, kWait = 2, kSetInformation = 4, kQueryInformation = 8, kReadyWorker = 0x10, kShutdown = 0x20;
inline constexpr u32 kAll = 0xF'003F;
}  // namespace worker_factory_access

struct WorkerFactoryParameters {
  ob::Ref<io::IoCompletionObject> port;
  ob::Ref<Process> process;  // in which workers are created
  Va start_routine = 0;
  Va start_parameter = 0;
  u32 maximum = 0;
  u64 stack_reserve = 0, stack_commit = 0;
};

struct WorkerFactoryObject : ob::Object {
  WorkerFactoryObject(WorkerFactories& owner_, WorkerFactoryParameters parameters);
  WorkerFactories& owner;
  WorkerFactoryParameters with;
  // 100 ns, relative. A worker that has waited this long ends, unless the minimum needs it [WI6p1 ch.5: 10 seconds by default].
  Ticks timeout{-100'000'000};
  Ticks retry_timeout{0}, idle_timeout{0};  // kept for queries: the pool's own business
  u32 minimum = 0;
  u32 binding_count = 0;  // things bound to the port that may bring work by themselves
  bool paused = false;
  bool shut_down = false;
  u32 released = 0;       // calls of release whose packet nobody has taken yet
  u32 starting = 0;       // created, but not ready yet
  u32 total = 0;          // created and not ended
  std::vector<Thread*> waiting;  // in the wait call, in order of arrival
  Status last_creation = Status::success;
  ke::Dpc unattended;     // of the port's queue
};

class WorkerFactories {
 public:
  struct Dependencies {
    ke::Kernel& kernel;
    ob::ObjectManager& objects;
    io::IoManager& io;
    ProcessManager& processes;
  };
  // Registers the type and a thread notify routine. What `on` names outlives this.
  explicit WorkerFactories(const Dependencies& on);
  WorkerFactories(const WorkerFactories&) = delete;
  WorkerFactories& operator=(const WorkerFactories&) = delete;

  [[nodiscard]] ob::ObjectType& type() const { return *type_; }
  // Errors: invalid_parameter (maximum 0; the port has a factory already. Assumed), insufficient_resources, those of making a
  // thread (the manager, at the first factory).
  [[nodiscard]] Result<ob::Ref<WorkerFactoryObject>> create(const ob::CreateRequest& request, WorkerFactoryParameters parameters);
  // One worker is wanted: a packet without contents goes to the port. too_late after shutdown; quota_exceeded.
  Status release_worker(WorkerFactoryObject& factory);
  // The calling worker has begun. unsuccessful: it was not expected (Assumed). too_late after shutdown.
  Status worker_ready(const Thread& thread, WorkerFactoryObject& factory);
  // Up to `capacity` packets at `out`, as io::IoManager::remove. timeout: the worker is not needed any longer and is not counted
  // from here on; too_late: the factory has been shut down. Suspends.
  Task<Status> wait_for_work(Thread* thread, ob::Ref<WorkerFactoryObject> factory, io::CompletionRecord* out, u32 capacity, u32* removed);
  // Nothing more is created, and waiting workers come out with too_late. Returns how many workers there still are.
  u32 shut_down(WorkerFactoryObject& factory);
  // invalid_parameter: minimum above maximum, or maximum 0.
  Status set_limits(WorkerFactoryObject& factory, u32 minimum, u32 maximum);
  void set_binding_count(WorkerFactoryObject& factory, u32 count);
  void set_paused(WorkerFactoryObject& factory, bool paused);

 private:
  struct ReleasePacket;
  struct Worker {
    ob::Ref<WorkerFactoryObject> factory;
    bool ready = false;
  };
  Task<Status> manage(ke::Thread* thread);
  void create_missing(WorkerFactoryObject& factory);
  [[nodiscard]] bool wants_worker(const WorkerFactoryObject& factory) const;
  bool create_worker(WorkerFactoryObject& factory);
  void worker_left(u32 thread_id);
  static void delete_factory(ob::Object& object);

  Dependencies on_;
  ob::ObjectType* type_ = nullptr;
  std::map<u32, Worker> workers_;                           // by thread id
  std::vector<ob::Ref<WorkerFactoryObject>> unattended_;    // for the manager
  ke::Event manager_event_{ke::EventKind::synchronization};
  bool manager_started_ = false;
};

}  // namespace vitrine::ps
