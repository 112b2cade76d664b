// Dispatcher objects: everything that a thread can wait for begins with a DispatcherHeader. They are plain data, embedded
// in executive objects; ke::Kernel holds every rule that reads or changes them. None owns its waiters: an object must have
// none when it goes away (the wait holds a reference on it, which is the object manager's business).
#pragma once

#include "base/intrusive_list.h"
#include "base/types.h"
#include "ke/wait_block.h"

namespace vitrine::ke {

struct Dpc;

// NT: KOBJECTS, 0 to 9 have dispatcher headers [GC].
enum class DispatcherType : u8 {
  notification_event = 0, synchronization_event = 1, mutant = 2, process = 3, queue = 4, semaphore = 5, thread = 6, gate = 7,
  notification_timer = 8, synchronization_timer = 9,
};

struct DispatcherHeader {
  explicit DispatcherHeader(DispatcherType type_, i32 signal_state_ = 0) : type(type_), signal_state(signal_state_) {}

  DispatcherType type;
  u8 inserted = 0;        // timers: 0 not set, else 1 + the number of the timer table
  u8 absolute = 0;        // timers: due time was given in system time and moves with it
  u8 spare = 0;           // kThreadTimer: the timer built into a thread
  i32 signal_state;       // > 0: signalled. A mutant: 1 free, <= 0 owned (recursion); a semaphore: its count
  IntrusiveList<WaitBlock, &WaitBlock::link> waiters;  // FIFO, except a queue's (LIFO)
};
static_assert(sizeof(DispatcherHeader) == 24);  // as on x64 [VOL]
inline constexpr u8 kThreadTimer = 1;

enum class EventKind : u8 { notification, synchronization };

struct Event {
  explicit Event(EventKind kind, bool signalled = false)
      : header(kind == EventKind::notification ? DispatcherType::notification_event : DispatcherType::synchronization_event,
               signalled ? 1 : 0) {}
  DispatcherHeader header;
};

struct Semaphore {
  // Precondition: 0 <= count <= limit, limit > 0 (the executive has checked it).
  Semaphore(i32 count, i32 limit_) : header(DispatcherType::semaphore, count), limit(limit_) {}
  DispatcherHeader header;
  i32 limit;
};

struct Mutant {
  // A mutant that starts owned is made free and then acquired: Kernel::initialize_owned_mutant.
  Mutant() : header(DispatcherType::mutant, 1) {}
  DispatcherHeader header;
  ListLink owner_link;            // in Thread::mutants while owned
  Thread* owner = nullptr;
  bool abandoned = false;         // set when the owner ended; reported to and cleared by the next owner
  bool disables_kernel_apcs = false;  // NT: KMUTANT.ApcDisable, set for kernel mutexes
};

// What a timer in the table needs. The timer that is built into a thread is only this.
struct TimerCore {
  explicit TimerCore(DispatcherType type) : header(type) {}
  DispatcherHeader header;
  ListLink table_link;            // in one list of the timer table, sorted by due time
  Ticks due{};                    // interrupt time, 100 ns
};
static_assert(sizeof(TimerCore) == 48);

enum class TimerKind : u8 { notification, synchronization };

struct Timer : TimerCore {
  explicit Timer(TimerKind kind)
      : TimerCore(kind == TimerKind::notification ? DispatcherType::notification_timer : DispatcherType::synchronization_timer) {
  }
  Dpc* dpc = nullptr;             // queued at each expiry; null for none
  u32 period_ms = 0;              // 0: once
};

// What goes through a queue; embedded first in I/O packets and work items.
struct QueueEntry {
  ListLink link;
};

struct Queue;

// A thread that has taken (or tried to take) an entry belongs to the queue until it takes from another or ends. NT keeps the
// link in KTHREAD.QueueListEntry; here it is a block of its own, since few threads of the millions ever use a queue.
struct QueueAssociation {
  ListLink link;
  Thread* thread = nullptr;
  Queue* queue = nullptr;
};

// KQUEUE: a queue that lets only `maximum_count` of its threads run at a time. `signal_state` is the number of entries.
struct Queue {
  // `maximum_count` 0 means one per processor: the caller passes the processor count [facts 7.5].
  explicit Queue(u32 maximum_count_) : header(DispatcherType::queue), maximum_count(maximum_count_) {}
  DispatcherHeader header;
  IntrusiveList<QueueEntry, &QueueEntry::link> entries;  // FIFO
  u32 current_count = 0;          // associated threads that are not waiting
  u32 maximum_count;
  bool rundown = false;           // no more waits: they end with abandoned_wait_0
  // Queued when an entry lies here that another thread might take now, but none waits: a pool may want one more.
  Dpc* unattended = nullptr;
  IntrusiveList<QueueAssociation, &QueueAssociation::link> associations;
};

// KGATE: one signal, waiters in order, kernel mode, no timeout; its wait state is GateWait.
struct Gate {
  Gate() : header(DispatcherType::gate) {}
  DispatcherHeader header;
};

}  // namespace vitrine::ke
