// Dpc (KDPC): a routine that a processor runs at its next window edge, before it chooses a thread. The queue is FIFO; an
// entry that is already queued is not queued again. Owned by whoever embeds it; must not be queued when destroyed.
#pragma once

#include "base/intrusive_list.h"

namespace vitrine::ke {

class Kernel;

struct Dpc {
  using Routine = void (*)(Kernel& kernel, Dpc& dpc, void* context);
  Dpc(Routine routine_, void* context_) : routine(routine_), context(context_) {}
  ListLink link;
  Routine routine;   // must not wait; may ready threads, set timers and queue DPCs (also itself)
  void* context;
};

}  // namespace vitrine::ke
