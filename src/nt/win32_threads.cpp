#include "nt/win32_threads.h"

#include "nt/executive.h"

namespace vitrine::nt {
namespace {

// tagTHREADINFO and tagPROCESSINFO of 64-bit win32k, the order of their sizes in public symbols of 6.1; the profile
// does not have them: assumed.
constexpr u64 kThreadBytes = 0x3A8, kProcessBytes = 0x300;

// The stack that it holds goes with it.
struct StackOwner {
  mm::MemoryManager& memory;
  mm::KernelStack stack;
  ~StackOwner() { memory.delete_kernel_stack(stack); }
};

}  // namespace

Result<SessionRecord> SessionRecord::create(ex::Pool& pool, std::string_view name, std::string_view tag, u64 bytes) {
  const auto block = pool.allocate(pool.site(name, ex::PoolType::session, ex::pool_tag(tag)), bytes);
  if (!block) return Failure(Status::no_memory);
  return SessionRecord(pool, *block);
}

Status Win32Threads::convert(Executive& executive, ps::Thread& thread) {
  if (threads_.contains(thread.id)) return Status::success;
  // NT: the stack first, then win32k hears of the process, then of the thread [WI5 ch.3; ROS ps/win32.c].
  const auto large = executive.memory.create_kernel_stack(true);
  if (!large) return Status::no_memory;
  StackOwner stack{executive.memory, *large};
  std::optional<SessionRecord> process_record;  // of the first GUI thread's process
  if (!processes_.contains(thread.process->id)) {
    auto made = SessionRecord::create(executive.pool, "win32k: W32PROCESS", "Uspi", kProcessBytes);
    if (!made) return made.error();
    process_record.emplace(std::move(*made));
  }
  auto record = SessionRecord::create(executive.pool, "win32k: W32THREAD", "Usti", kThreadBytes);
  if (!record) return record.error();
  if (subsystem != nullptr) VITRINE_TRY(subsystem->thread_begins(thread, process_record.has_value()));
  std::swap(thread.kernel_stack, stack.stack);  // the small one goes
  if (process_record) processes_.emplace(thread.process->id, std::move(*process_record));
  threads_.emplace(thread.id, std::move(*record));
  return Status::success;
}

void Win32Threads::thread_ends(const ps::Thread& thread) {
  const bool last = thread.process->active_threads == 0;
  if (const auto found = threads_.find(thread.id); found != threads_.end()) {
    if (subsystem != nullptr) subsystem->thread_ends(thread, last);
    threads_.erase(found);
  }
  if (last) processes_.erase(thread.process->id);
}

}  // namespace vitrine::nt
