// Subsystem (CSRSS, csrss.exe with csrsrv.dll and basesrv.dll): the process that is told of each process and thread of
// the Windows subsystem. It duplicates their handles, keeps a CSR_PROCESS and a CSR_THREAD for each, and learns of
// their end by LPC_CLIENT_DIED, which it handles on a thread of its own, later than it was sent. [facts 4; seed 001]
//
// Owns the process csrss.exe, the port \Windows\ApiPort, the records and the hash table. Refuses: everything else that
// the real one does (console, shutdown, side-by-side data). Who raises its calls: nt, where kernel32 would; see
// README.md.
#pragma once

#include <map>
#include <memory>

#include "csr/heap.h"
#include "csr/thread_table.h"
#include "lpc/port.h"
#include "ps/process_manager.h"
#include "trace/recorder.h"

namespace vitrine::csr {

struct Statistics {
  u64 thread_creates = 0, process_creates = 0;  // requests that succeeded
  u64 refused = 0;                              // requests that failed
  u64 lookups = 0, visits = 0;                  // CsrLocateThreadByClientId, all of them
  u64 deaths = 0, unknown_deaths = 0;           // LPC_CLIENT_DIED handled; of threads that it does not know
  u64 lock_waits = 0, lock_wait_ns = 0;         // of its lock, in virtual time
};

// CSR_PROCESS. Few beside threads.
struct ProcessRecord {
  u32 id = 0;
  u32 first_thread = kNoRecord;
  u32 thread_count = 0;
  ex::Handle handle;           // ProcessHandle
  lpc::Connection connection;  // ClientPort
  // The server's end of a connection that the process itself made: its own code tells of its threads from then on.
  ob::Ref<lpc::PortObject> own_connection;
};

class Subsystem final : public lpc::Server {
 public:
  // All outlive it.
  struct Dependencies {
    const sim::Profile& profile;
    ke::Kernel& kernel;
    hal::Machine& machine;
    ob::ObjectManager& objects;
    ps::ProcessManager& processes;
    lpc::Ports& ports;
    trace::Recorder& trace;
  };
  // Makes csrss.exe with its worker thread. Errors: those of process and thread creation.
  [[nodiscard]] static Result<std::unique_ptr<Subsystem>> create(const Dependencies& dependencies,
                                                                 const Strategy& strategy);
  ~Subsystem() override;
  Subsystem(const Subsystem&) = delete;
  Subsystem& operator=(const Subsystem&) = delete;

  // CreateProcess's call (BasepCreateProcess), for a process and its first thread. `caller` null: the system starts it,
  // and nobody is looked up or charged. Errors: illegal_function (the caller is unknown), insufficient_resources
  // (handle table), no_memory, commitment_limit (heap), thread_is_terminating, port_disconnected. On failure nothing is
  // kept.
  [[nodiscard]] Status create_process(ps::Thread* caller, ps::Process& process, ps::Thread& first_thread);
  // CreateThread's call (BasepCreateThread). Success at once under `bypass`. Errors as above.
  [[nodiscard]] Status create_thread(ps::Thread* caller, ps::Thread& thread);
  // Whether the process is one of the subsystem's: others never call it.
  [[nodiscard]] bool serves(const ps::Process& process) const { return process.exception_port.get() == port_.get(); }
  // Whether the process makes these calls itself, by messages to the port, so that nobody may make them for it.
  [[nodiscard]] bool calls_itself(const ps::Process& process) const;
  [[nodiscard]] lpc::Ports& ports() const { return on_.ports; }

  // No more calls and messages: the machine is being taken down.
  void shut_down();
  // Whether a call was made since this was last asked: the caller has been off its processor.
  [[nodiscard]] bool take_called() { return std::exchange(called_, false); }

  [[nodiscard]] const Strategy& strategy() const { return strategy_; }
  [[nodiscard]] const Statistics& statistics() const { return statistics_; }
  [[nodiscard]] TableShape shape() const { return table_->shape(); }
  [[nodiscard]] u64 threads() const { return thread_heap_->blocks(); }
  [[nodiscard]] u64 handle_count() const { return process_->handles->count(); }
  [[nodiscard]] u64 heap_committed_pages() const;
  // CSRSS's own process, and the messages that wait for its worker.
  [[nodiscard]] const ps::Process& process() const { return *process_; }
  [[nodiscard]] u64 queued_deaths() const { return port_->queue.size(); }
  // The record of a thread, for eyes; null when there is none. Counts no visit.
  [[nodiscard]] const ThreadRecord* peek(u32 thread_id) const;

 private:
  Subsystem(const Dependencies& dependencies, const Strategy& strategy);
  [[nodiscard]] Status initialize();
  [[nodiscard]] Status start_worker();
  static Task<Status> serve(Subsystem* self, ps::Thread* thread);

  // lpc::Server
  Status connect(lpc::PortObject& port, lpc::ClientId client) override;
  Status request(lpc::PortObject& port, const lpc::Request& request) override;

  struct CreateArguments {
    ps::Process* process;
    ps::Thread* thread;
    bool with_process;
  };
  [[nodiscard]] Status call(ps::Thread* caller, CreateArguments arguments);
  [[nodiscard]] Status user_request(const lpc::Request& request);
  [[nodiscard]] Status add(const CreateArguments& arguments);
  [[nodiscard]] Result<u32> add_process(ps::Process& process);
  [[nodiscard]] Status add_thread(ps::Thread& thread, u32 process_record);
  [[nodiscard]] Status grow_table_heap();
  void handle(const lpc::Message& message);
  void client_died(const lpc::Message& message);
  void destroy_thread(u32 index);
  void destroy_process(u32 process_record);
  // CsrLocateThreadByClientId under the lock; the visits are priced.
  [[nodiscard]] u32 locate(u32 thread_id);
  void charge(const sim::Cost& cost, ke::Mode mode = ke::Mode::user);
  void record(trace::EventType type, u64 a, u64 b, u64 c);

  Dependencies on_;
  Strategy strategy_;
  ob::Ref<ps::Process> process_;
  ob::Ref<lpc::PortObject> port_;  // \Windows\ApiPort
  ThreadRecords records_;
  std::unique_ptr<ThreadTable> table_;
  std::unique_ptr<BlockHeap> thread_heap_, process_heap_, table_heap_;
  u64 table_blocks_ = 0;
  std::vector<ProcessRecord> process_records_;
  std::vector<u32> free_process_records_;
  std::map<u32, u32> process_by_id_;  // to the index of its record
  // The process-structure lock: when it was last given back, and by which processor.
  u64 lock_free_ns_ = 0;
  u32 lock_holder_ = 0;
  u64 visits_of_call_ = 0;
  bool called_ = false;
  Statistics statistics_;
};

}  // namespace vitrine::csr
