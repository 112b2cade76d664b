// InputLog: everything that a run learned from outside while it ran, in the order in which it learned it. A run with a log
// to replay asks it instead of the host, and so repeats exactly.
#pragma once

#include <optional>
#include <vector>

#include "base/types.h"

namespace vitrine::sim {

class InputLog {
 public:
  enum class Outcome : u8 {
    nothing,      // asked, and nothing had arrived
    arrived,      // `bytes` arrived
    ended,        // the input is at its end
    timer_first,  // while waiting, the next timer was due before anything arrived
  };
  struct Entry {
    Outcome outcome;
    std::vector<u8> bytes;
  };

  // What came without being asked for: Ctrl-C, or a new size of the terminal.
  struct Signal {
    u16 columns = 0, rows = 0;  // both 0: Ctrl-C
    [[nodiscard]] bool is_resize() const { return columns != 0; }
  };
  // `windows`: after how many windows of the run loop.
  void record_signal(u64 windows, Signal signal) { signals_.push_back({signal, windows, entries_.size()}); }
  // In a replay: the one that is due now, taken.
  [[nodiscard]] std::optional<Signal> take_signal(u64 windows) {
    if (next_signal_ == signals_.size()) return std::nullopt;
    const Arrival& due = signals_[next_signal_];
    if (windows < due.windows || next_ < due.entries) return std::nullopt;
    ++next_signal_;
    return due.signal;
  }
  // Columns and rows of the terminal when the run began; 0: not recorded.
  u16 terminal_columns = 0, terminal_rows = 0;

  void record(Entry entry) { entries_.push_back(std::move(entry)); }
  // Starts again from the first entry, as a replay.
  void rewind() { next_ = next_signal_ = 0; }
  // The next entry of a replay; empty when the log is used up (the runs have parted).
  [[nodiscard]] std::optional<Entry> next() {
    if (next_ == entries_.size()) return std::nullopt;
    return entries_[next_++];
  }

 private:
  struct Arrival {
    Signal signal;
    u64 windows;
    std::size_t entries;  // taken before it
  };
  std::vector<Entry> entries_;
  std::vector<Arrival> signals_;
  std::size_t next_ = 0, next_signal_ = 0;
};

}  // namespace vitrine::sim
