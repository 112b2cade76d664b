// What the kernel asks of the parts above it, and what they tell it of a new thread.
#pragma once

#include <optional>

#include "ke/process.h"
#include "ke/thread.h"
#include "ke/types.h"

namespace vitrine::ke {

// The swapper. All calls come from inside a kernel function: they must not wait.
class Host {
 public:
  virtual ~Host() = default;
  // A thread became runnable while its kernel stack is out (state transition): bring it in, then call
  // stack_inswapped().
  virtual void request_stack_inswap(Thread& thread) = 0;
  // A thread of a process that is out became runnable: bring the process in, then call process_inswapped().
  virtual void request_process_inswap(Process& process) = 0;
};

struct ThreadParameters {
  Priority base_priority = 8;                        // 0..31
  AffinityMask affinity = 0;                         // 0: the process's; else a subset of it
  std::optional<u8> ideal_processor = std::nullopt;  // absent: by the process's seed
  u32 thread_id = 0;
  bool system_thread = false;
};

}  // namespace vitrine::ke
