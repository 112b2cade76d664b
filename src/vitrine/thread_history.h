// ThreadHistory: the story of every thread that existed, gathered from trace events: when it was born and died, how
// long it ran, was ready and waited, what for, and who woke it. `vitrine run --threads` prints it.
//
// It listens and decides nothing. Its memory grows with the number of threads ever created; a run keeps one only when
// asked to.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <vector>

#include "base/types.h"
#include "ke/types.h"
#include "trace/interrupt_span.h"

namespace vitrine {

// All times are virtual nanoseconds since the machine started. A span counts on the clock of the processor where each
// of its ends was seen, so that a span across processors is exact to one window.
struct ThreadRecord {
  u32 thread_id = 0;
  u32 process_id = 0;
  Va start_address = 0;
  u64 created_ns = 0;
  std::optional<u64> ended_ns;  // absent: it lived until the run ended
  u32 exit_status = 0;
  u64 running_ns = 0;  // on a processor, interrupts and the switch to it included
  u64 ready_ns = 0;    // could run, had no processor
  u64 waiting_ns = 0;
  u64 switches = 0;  // times it was given a processor
  u64 woken = 0;     // ends of its waits
  std::map<ke::WaitReason, u64> waits;
  std::map<u32, u64> wakers;  // thread id to times; 0: a timer, input, or another thing that no thread did

  struct Waker {
    u32 thread_id;
    u64 times;
  };
  // Who ended most of its waits, the lower id among equals. Absent: it never waited to an end.
  [[nodiscard]] std::optional<Waker> most_frequent_waker() const;
};

class ThreadHistory {
 public:
  // `start_ns`: what the processors' clocks showed when the machine started.
  explicit ThreadHistory(u64 start_ns) : start_ns_(start_ns) {}
  void observe(trace::Event event);
  // Ends the spans that are still open. Call once, after the run.
  void finish(u64 now_ns);
  // In the order of birth. An id may occur more than once: NT gives the ids of the dead to new threads.
  [[nodiscard]] std::vector<ThreadRecord> take() { return std::move(records_); }

 private:
  enum class Phase : u8 { none, running, ready, waiting };
  struct Live {
    std::size_t record;
    Phase phase = Phase::none;
    u64 since_ns = 0;
  };

  void create(const trace::Event& event);
  void exit(const trace::Event& event);
  void switch_context(const trace::Event& event);
  void end_wait(const trace::Event& event);
  void enter(u64 thread_id, Phase phase, u64 now_ns);
  [[nodiscard]] Live* find(u64 thread_id);

  u64 start_ns_;
  std::vector<ThreadRecord> records_;
  std::map<u64, Live> live_;  // by thread id; a dead thread's entry stays until its id is used again
  trace::InterruptSpan span_;
};

}  // namespace vitrine
