// History: what cannot be read from the present: when a thread began to wait or became ready and who woke it, and who
// last signalled which object, with or without anybody waiting. It listens to trace events; a run keeps one only when
// kd was asked for.
//
// Bounded: a few numbers for each live thread; for each of the last 4,096 objects touched, the last 8 signals. It
// decides nothing, so a run with it is the run without it. What is forgotten when an object's last handle closes is
// forgotten for good: nothing is ever said of a later object in the same place.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "nt/executive.h"
#include "nt/service_table.h"
#include "trace/interrupt_span.h"

namespace vitrine::kd {

enum class SignalKind : u8 { set, pulse, reset, release, alert };

struct Signal {
  SignalKind kind{};
  u64 time_ns = 0;       // since the start
  u32 thread_id = 0;     // who did it
  bool waited = false;   // somebody waited at that moment
  i32 state_before = 0;  // the object's signal state
  u64 sequence = 0;
};

struct ThreadPast {
  u64 wait_began_ns = 0;
  u64 ready_since_ns = 0;
  u64 running_since_ns = 0;
  u64 begun_sequence = 0;       // of the last wait: signals with a lower one came before it
  std::optional<u32> woken_by;  // 0: a timer, an interrupt, the end of a request
  std::deque<Signal> alerts;    // NtAlertThreadByThreadId for this thread
};

class History {
 public:
  History(const nt::Executive& executive, const nt::ServiceTable& services, Nanoseconds start);
  void observe(const trace::Event& event);

  // Oldest first; empty: none that is remembered.
  [[nodiscard]] const std::deque<Signal>& signals(const ob::Object& object) const;
  // Null: it did nothing since the history began.
  [[nodiscard]] const ThreadPast* thread(u32 id) const;

 private:
  static constexpr std::size_t kSignalsPerObject = 8, kObjects = 4096;
  enum class Subject : u8 { object, thread, close };
  struct Watched {
    Subject subject;
    SignalKind kind;
  };
  struct ObjectPast {
    std::deque<Signal> signals;
    u64 last_sequence = 0;
  };

  void service(const trace::Event& event);
  void signal_object(const trace::Event& event, const ps::Process& process, SignalKind kind);
  void forget_handles_of(u64 process_id);
  static void push(std::deque<Signal>& signals, const Signal& signal);
  void bound_objects();

  const nt::Executive& executive_;
  u64 start_ns_;
  std::map<u64, Watched> services_;                  // by number
  std::map<const ob::Object*, ObjectPast> objects_;  // looked up only; never walked in address order to decide
  std::map<u32, ThreadPast> threads_;
  u64 sequence_ = 0;
  trace::InterruptSpan span_;
};

}  // namespace vitrine::kd
