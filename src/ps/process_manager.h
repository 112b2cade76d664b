// ProcessManager: birth and death of processes and threads, their ids, and the notify routines.
//
// Owns the id table (PspCidTable), the active process list, the reaper list, and the types Process, Thread and Token. It does
// not decide what a new process finds in its address space (ldr does) nor what a service call looks like (nt does).
#pragma once

#include <functional>
#include <memory>

#include "ex/callback.h"
#include "ex/handle_table.h"
#include "ke/kernel.h"
#include "mm/memory_manager.h"
#include "ob/object_manager.h"
#include "ps/process.h"
#include "ps/thread.h"
#include "sim/random.h"
#include "trace/recorder.h"

namespace vitrine::ps {

class JobManager;

struct ProcessParameters {
  Process* parent = nullptr;           // null for the first one
  bool inherit_handles = false;
  std::u16string image_path;
  PriorityClass priority_class = PriorityClass::normal;
  u32 session_id = 1;
  const se::TokenData* token = nullptr;  // null: a copy of the parent's
};

struct ThreadParameters {
  Va start_address = 0;                // user-mode start routine
  Va argument = 0;
  u64 stack_reserve = 0;               // bytes; 0: the main image's
  u64 stack_commit = 0;
  bool suspended = false;
  u16 flags = 0;                       // cross_thread_flags
  std::optional<ke::Priority> base_priority = std::nullopt;  // absent: the process's
};
// What a thread of the System process does; the Task ends with its exit status.
using SystemRoutine = std::function<Task<Status>(ke::Thread*)>;

struct ProcessCounts {
  u64 processes_created = 0, threads_created = 0;
  u64 threads = 0, peak_threads = 0;  // alive: born and not yet exited; system threads are not counted
};

class ProcessManager final : public ob::CurrentContext, public mm::PageInitializer {
 public:
  // All outlive it.
  struct Dependencies {
    const sim::Profile& profile;
    ke::Kernel& kernel;
    hal::Machine& machine;
    ob::ObjectManager& objects;
    mm::MemoryManager& memory;
    ex::Pool& pool;
    trace::Recorder& trace;
    u64 seed;
    // 64-bit processes have the profile's user addresses, not those that current Windows gives them.
    bool profile_user_range = false;
  };
  [[nodiscard]] static Result<std::unique_ptr<ProcessManager>> create(const Dependencies& dependencies);
  ~ProcessManager() override;

  // An empty shell: object, id, token, handle table (inherited or empty), address space. No thread, no image.
  // Errors: insufficient_resources, no_memory, quota_exceeded, process_is_terminating (the parent).
  [[nodiscard]] Result<ob::Ref<Process>> create_process(const ProcessParameters& parameters);

  // PspCreateThread [facts 5.11]: object, id, user stack, TEB, kernel stack, notify routines; readied at the end (a suspended one too: its
  // suspend APC runs first thing). Costs no frame and no registers until it first runs.
  // Errors: process_is_terminating, insufficient_resources (id), no_memory (stack, TEB), commitment_limit.
  [[nodiscard]] Result<ob::Ref<Thread>> create_thread(Process& process, const ThreadParameters& parameters);

  // PsCreateSystemThread: a thread of the System process that never sees user mode. Errors as for create_thread.
  [[nodiscard]] Result<ob::Ref<Thread>> create_system_thread(ke::Priority base_priority, const SystemRoutine& routine);
  // Its turn on a processor: goes on with its routine, and exits with it.
  void run_system_thread(Thread& thread);

  // First entry of a thread into user mode [facts 5.12]: makes its registers and writes the CONTEXT with which LdrInitializeThunk
  // starts it. Error: what writing to its stack gives (the thread then ends with it).
  [[nodiscard]] Status begin_user_mode(Thread& thread);

  // NtTerminateThread for any thread, itself included: it exits at its next user-mode boundary (exit APC).
  void terminate_thread(Thread& thread, Status exit_status);
  // NtTerminateProcess: every thread but `except` (null: all). Ends the process when it has no thread.
  // Status: success, or nothing_to_terminate.
  Status terminate_process(Process& process, Status exit_status, Thread* except);
  // PspExitThread [facts 5.14]: the thread is at the user-mode boundary with nothing pending. It never runs again.
  void exit_thread(Thread& thread);
  // Frees what ended threads left: kernel stacks and the references that kept them. Run between windows.
  void reap();

  // By id. Null references when there is no such thing. NT: PsLookupProcessByProcessId and its thread twin.
  [[nodiscard]] ob::Ref<Process> find_process(u64 id);
  [[nodiscard]] ob::Ref<Thread> find_thread(u64 id);
  [[nodiscard]] IntrusiveList<Process, &Process::active_link>& active_processes() { return active_; }

  // Notify routines, as many of each kind as the profile has.
  using ThreadNotify = ex::CallbackArray<Thread&, bool>;    // true: created
  using ProcessNotify = ex::CallbackArray<Process&, bool>;
  using ImageNotify = ex::CallbackArray<Process&, std::u16string_view, Va, u64>;
  ThreadNotify thread_notify;
  ProcessNotify process_notify;
  ImageNotify image_notify;
  // Called once when a thread is about to end, before its user memory goes (io cancels its requests). May be empty.
  std::function<void(Thread&)> on_thread_rundown;

  [[nodiscard]] const ex::HandleTable& ids() const { return *ids_; }
  [[nodiscard]] const ProcessCounts& counts() const { return counts_; }
  [[nodiscard]] ob::ObjectType& process_type() const { return *process_type_; }
  [[nodiscard]] ob::ObjectType& thread_type() const { return *thread_type_; }
  [[nodiscard]] ob::ObjectType& token_type() const { return *token_type_; }
  [[nodiscard]] Process& system_process() const { return *system_; }
  [[nodiscard]] JobManager& jobs() const { return *jobs_; }

  // Whose service is being carried out; set by whoever runs one. Precondition of the getters below: set.
  void set_current(Thread* thread) { current_ = thread; }
  [[nodiscard]] Thread* current() const { return current_; }
  ob::Object& current_process() override;
  ob::Object& current_thread() override;
  ob::ObjectHandles& kernel_handles() override;

  // The first contents of a TEB, from the thread's record (cookie: its id). See mm::PageInitializer.
  void fill(mm::AddressSpace& space, Va block, u32 page_index, u64 cookie, std::span<std::byte, kPageSize> into) override;

 private:
  explicit ProcessManager(const Dependencies& dependencies);
  [[nodiscard]] Status initialize();
  [[nodiscard]] Status make_user_memory(Process& process, Thread& thread, const ThreadParameters& parameters);
  [[nodiscard]] Result<Va> make_teb(Process& process, Thread& thread);
  [[nodiscard]] Status make_kernel_stack(Thread& thread);
  [[nodiscard]] Status ensure_starting_stack(Thread& thread);
  void report_images(Process& process);
  void release_user_memory(Thread& thread);
  void link_thread(Process& process, Thread& thread, const ThreadParameters& parameters);
  [[nodiscard]] Result<u32> allocate_id(ob::Object& object);
  void end_process(Process& process);
  void finish_process(Process& process);
  void delete_process(Process& process);
  void record(trace::EventType type, u64 a, u64 b, u64 c = 0);
  void forget_id(u32 id) { ids_->release({id}); }
  static void delete_thread_object(ob::Object& object);
  static void destroy_thread_object(ob::Object* object);
  static void delete_process_object(ob::Object& object);

  Dependencies on_;
  sim::Random random_;
  std::unique_ptr<ex::HandleTable> ids_;
  IntrusiveList<Process, &Process::active_link> active_;
  IntrusiveList<Thread, &Thread::reaper_link> reaper_;
  ob::ObjectType* process_type_ = nullptr;
  ob::ObjectType* thread_type_ = nullptr;
  ob::ObjectType* token_type_ = nullptr;
  std::unique_ptr<JobManager> jobs_;
  ob::Ref<Process> system_;
  Thread* current_ = nullptr;
  ProcessCounts counts_;
};

}  // namespace vitrine::ps
