// Counters: what performance monitors show of processes and threads (table 5-12 of Windows Internals 5), taken from a
// machine between two windows. Rates are over the time since the sample before. It only looks: a run that is sampled is
// the run that is not.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ke/types.h"

namespace vitrine {

class Machine;

struct ThreadCounters {
  u32 process_id = 0;
  u32 thread_id = 0;
  std::string name;  // that the program gave it; most have none
  Va start_address = 0;
  ke::ThreadState state{};
  ke::WaitReason wait_reason{};  // of the present or the last wait
  ke::Priority priority = 0;
  ke::Priority base_priority = 0;
  double privileged_percent = 0;  // clock ticks in kernel mode, of those of the interval
  double user_percent = 0;
  double switches_per_second = 0;
  double elapsed_seconds = 0;  // since its birth
  [[nodiscard]] double processor_percent() const { return privileged_percent + user_percent; }
};

struct ProcessCounters {
  u32 process_id = 0;
  std::string image;
  ke::Priority base_priority = 0;
  u64 threads = 0;
  u64 handles = 0;
  double privileged_percent = 0;  // may be 100 on each processor
  double user_percent = 0;
};

struct CounterSample {
  u64 now_ns = 0;       // virtual time since the start
  u64 interval_ns = 0;  // since the sample before, in whole clock ticks
  u32 processors = 1;
  std::vector<ProcessCounters> processes;  // in order of birth
  std::vector<ThreadCounters> threads;     // that have not ended; by process, in order of birth
};

class CounterSampler {
 public:
  // The machine outlives it.
  explicit CounterSampler(const Machine& machine) : machine_(machine) {}
  [[nodiscard]] CounterSample sample();
  // Virtual time since the start.
  [[nodiscard]] u64 now_ns() const;

 private:
  struct Seen {
    u64 kernel_ticks = 0, user_ticks = 0, switches = 0;
  };
  // A thread's id is used again after its end; its birth is another one then.
  struct Life {
    u32 id;
    i64 born;
    auto operator<=>(const Life&) const = default;
  };
  // What has been added since the last sample; `seen` is brought up to date.
  static Seen advance(std::map<Life, Seen>& all, const Life& life, const Seen& now);

  const Machine& machine_;
  std::map<Life, Seen> threads_, processes_;
  u64 last_tick_ = 0;
};

}  // namespace vitrine
