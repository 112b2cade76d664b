#include "nt/win32_threads.h"

#include "nt/executive.h"

namespace vitrine::nt {
namespace {

// tagTHREADINFO and tagPROCESSINFO of 64-bit win32k, the order of their sizes in public symbols of 6.1; the profile
// does not have them: assumed.
constexpr u64 kThreadBytes = 0x3A8, kProcessBytes = 0x300;

Va address_in(const Executive& executive, const std::map<u32, ex::PoolBlock>& records, u32 id) {
  const auto found = records.find(id);
  return found == records.end() ? 0 : executive.pool.address(found->second);
}

}  // namespace

Status Win32Threads::convert(Executive& executive, ps::Thread& thread) {
  if (threads_.contains(thread.id)) return Status::success;
  ex::Pool& pool = executive.pool;
  // NT: the stack first, then win32k hears of the process, then of the thread [WI5 ch.3; ROS ps/win32.c].
  auto stack = executive.memory.create_kernel_stack(true);
  if (!stack) return Status::no_memory;
  const u32 process_id = thread.process->id;
  const bool first = !processes_.contains(process_id);
  ex::PoolBlock process_record{};
  if (first) {
    const auto made =
        pool.allocate(pool.site("win32k: W32PROCESS", ex::PoolType::session, ex::pool_tag("Uspi")), kProcessBytes);
    if (!made) {
      executive.memory.delete_kernel_stack(*stack);
      return Status::no_memory;
    }
    process_record = *made;
  }
  auto record =
      pool.allocate(pool.site("win32k: W32THREAD", ex::PoolType::session, ex::pool_tag("Usti")), kThreadBytes);
  if (!record) {
    if (first) pool.free(process_record);
    executive.memory.delete_kernel_stack(*stack);
    return Status::no_memory;
  }
  if (subsystem != nullptr) {
    if (const Status status = subsystem->thread_begins(thread, first); !is_success(status)) {
      pool.free(*record);
      if (first) pool.free(process_record);
      executive.memory.delete_kernel_stack(*stack);
      return status;
    }
  }
  executive.memory.delete_kernel_stack(thread.kernel_stack);
  thread.kernel_stack = *stack;
  if (first) processes_[process_id] = process_record;
  threads_[thread.id] = *record;
  return Status::success;
}

void Win32Threads::thread_ends(Executive& executive, const ps::Thread& thread) {
  const bool last = thread.process->active_threads == 0;
  if (const auto found = threads_.find(thread.id); found != threads_.end()) {
    if (subsystem != nullptr) subsystem->thread_ends(thread, last);
    executive.pool.free(found->second);
    threads_.erase(found);
  }
  if (!last) return;
  if (const auto found = processes_.find(thread.process->id); found != processes_.end()) {
    executive.pool.free(found->second);
    processes_.erase(found);
  }
}

Va Win32Threads::thread_record(const Executive& executive, const ps::Thread& thread) const {
  return address_in(executive, threads_, thread.id);
}

Va Win32Threads::process_record(const Executive& executive, const ps::Process& process) const {
  return address_in(executive, processes_, process.id);
}

}  // namespace vitrine::nt
