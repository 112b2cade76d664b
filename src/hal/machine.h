// Machine: the hardware's clocks. 1 to 64 virtual processors, each with a clock of its own in virtual time and a clock
// interrupt at a fixed interval, whose phase differs per processor and depends on the seed. Processor 0's interrupt keeps
// the interrupt time and the system time, as NT's does.
//
// Owns time only. It never runs anything and never reads host time. Times never go backwards, except the system time when
// somebody sets it.
#pragma once

#include <vector>

#include "base/types.h"
#include "hal/topology.h"
#include "sim/cost_table.h"

namespace vitrine::hal {

inline constexpr u64 kTscHz = 3'000'000'000;           // three cycles a nanosecond
inline constexpr u64 kCyclesPerNanosecond = 3;
inline constexpr u64 kPerformanceCounterHz = 10'000'000;  // what Windows 10 reports for QueryPerformanceFrequency
// 2030-01-01 00:00 UTC as a FILETIME: the same in every run, and later than the files that a host holds today, so that what a
// guest writes is newer to it than what it read.
inline constexpr Ticks kDefaultBootTime{135'379'296'000'000'000};

struct MachineOptions {
  u32 processor_count = 1;
  u32 threads_per_core = 1;             // hal::Topology
  u32 nodes = 1;
  u64 seed = 0;
  u32 clock_interval_100ns = 156'250;   // sim::SchedulerPolicy
  Ticks boot_time = kDefaultBootTime;   // FILETIME of the system clock at interrupt time 0
  Ticks uptime{};                       // how long it has been up when the first processor starts, rounded down to ticks
};

class Machine {
 public:
  // Precondition: 1 <= processor_count <= 64, the topology is valid and the interval is at least 0.5 ms.
  explicit Machine(const MachineOptions& options);
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  [[nodiscard]] u32 processor_count() const { return static_cast<u32>(processors_.size()); }
  [[nodiscard]] const Topology& topology() const { return topology_; }
  [[nodiscard]] u64 seed() const { return seed_; }

  // A processor's clock.
  [[nodiscard]] Nanoseconds clock(u32 processor) const { return processors_[processor].clock; }
  void advance(u32 processor, Nanoseconds time) { processors_[processor].clock += time; }
  // For prices below a nanosecond; the remainder is kept.
  void advance_picoseconds(u32 processor, u64 picoseconds);
  // Moves an idle processor's clock up to `time`; does nothing when it is there already. Its clock interrupts in between
  // stay due.
  void catch_up(u32 processor, Nanoseconds time);

  // When the processor's next clock interrupt is due. A late one (the clock is already past it) is simply due.
  [[nodiscard]] Nanoseconds next_tick(u32 processor) const { return processors_[processor].next_tick; }
  [[nodiscard]] bool is_tick_due(u32 processor) const {
    return processors_[processor].clock >= processors_[processor].next_tick;
  }
  // Takes one clock interrupt: the next one is due an interval later; processor 0's moves interrupt and system time.
  // Precondition: is_tick_due().
  void take_tick(u32 processor);
  // Skips the clock interrupts of an idle processor that lie before `time`, keeping its phase, and sets its clock to `time`
  // at least. Processor 0's skipped interrupts still count for interrupt time. Returns how many were skipped.
  u64 skip_ticks(u32 processor, Nanoseconds time);
  // Processor 0's clock at the first interrupt that makes interrupt_time() reach `due`: now's next tick at the earliest.
  [[nodiscard]] Nanoseconds tick_reaching(Ticks due) const;

  [[nodiscard]] u32 clock_interval_100ns() const { return interval_100ns_; }
  [[nodiscard]] Nanoseconds clock_interval() const { return {u64{interval_100ns_} * 100}; }
  // 100 ns units since boot, in steps of the clock interval.
  [[nodiscard]] Ticks interrupt_time() const { return {static_cast<i64>(tick_count_ * interval_100ns_)}; }
  // FILETIME, in the same steps.
  [[nodiscard]] Ticks system_time() const { return boot_time_ + interrupt_time(); }
  [[nodiscard]] Ticks boot_time() const { return boot_time_; }
  void set_system_time(Ticks time) { boot_time_ = time - interrupt_time(); }
  // Clock interrupts of processor 0 since boot (KeTickCount).
  [[nodiscard]] u64 tick_count() const { return tick_count_; }

  [[nodiscard]] u64 time_stamp(u32 processor) const;           // TSC: cycles
  [[nodiscard]] u64 performance_counter(u32 processor) const;  // 10 MHz

 private:
  struct Processor {
    Nanoseconds clock{};
    u32 picoseconds = 0;   // below one nanosecond
    Nanoseconds next_tick{};
  };
  std::vector<Processor> processors_;
  Topology topology_;
  u64 seed_;
  u32 interval_100ns_;
  Ticks boot_time_;
  u64 tick_count_ = 0;
};

}  // namespace vitrine::hal
