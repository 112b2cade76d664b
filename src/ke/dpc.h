// Dpc (KDPC): a routine that a processor runs at DISPATCH_LEVEL at its next window edge, before it chooses a thread. Each
// processor has a queue of its own, FIFO but for those of high importance, which go to the head; an entry that is already queued
// is not queued again. A threaded DPC (6.0+) runs at PASSIVE_LEVEL in its processor's DPC thread, or, where there is none, like
// any other [facts 7.1; WI6p1 ch.3 "DPC interrupts"]. Owned by whoever embeds it; must not be queued when destroyed.
#pragma once

#include "base/intrusive_list.h"
#include "base/types.h"

namespace vitrine::ke {

class Kernel;

// KDPC_IMPORTANCE.
enum class DpcImportance : u8 { low = 0, medium = 1, high = 2, medium_high = 3 };
// KOBJECTS 19 and 24.
enum class DpcKind : u8 { normal, threaded };

struct Dpc {
  using Routine = void (*)(Kernel& kernel, Dpc& dpc, void* context);
  static constexpr u8 kNoTarget = 0xFF;
  Dpc(Routine routine_, void* context_, DpcKind kind_ = DpcKind::normal) : routine(routine_), context(context_), kind(kind_) {}
  ListLink link;
  Routine routine;   // must not wait; may ready threads, set timers and queue DPCs (also itself)
  void* context;
  DpcKind kind;
  DpcImportance importance = DpcImportance::medium;
  u8 target = kNoTarget;  // the processor that runs it; kNoTarget: the one that queues it
};

}  // namespace vitrine::ke
