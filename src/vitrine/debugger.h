// Debugger: brings kd to a run: keeps its history, waits for the moment that the user named and hands what the commands
// say to whoever shows it. It only listens and looks: a run with it is the run without it.
#pragma once

#include <optional>
#include <string>

#include "kd/history.h"
#include "kd/target.h"
#include "vitrine/machine.h"
#include "vitrine/run.h"

namespace vitrine {

// What is wrong with `when`, one line; empty: nothing.
[[nodiscard]] std::string check_debug_event(std::string_view when);

class Debugger {
 public:
  // Both outlive it; `options` are valid. Made before the program starts.
  Debugger(Machine& machine, const DebugOptions& options);
  Debugger(const Debugger&) = delete;
  Debugger& operator=(const Debugger&) = delete;

  // The program whose exit is looked at.
  void watch(const ps::Process& process) { main_ = &process; }
  // Nothing runs now; idle time may be about to be skipped.
  void between_windows();
  void run_ended(RunEnd end);

 private:
  struct Event {
    std::string_view name, detail, thread;  // parts of `when`
  };
  [[nodiscard]] static Event parse(std::string_view when);
  void observe(const trace::Event& event);
  [[nodiscard]] bool is_exit(const trace::Event& event) const;
  [[nodiscard]] bool matches(const trace::Event& event) const;
  [[nodiscard]] bool is_wanted_thread(u64 id) const;
  void look(const std::string& moment);

  Machine& machine_;
  const DebugOptions& options_;
  Event event_;
  kd::History history_;
  kd::Target target_;
  const ps::Process* main_ = nullptr;
  bool looked_ = false;
  bool somebody_waits_anew_ = false;  // since the last window
};

}  // namespace vitrine
