// Thread (ETHREAD): the executive's half of a thread, around ke's. A record of which millions exist: plain data; what only a
// thread that has run needs (registers, a suspended service) hangs off it and is made when it first runs.
//
// Owned by references: its handles, the reference that it holds on itself from birth until the reaper is done with it, and
// whoever looks it up. It holds a reference on its process. Its id is free again only when the object is deleted [facts 2.5].
#pragma once

#include <memory>

#include "base/intrusive_list.h"
#include "base/task.h"
#include "cpu/context.h"
#include "ex/rundown.h"
#include "ke/thread.h"
#include "mm/memory_manager.h"
#include "ob/object.h"

namespace vitrine::ps {

struct Process;

// What exists only while a service of the thread is suspended, and the registers of one that has run.
struct UserState {
  cpu::GuestContext registers;
  Task<Status> service;        // valid while a service is suspended
  u32 service_number = 0;      // of the service in progress or the last one
  bool registers_replaced = false;  // the service loaded new registers: its status is not written to RAX
};

// NT: ETHREAD.CrossThreadFlags [VOL].
namespace cross_thread_flags {
inline constexpr u16 kTerminated = 0x1;
inline constexpr u16 kDead = 0x2;
inline constexpr u16 kHideFromDebugger = 0x4;
inline constexpr u16 kActiveImpersonation = 0x8;
inline constexpr u16 kSystem = 0x10;
inline constexpr u16 kBreakOnTermination = 0x40;
inline constexpr u16 kSkipThreadAttach = 0x100;  // THREAD_CREATE_FLAGS_SKIP_THREAD_ATTACH
}  // namespace cross_thread_flags

struct Thread : ob::Object {
  ke::Thread tcb;
  Process* process = nullptr;         // referenced
  ListLink process_link;              // Process::threads
  ListLink reaper_link;               // ProcessManager's reaper list, after termination
  std::unique_ptr<UserState> user;    // null until it first enters user mode
  Va start_address = 0;               // where user mode begins: RtlUserThreadStart's target
  Va argument = 0;                    // its parameter
  Va teb = 0;
  Va stack_base = 0;                  // above the highest byte of the user stack; 0: no user stack
  Va stack_allocation = 0;            // its lowest reserved byte (TEB.DeallocationStack)
  u32 stack_committed = 0;            // bytes committed at birth, below stack_base
  u32 id = 0;                         // CID; index << 2
  Ticks create_time{};                // system time
  Ticks exit_time{};
  Status exit_status = Status::pending;  // pending while alive [facts 5.9]
  mm::KernelStack kernel_stack;
  ex::RundownProtection rundown;
  u16 flags = 0;                      // cross_thread_flags

  [[nodiscard]] bool has_flag(u16 flag) const { return (flags & flag) != 0; }
  [[nodiscard]] cpu::GuestContext& registers() const { return user->registers; }

  // From ke's half. Precondition: every ke::Thread of this machine is embedded in a ps::Thread.
  static Thread* from(ke::Thread* tcb);
};

}  // namespace vitrine::ps
