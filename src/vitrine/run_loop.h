// RunLoop: drives a machine window by window until its main process ends or something outside ends it. A window is at most
// 10,000 instructions (a million while all others are idle) of one thread on the processor whose clock is least; every effect on
// another processor is seen at that one's next window edge. So a run is a pure function of the machine's state and its input.
#pragma once

#include <atomic>
#include <functional>

#include "vitrine/host_watch.h"
#include "vitrine/machine.h"
#include "vitrine/run.h"

namespace vitrine {

class RunLoop {
 public:
  struct Limits {
    double timeout_seconds = 0;
    u64 host_bytes = 0;
    const std::atomic<bool>* interrupt = nullptr;
    const HostSignals* signals = nullptr;
    bool check_invariants = false;
    std::function<void()> between_windows;  // may be empty; looks only
  };
  RunLoop(Machine& machine, const Limits& limits) : machine_(machine), limits_(limits), watch_(limits.timeout_seconds, limits.host_bytes) {}

  // Runs until `main` has ended, or something outside ends the run: then at rest, if nothing is ready within some windows more.
  RunEnd run(const ps::Process& main);
  // Then, until nothing is ready any more: what CSRSS has yet to hear of, for whoever looks at the books.
  void settle(u64 most_windows = ~0ull);

  [[nodiscard]] u64 instructions() const { return instructions_; }
  [[nodiscard]] u64 windows() const { return windows_; }
  [[nodiscard]] u64 system_calls() const { return system_calls_; }
  [[nodiscard]] u64 host_nanoseconds() const { return watch_.elapsed_ns(); }

 private:
  // How a thread's turn within a window ends.
  enum class Turn : u8 { goes_on, over };

  RunEnd run_to_an_end(const ps::Process& main);
  bool next_window();
  void window(u32 processor);
  Turn turn(u32 processor, ps::Thread& thread, u64& budget);
  Turn at_boundary(ps::Thread& thread);
  Turn run_user(u32 processor, ps::Thread& thread, u64& budget);
  Turn handle_exit(u32 processor, ps::Thread& thread, const cpu::Exit& exit);
  void handle_page_fault(u32 processor, ps::Thread& thread, const cpu::Exit& exit);
  // Instructions. `alone`: all other processors are idle.
  [[nodiscard]] u64 window_budget(u32 processor, bool alone) const;
  [[nodiscard]] u64 instructions_until(u32 processor, u64 nanosecond) const;
  [[nodiscard]] u64 longest_window(bool alone) const;
  [[nodiscard]] u64 instruction_price() const;  // picoseconds, at least one
  // Nothing can run: waits for host input if a thread wants some. False: nothing will ever happen.
  bool wait_for_input();
  // What came from the terminal since the last look: the programs learn of it. False: Ctrl-C, and nobody can.
  bool pass_signals();
  bool pass_signal(sim::InputLog::Signal signal);
  void check_invariants() const;
  void show_time();
  void charge(u32 processor, const sim::Cost& cost) {
    machine_.kernel.charge_picoseconds(processor, cost.picoseconds, ke::Mode::kernel);
  }

  Machine& machine_;
  Limits limits_;
  HostWatch watch_;
  u64 instructions_ = 0;
  u64 system_calls_ = 0;
  u64 windows_ = 0;
  u32 control_c_seen_ = 0, resized_seen_ = 0;
  u64 shown_tick_ = ~0ull;
  u64 waited_ns_ = 0;  // host time spent waiting for input since the guest last ran
};

}  // namespace vitrine
