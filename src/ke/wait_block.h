// WaitBlock (KWAIT_BLOCK): one thread waiting for one object. It is linked into the object's waiter list, in the order of
// arrival. NT's block also holds the wait key and type; here the key is the block's position in the thread's array
// (Thread::wait_block_list) and the type is the thread's, so that four blocks cost 128 bytes.
#pragma once

#include "base/intrusive_list.h"
#include "base/types.h"

namespace vitrine::ke {

struct Thread;
struct DispatcherHeader;
struct QueueEntry;

struct WaitBlock {
  ListLink link;             // in DispatcherHeader::waiters while the wait lasts
  Thread* thread = nullptr;  // constant for a built-in block; null: no thread waits, it is a QueueNotification
  // Which one is valid follows from the kind of wait (Thread::wait_reason).
  union {
    DispatcherHeader* object = nullptr;  // what is waited for
    QueueEntry* entry;                   // block 0 after a queue wait was satisfied: the entry received
    u64 key;                             // block 1: keyed event key (bit 0: releaser), or the address of an alert-by-id wait
  };
};
static_assert(sizeof(WaitBlock) == 32);

struct Queue;

// A wait without a thread: when the object is signalled, the wait is satisfied and `entry` goes into `queue`. NT 6.2 and later
// keep such a block in wait-completion packets [Microsoft: NtAssociateWaitCompletionPacket]. The owner keeps all three alive.
struct QueueNotification : WaitBlock {
  Queue* queue = nullptr;
  QueueEntry* notice = nullptr;
};

}  // namespace vitrine::ke
