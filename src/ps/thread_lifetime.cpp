// Birth, first entry into user mode, and death of threads: PspCreateThread [facts 5.11], PspUserThreadStartup [5.12],
// PspExitThread and the reaper [5.14].
#include <algorithm>
#include <cstring>
#include <utility>

#include "abi/context.h"
#include "abi/peb.h"
#include "abi/teb.h"
#include "ps/context_transfer.h"
#include "ps/job.h"
#include "ps/process_manager.h"

namespace vitrine::ps {
namespace {

// ntdll expects this much between the initial RSP and the stack's end [seen in Wine 8.0's user mode].
constexpr u64 kInitialStackGap = 0x28;
// A thread without ntdll calls services from its first frame: room for a call's home area and stack arguments.
constexpr u64 kBareInitialStack = 0x200;

// The exit APC. Its kernel routine runs when the exit is taken up; exit_thread does the work, so only the record goes.
void free_exit_apc(ke::Kernel&, ke::Apc& apc, ke::UserApcCall*) { delete &apc; }
void rundown_exit_apc(ke::Kernel&, ke::Apc& apc) { delete &apc; }
constexpr ke::ApcOperations kExitApcOperations{&free_exit_apc, &rundown_exit_apc, nullptr};

}  // namespace

Result<ob::Ref<Thread>> ProcessManager::create_thread(Process& process, const ThreadParameters& parameters) {
  const trace::CallScope scope(on_.pool.calls(), "PspCreateThread");
  if (process.deleting || !process.rundown.acquire()) return Failure(Status::process_is_terminating);
  struct Guard {
    Process& process;
    ~Guard() { (void)process.rundown.release(); }
  } guard{process};

  auto created = on_.objects.create<Thread>(*thread_type_, {.payer = process.quota.get()});
  if (!created) return created;
  ob::Ref<Thread> thread = std::move(*created);
  thread->process = &process;
  ob::reference(process);
  thread->start_address = parameters.start_address;
  thread->argument = parameters.argument;
  thread->flags = parameters.flags;
  const auto id = allocate_id(*thread);
  if (!id) return Failure(id.error());
  thread->id = *id;

  if (process.space != nullptr && !thread->has_flag(cross_thread_flags::kSystem)) {
    if (const Status status = make_user_memory(process, *thread, parameters); !is_success(status)) {
      return Failure(status);
    }
  }
  if (const Status status = make_kernel_stack(*thread); !is_success(status)) {
    release_user_memory(*thread);
    return Failure(status);
  }
  link_thread(process, *thread, parameters);
  return thread;
}

// Everything that can fail is done: the thread becomes part of the process and of the scheduler.
void ProcessManager::link_thread(Process& process, Thread& thread, const ThreadParameters& parameters) {
  process.threads.push_back(thread);
  ++process.active_threads;
  if (!thread.has_flag(cross_thread_flags::kSystem)) {
    ++counts_.threads_created;
    counts_.peak_threads = std::max(counts_.peak_threads, ++counts_.threads);
  }
  ob::reference(thread);  // keep-alive, until the reaper is done with it
  on_.kernel.init_thread(thread.tcb, process.pcb,
                         {.base_priority = parameters.base_priority.value_or(process.pcb.base_priority),
                          .affinity = 0,
                          .ideal_processor = std::nullopt,
                          .thread_id = thread.id,
                          .system_thread = thread.has_flag(cross_thread_flags::kSystem)});
  on_.kernel.start_thread(thread.tcb);
  thread.create_time = on_.kernel.system_time();
  if (!process.create_reported) {
    process.create_reported = true;
    process_notify.call(process, true);
  }
  thread_notify.call(thread, true);
  record(trace::EventType::thread_create, thread.id, process.id, thread.start_address);
  if (parameters.suspended) (void)on_.kernel.suspend_thread(thread.tcb);  // cannot exceed the count: it is the first
  on_.kernel.ready_thread(thread.tcb);
}

// NT: KeInitThread makes the stack. ke knows nothing of memory, so its half of the work is done in link_thread.
Status ProcessManager::make_kernel_stack(Thread& thread) {
  const trace::CallScope scope(on_.pool.calls(), "KeInitThread");
  const auto stack = on_.memory.create_kernel_stack();
  if (!stack) return stack.error();
  thread.kernel_stack = *stack;
  return Status::success;
}

// NT: as many pages as the TEB has; Wine's ntdll keeps one of its own size [decision 0011].
Result<Va> ProcessManager::make_teb(Process& process, Thread& thread) {
  const trace::CallScope scope(on_.pool.calls(), "MmCreateTeb");
  const u64 bytes = std::max<u64>(on_.profile.sizes.teb, process.entry_points.minimum_teb_bytes);
  return process.space->create_shadow_block(static_cast<u32>(bytes_to_pages(bytes)), thread.id);
}

// What ntdll needs of a stack beyond its program's wish a suspended thread gets when it starts: until then a million of
// them are as small as in NT.
Status ProcessManager::make_user_memory(Process& process, Thread& thread, const ThreadParameters& parameters) {
  const UserEntryPoints& entry = process.entry_points;
  const u64 reserve = std::max({parameters.stack_reserve != 0 ? parameters.stack_reserve : process.image.stack_reserve,
                                parameters.suspended ? 0 : entry.minimum_stack_reserve, u64{mm::kAllocationGranularity}});
  const u64 commit = std::max({parameters.stack_commit != 0 ? parameters.stack_commit : process.image.stack_commit,
                               parameters.suspended ? 0 : entry.minimum_stack_commit, kPageSize});
  const auto stack = process.space->create_user_stack(reserve, commit);
  if (!stack) return stack.error();
  const auto teb = make_teb(process, thread);
  if (!teb) {
    (void)process.space->free(stack->allocation_base, 0, mm::mem::kRelease);
    return teb.error();
  }
  thread.teb = *teb;
  thread.stack_base = stack->base;
  thread.stack_allocation = stack->allocation_base;
  thread.stack_committed = static_cast<u32>(stack->base - stack->limit);
  return Status::success;
}

void ProcessManager::fill(mm::AddressSpace& space, Va block, u32 page_index, u64 cookie,
                          std::span<std::byte, kPageSize> into) {
  const ob::Ref<Thread> thread = find_thread(cookie);
  if (!thread || thread->process->space.get() != &space) return;
  // The TEB proper spans two pages; the rest of the region starts as zero.
  alignas(16) std::array<std::byte, 2 * kPageSize> pages{};
  if (page_index >= 2) return;
  abi::Teb teb{};
  teb.exception_list = ~0ull;
  teb.stack_base = thread->stack_base;
  teb.stack_limit = thread->stack_base - thread->stack_committed;
  teb.self = block;
  teb.client_id = teb.real_client_id = {thread->process->id, thread->id};
  teb.peb = thread->process->peb;
  teb.frame_list_cache = {block + offsetof(abi::Teb, frame_list_cache), block + offsetof(abi::Teb, frame_list_cache)};
  teb.activation_context_stack = block + offsetof(abi::Teb, active_frame);
  teb.static_unicode_string = {0, sizeof teb.static_unicode_buffer, 0,
                               block + offsetof(abi::Teb, static_unicode_buffer)};
  teb.deallocation_stack = thread->stack_allocation;
  static_assert(sizeof teb <= sizeof pages);
  std::memcpy(pages.data(), &teb, sizeof teb);
  std::memcpy(into.data(), pages.data() + page_index * kPageSize, kPageSize);
}

Result<ob::Ref<Thread>> ProcessManager::create_system_thread(ke::Priority base_priority, const SystemRoutine& routine) {
  ThreadParameters parameters;
  parameters.flags = cross_thread_flags::kSystem;
  parameters.base_priority = base_priority;
  auto thread = create_thread(*system_, parameters);
  if (!thread) return thread;
  (*thread)->tcb.previous_mode = ke::Mode::kernel;  // nobody in user mode ever calls through it
  system_->thread_extras[(*thread)->id].routine = routine(&(*thread)->tcb);
  return thread;
}

void ProcessManager::run_system_thread(Thread& thread) {
  Task<Status>& routine = thread.process->thread_extras.at(thread.id).routine;
  if (thread.tcb.continuation) {
    on_.kernel.resume(thread.tcb);
  } else {
    if (on_.kernel.deliver_kernel_apcs(thread.tcb) == ke::ApcOutcome::blocked) return;
    routine.start();
  }
  if (!routine.done()) return;
  thread.flags |= cross_thread_flags::kTerminated;
  thread.exit_status = routine.result();
  routine.reset();
  exit_thread(thread);
}

// A thread that was created suspended has not used its stack yet: one that is too small for ntdll is replaced.
Status ProcessManager::ensure_starting_stack(Thread& thread) {
  const UserEntryPoints& entry = thread.process->entry_points;
  const u64 reserved = thread.stack_base - thread.stack_allocation;
  if (reserved >= entry.minimum_stack_reserve && thread.stack_committed >= entry.minimum_stack_commit) {
    return Status::success;
  }
  mm::AddressSpace& space = *thread.process->space;
  (void)space.free(thread.stack_allocation, 0, mm::mem::kRelease);
  thread.stack_allocation = thread.stack_base = 0;
  const auto stack = space.create_user_stack(std::max(reserved, entry.minimum_stack_reserve),
                                             std::max<u64>(thread.stack_committed, entry.minimum_stack_commit));
  if (!stack) return stack.error();
  thread.stack_base = stack->base;
  thread.stack_allocation = stack->allocation_base;
  thread.stack_committed = static_cast<u32>(stack->base - stack->limit);
  // Somebody may have looked at the TEB, which keeps what it was filled with.
  VITRINE_TRY(space.write_value(thread.teb + offsetof(abi::Teb, stack_base), stack->base));
  VITRINE_TRY(space.write_value(thread.teb + offsetof(abi::Teb, stack_limit), stack->limit));
  return space.write_value(thread.teb + offsetof(abi::Teb, deallocation_stack), stack->allocation_base);
}

// NT: the first thread reports the main image, then ntdll, when it begins (DbgkCreateThread), so that who is notified has heard of the
// process and the thread before [ROS]. What ntdll maps afterwards is told by the service that maps it.
void ProcessManager::report_images(Process& process) {
  for (const MappedImage& image : std::exchange(process.unreported_images, {})) {
    image_notify.call(process, image.name, image.base, image.bytes);
  }
}

Status ProcessManager::begin_user_mode(Thread& thread) {
  report_images(*thread.process);
  VITRINE_TRY(ensure_starting_stack(thread));
  thread.user = std::make_unique<UserState>();
  cpu::GuestContext& registers = thread.user->registers;
  const UserEntryPoints& entry = thread.process->entry_points;
  registers.gs_base = thread.teb;
  registers.set_mxcsr(cpu::kMxcsrReset);
  registers.set_fpcw(cpu::kFpcwWindows);
  const Va stack_top = thread.stack_base - kInitialStackGap;
  if (entry.ldr_initialize_thunk == 0) {  // a process without ntdll begins at its start address
    registers.rip = thread.start_address;
    registers[cpu::Gpr::rcx] = thread.argument;
    registers[cpu::Gpr::rsp] = thread.stack_base - kBareInitialStack;
    return Status::success;
  }
  abi::Context context{};
  context.context_flags = abi::context_flags::kFull;
  context.mx_csr = cpu::kMxcsrReset;
  cpu::GuestContext initial = registers;
  initial.rip = entry.rtl_user_thread_start;
  initial[cpu::Gpr::rcx] = thread.start_address;
  initial[cpu::Gpr::rdx] = thread.argument;
  initial[cpu::Gpr::rsp] = stack_top;
  initial.rflags = 0x200;  // as CONTEXT records of new threads show; loading it restores the fixed bits
  store_context(initial, abi::context_flags::kFull | abi::context_flags::kSegments, context);
  const Va address = align_down(stack_top, 16) - sizeof context;
  VITRINE_TRY(thread.process->space->write_value(address, context));
  registers.rip = entry.ldr_initialize_thunk;
  registers[cpu::Gpr::rcx] = address;
  registers[cpu::Gpr::rsp] = address - 8;  // as if called
  return Status::success;
}

void ProcessManager::terminate_thread(Thread& thread, Status exit_status) {
  if (thread.has_flag(cross_thread_flags::kTerminated)) return;
  thread.flags |= cross_thread_flags::kTerminated;
  thread.exit_status = exit_status;
  auto* apc = new ke::Apc();
  ke::Kernel::init_apc(*apc, thread.tcb, ke::ApcKind::special_kernel, kExitApcOperations);
  if (!on_.kernel.insert_exit_apc(*apc)) delete apc;  // it is past the point of no return already
}

Status ProcessManager::terminate_process(Process& process, Status exit_status, Thread* except) {
  if (except == nullptr) {
    process.deleting = true;
    if (process.exit_status == Status::pending) process.exit_status = exit_status;
  }
  bool any = false;
  for (Thread* thread = process.threads.front(); thread != nullptr;) {
    Thread* next = process.threads.next(*thread);
    if (thread != except && thread->tcb.state != ke::ThreadState::terminated) {
      any = true;
      terminate_thread(*thread, exit_status);
    }
    thread = next;
  }
  if (any || except != nullptr) return Status::success;
  if (!process.exiting) {  // it never had a thread
    end_process(process);
    finish_process(process);
  }
  return Status::nothing_to_terminate;
}

void ProcessManager::exit_thread(Thread& thread) {
  Process& process = *thread.process;
  // Whoever made it exit has set the status, which may be any number, 0x103 (pending) too.
  VITRINE_CHECK(thread.has_flag(cross_thread_flags::kTerminated));
  (void)thread.rundown.begin();
  thread_notify.call(thread, false);
  const bool system = thread.has_flag(cross_thread_flags::kSystem);
  const bool last = --process.active_threads == 0 && !system;  // the System process stays
  if (last) {
    process.deleting = true;
    if (process.exit_status == Status::pending) {
      process.exit_status =
          thread.exit_status == Status::thread_is_terminating ? process.last_thread_exit_status : thread.exit_status;
    }
  } else if (thread.exit_status != Status::thread_is_terminating) {
    process.last_thread_exit_status = thread.exit_status;
  }
  // NT: without a termination port of its own the thread's end is told to the process's exception port; nobody waits.
  if (process.exception_port) {
    (void)process.exception_port->ports.send(*process.exception_port, {.type = lpc::MessageType::client_died,
                                                                       .sender = {process.id, thread.id},
                                                                       .create_time = thread.create_time.value,
                                                                       .block = {}});
  }
  if (on_thread_rundown) on_thread_rundown(thread);
  on_.kernel.rundown_thread(thread.tcb);
  if (!last && !process.deleting) release_user_memory(thread);
  thread.exit_time = on_.kernel.system_time();
  record(trace::EventType::thread_exit, thread.id, static_cast<u32>(thread.exit_status));
  if (last) end_process(process);
  on_.kernel.flush_apcs(thread.tcb);
  process.ended_thread_user_time += thread.tcb.user_time;
  process.ended_thread_kernel_time += thread.tcb.kernel_time;
  process.ended_thread_cycles += thread.tcb.cycle_time;
  if (last) finish_process(process);
  if (!system) --counts_.threads;
  on_.kernel.terminate_thread(thread.tcb);
  reaper_.push_back(thread);
}

void ProcessManager::release_user_memory(Thread& thread) {
  mm::AddressSpace* space = thread.process->space.get();
  if (space == nullptr) return;
  // The program may have freed or protected its own stack: then there is nothing left to free here.
  if (thread.stack_allocation != 0) (void)space->free(thread.stack_allocation, 0, mm::mem::kRelease);
  if (thread.teb != 0) space->delete_shadow_block(thread.teb);
  thread.stack_allocation = thread.stack_base = thread.teb = 0;
}

// NT: PspExitProcess and ObKillProcess, which the last thread calls while it can still take APCs: what closing handles queues to it
// is run down with the rest [facts 5.14 step 9].
void ProcessManager::end_process(Process& process) {
  process.exiting = true;
  process.exit_time = on_.kernel.system_time();
  (void)process.rundown.begin();
  process_notify.call(process, false);
  record(trace::EventType::process_exit, process.id, static_cast<u32>(process.exit_status));
  if (process.handles != nullptr) process.handles->close_all();
  process.section.reset();
  jobs_->process_ended(process);
}

// Steps 10 and 11: the address space goes once no APC can need it, and only then are those told who wait for the process.
void ProcessManager::finish_process(Process& process) {
  if (process.space != nullptr) process.space->clear();
  on_.kernel.signal_process(process.pcb);
}

void ProcessManager::reap() {
  while (Thread* thread = reaper_.pop_front()) {
    on_.memory.delete_kernel_stack(std::exchange(thread->kernel_stack, {}));
    thread->user.reset();
    ob::dereference(*thread);
  }
}

// NT: PspThreadDelete: the last reference is gone; only now the id is free again.
void ProcessManager::delete_thread_object(ob::Object& object) {
  auto& thread = static_cast<Thread&>(object);
  if (thread.process_link.is_linked()) thread.process_link.unlink();
  if (thread.process != nullptr && thread.id != 0) {
    thread.process->thread_extras.erase(thread.id);
    thread.process->manager->forget_id(thread.id);
  }
}

// After the pool block and the quota were given back: the process may go with its last thread.
void ProcessManager::destroy_thread_object(ob::Object* object) {
  auto* thread = static_cast<Thread*>(object);
  Process* process = thread->process;
  delete thread;
  if (process != nullptr) ob::dereference(*process);
}

}  // namespace vitrine::ps
