// SliceTimer: ends KVM_RUN after a span of host time, or when another host thread asks. Both are a signal to the host
// thread that runs: its handler sets `immediate_exit` of the virtual processor that runs there, so that a signal before
// the call is not lost.
//
// Owns one POSIX timer, and for the process the signal SIGRTMIN + 7. One host thread at a time, except `interrupt`.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <ctime>

#include "base/types.h"

namespace vitrine::cpu::kvm {

class SliceTimer {
 public:
  SliceTimer() = default;
  ~SliceTimer();
  SliceTimer(const SliceTimer&) = delete;
  SliceTimer& operator=(const SliceTimer&) = delete;

  // From now on signals to this host thread set `*immediate_exit`; in `nanoseconds` (> 0) the timer sends one.
  void start(u64 nanoseconds, u8* immediate_exit);
  // Whether the timer has sent it since `start`.
  [[nodiscard]] static bool expired();
  void stop();

  // Signals the host thread between `start` and `stop`, if there is one. From any thread or signal handler.
  void interrupt() const;

 private:
  void make_timer();
  timer_t timer_{};
  pid_t owner_ = 0;  // the host thread that the timer signals; 0: there is no timer yet
  std::atomic<pid_t> running_{0};
};

}  // namespace vitrine::cpu::kvm
