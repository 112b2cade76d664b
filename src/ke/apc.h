// Apc (KAPC): a call that a given thread makes, in its own context, as soon as it may [facts 7.7].
//
//   special kernel   runs at the thread's next boundary (wait, end of wait, way back to user mode) unless the thread disabled
//                    special APCs; queued after other special ones, before normal ones
//   normal kernel    the same, unless one is already in progress or kernel APCs are disabled; queued at the tail
//   user             on the way back to user mode once `user_apc_pending` is armed: by an alertable user-mode wait, by
//                    NtTestAlert, or by the exit APC, which is queued at the head
//
// Routines are synchronous: no kernel APC of ours waits, except the built-in suspend APC, whose wait needs no frame (see
// Kernel::deliver_kernel_apcs). The Apc is owned by whoever queues it, until its kernel routine or its rundown routine is
// called; both may free it.
#pragma once

#include "base/intrusive_list.h"
#include "base/types.h"
#include "ke/types.h"

namespace vitrine::ke {

class Kernel;
struct Apc;
struct Process;
struct Thread;

enum class ApcKind : u8 { special_kernel = 0, normal_kernel = 1, user = 2 };
// KAPC_ENVIRONMENT: which of the thread's two APC states receives it (they differ while the thread is attached).
enum class ApcEnvironment : u8 { original = 0, attached = 1, current = 2, insert = 3 };

// What the thread does next in user mode, or that it exits.
struct UserApcCall {
  Va normal_routine = 0;          // 0: the kernel routine cancelled the call
  u64 arguments[3]{};             // NormalContext, SystemArgument1, SystemArgument2
  bool exit_thread = false;       // the exit APC: run the thread's exit instead of user code
};

struct ApcOperations {
  // Called when the APC is delivered, after it was removed from its queue. For a user APC `call` holds the call to come
  // and may be changed; for a kernel APC it is null.
  void (*kernel_routine)(Kernel& kernel, Apc& apc, UserApcCall* call);
  // Called instead of delivery when the thread ends with the APC still queued; null: the kernel routine is called.
  void (*rundown_routine)(Kernel& kernel, Apc& apc);
  // Normal kernel APC only: runs after the kernel routine; `apc` may be gone if that routine freed it, so it gets the thread.
  void (*normal_routine)(Kernel& kernel, Thread& thread);
};

struct Apc {
  ListLink link;                  // in one of the two queues of an ApcState while `inserted`
  Thread* thread = nullptr;
  const ApcOperations* operations = nullptr;
  ApcKind kind = ApcKind::special_kernel;
  ApcEnvironment environment = ApcEnvironment::original;
  bool inserted = false;
  bool exits_thread = false;      // the exit APC of Kernel::insert_exit_apc
};
static_assert(sizeof(Apc) == 40);

struct UserApc : Apc {
  UserApcCall call;
};

// The two queues of KAPC_STATE.
struct ApcQueues {
  IntrusiveList<Apc, &Apc::link> kernel;
  IntrusiveList<Apc, &Apc::link> user;
};
struct ApcFlags {
  bool kernel_apc_in_progress : 1 = false;  // a normal kernel APC has begun and not ended
  bool kernel_apc_pending : 1 = false;
  bool user_apc_pending : 1 = false;
  bool suspend_wait : 1 = false;            // the APC in progress is the suspend APC, waiting for its semaphore
};

// Where an attached thread's own APC state lies meanwhile. The caller of Kernel::attach_process provides it, as
// KeStackAttachProcess's callers do.
struct SavedApcState {
  ApcQueues queues;
  ApcFlags flags;
  Process* attached_process = nullptr;
};

}  // namespace vitrine::ke
