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

  // An interrupt from outside (Ctrl-C): after how many windows of the run loop, and after how many entries.
  struct Interrupt {
    u64 windows;
    std::size_t entries;
  };
  void record_interrupt(u64 windows) { interrupts_.push_back({windows, entries_.size()}); }
  // In a replay: one is due now; takes it.
  [[nodiscard]] bool take_interrupt(u64 windows) {
    if (next_interrupt_ == interrupts_.size()) return false;
    const Interrupt& due = interrupts_[next_interrupt_];
    if (windows < due.windows || next_ < due.entries) return false;
    ++next_interrupt_;
    return true;
  }
  // Columns and rows of the terminal when the run began; 0: not recorded.
  u16 terminal_columns = 0, terminal_rows = 0;

  void record(Entry entry) { entries_.push_back(std::move(entry)); }
  // Starts again from the first entry, as a replay.
  void rewind() { next_ = next_interrupt_ = 0; }
  // The next entry of a replay; empty when the log is used up (the runs have parted).
  [[nodiscard]] std::optional<Entry> next() {
    if (next_ == entries_.size()) return std::nullopt;
    return entries_[next_++];
  }

 private:
  std::vector<Entry> entries_;
  std::vector<Interrupt> interrupts_;
  std::size_t next_ = 0, next_interrupt_ = 0;
};

}  // namespace vitrine::sim
