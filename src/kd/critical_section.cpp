#include "kd/critical_section.h"

#include <array>

#include "kd/guest_memory.h"

namespace vitrine::kd {
namespace {

struct GuestCriticalSection {  // RTL_CRITICAL_SECTION
  Va debug_information;
  i32 lock_count, recursion_count;
  u64 owning_thread;   // a thread id
  u64 lock_semaphore;  // a handle, or the word that is waited on
  u64 spin_count;
};
static_assert(sizeof(GuestCriticalSection) == 0x28);
constexpr u64 kSemaphoreOffset = 0x18;

struct GuestCriticalSectionDebug {
  u16 type, creator_back_trace_index;
  u32 padding;
  Va critical_section;
};

struct WaiterRecord {
  Va next, previous;
  Va address;
  u32 thread_id;
  u32 padding;
};

// How much of the stack above RSP is searched: the frames of ntdll's lock functions.
constexpr u64 kSearchedStackBytes = 0x400;

std::optional<CriticalSection> section_at(const Target& target, const ps::Process& process, Va address,
                                          std::optional<u64> semaphore) {
  const auto raw = read_guest<GuestCriticalSection>(target, process, address);
  if (!raw || raw->owning_thread == 0 || raw->recursion_count <= 0) return std::nullopt;
  if (semaphore) {
    if (raw->lock_semaphore != *semaphore) return std::nullopt;
  } else {
    const auto debug = read_guest<GuestCriticalSectionDebug>(target, process, raw->debug_information);
    if (!debug || debug->critical_section != address) return std::nullopt;
  }
  const ps::Thread* owner = target.thread_by_id(raw->owning_thread);
  if (owner == nullptr || owner->process != &process) return std::nullopt;
  return CriticalSection{address, owner, static_cast<u32>(raw->recursion_count)};
}

std::optional<Va> waited_address(const Target& target, const ps::Thread& thread) {
  const Va stack = thread.registers()[cpu::Gpr::rsp];
  for (Va at = align_up(stack, 8); at < stack + kSearchedStackBytes; at += 8) {
    const auto record = read_guest<WaiterRecord>(target, *thread.process, at);
    if (!record) return std::nullopt;
    if (record->thread_id != thread.id || record->address == 0) continue;
    const auto back = read_guest<Va>(target, *thread.process, record->next + sizeof(Va));
    const auto forth = read_guest<Va>(target, *thread.process, record->previous);
    if (back == at && forth == at) return record->address;
  }
  return std::nullopt;
}

// The handle that a NtWaitForSingleObject in progress waits for.
std::optional<u64> waited_handle(const Target& target, const ps::Thread& thread) {
  if (target.services().name(thread.user->service_number) != "NtWaitForSingleObject") return std::nullopt;
  return thread.registers()[cpu::Gpr::r10];
}

std::optional<CriticalSection> section_by_semaphore(const Target& target, const ps::Thread& thread, u64 handle) {
  const cpu::GuestContext& registers = thread.registers();
  for (const cpu::Gpr saved : {cpu::Gpr::rbx, cpu::Gpr::rsi, cpu::Gpr::rdi, cpu::Gpr::rbp, cpu::Gpr::r12, cpu::Gpr::r13,
                               cpu::Gpr::r14, cpu::Gpr::r15}) {
    if (const auto section = section_at(target, *thread.process, registers[saved], handle)) return section;
  }
  const Va stack = registers[cpu::Gpr::rsp];
  for (Va at = align_up(stack, 8); at < stack + kSearchedStackBytes; at += 8) {
    const auto candidate = read_guest<Va>(target, *thread.process, at);
    if (!candidate) return std::nullopt;
    if (const auto section = section_at(target, *thread.process, *candidate, handle)) return section;
  }
  return std::nullopt;
}

}  // namespace

UserWait find_user_wait(const Target& target, const ps::Thread& thread) {
  UserWait found;
  if (thread.user == nullptr) return found;
  if (thread.tcb.wait_reason == ke::WaitReason::wr_alert_by_thread_id) {
    found.address = waited_address(target, thread);
    if (found.address && *found.address >= kSemaphoreOffset) {
      found.section = section_at(target, *thread.process, *found.address - kSemaphoreOffset, std::nullopt);
    }
  } else if (const auto handle = waited_handle(target, thread)) {
    const ob::Object* object = thread.process->handles->peek(ex::Handle{*handle});
    // Only locks are built on an unnamed semaphore or event that is never shown to the program.
    if (object != nullptr && (&object->type() == &target.executive().sync.semaphore() ||
                              &object->type() == &target.executive().sync.event())) {
      found.section = section_by_semaphore(target, thread, *handle);
    }
  }
  return found;
}

}  // namespace vitrine::kd
