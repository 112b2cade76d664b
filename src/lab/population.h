// Population: suspended threads with closed handles, made through the services by several creators in as many processes
// as needed, until a creation fails or enough exist. What seed 001's program did, on a bare machine.
//
// Owns the processes. A process in whose address space no stack fits any more is followed by another one; every other
// failure ends the growth. Processes are made by the process manager itself, for a bare machine has no image to start.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "lab/lab_machine.h"
#include "vitrine/limits.h"
#include "vitrine/run_loop.h"

namespace vitrine::lab {

// Sums since the start, when so many threads existed.
struct Sample {
  u64 threads = 0;
  u64 virtual_ns = 0;  // modelled: how far the fastest processor's clock has come
  u64 host_ns = 0;
  u64 lookups = 0, visits = 0;  // of CSRSS's table
  u64 lock_wait_ns = 0;         // modelled, of all processors together
};

// A process and what it came to.
struct Brood {
  ob::Ref<ps::Process> process;
  u64 threads = 0;
  u32 creators = 0, parked = 0;  // that were started, and that have ended their work
  bool full = false;             // a creation failed
};

// A creation that failed, and the machine's resources at that moment.
struct Refusal {
  Status status = Status::success;
  std::optional<Resource> resource;  // absent: none of those that are watched
  std::vector<ResourceUse> uses;
};

enum class GrowthEnd : u8 { enough, refused, interrupted, host_limit };

struct PopulationOptions {
  u64 stack_bytes = 64 << 10;
  u32 creators = 4;                              // per process
  u64 threads = ~0ull;                           // enough
  u64 processes = ~0ull;                         // at most
  u64 sample_every = 10'000;                     // threads
  u64 host_limit_bytes = 0;                      // 0: none
  const std::atomic<bool>* interrupt = nullptr;  // may be null
  std::function<void(const Sample&)> on_sample;  // may be empty
};

// The time of the processor that has come farthest: modelled, and never goes back.
[[nodiscard]] u64 latest_clock(const Machine& machine);

class Population {
 public:
  // `lab` outlives it.
  Population(LabMachine& lab, const PopulationOptions& options);
  Population(const Population&) = delete;
  Population& operator=(const Population&) = delete;

  GrowthEnd grow();
  // Ends every process and lets CSRSS hear of it. False: interrupted, or the host is short of memory.
  [[nodiscard]] bool end();

  [[nodiscard]] u64 threads() const { return threads_; }
  [[nodiscard]] const std::deque<Brood>& broods() const { return broods_; }
  // The last one; of a growth that ended otherwise, the resources as they were then.
  [[nodiscard]] const Refusal& refusal() const { return refusal_; }
  [[nodiscard]] const std::vector<ResourceUse>& uses_at_start() const { return uses_at_start_; }
  [[nodiscard]] Sample sample() const;
  [[nodiscard]] RunLoop& loop() { return loop_; }

 private:
  static cpu::Script create_threads(cpu::ScriptContext& context, Population* self, Brood* brood);
  [[nodiscard]] RunLoop::Limits limits();
  [[nodiscard]] Status add_process();
  void made(Brood& brood);
  void refused(Brood& brood, Status status);
  [[nodiscard]] u64 now() const { return latest_clock(machine_); }

  LabMachine& lab_;
  Machine& machine_;
  PopulationOptions options_;
  std::atomic<bool> stop_{false};
  bool asked_to_stop_ = false;
  RunLoop loop_;
  Va sleeper_;
  std::deque<Brood> broods_;
  u64 claimed_ = 0, threads_ = 0;
  std::vector<ResourceUse> uses_at_start_, uses_before_;
  Refusal refusal_;
  u64 start_ns_;
  csr::Statistics csrss_at_start_;
};

}  // namespace vitrine::lab
