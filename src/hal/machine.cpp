#include "hal/machine.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "sim/random.h"

namespace vitrine::hal {

Machine::Machine(const MachineOptions& options)
    : topology_{options.processor_count / options.threads_per_core, options.threads_per_core, options.nodes},
      seed_(options.seed), interval_100ns_(options.clock_interval_100ns), boot_time_(options.boot_time) {
  VITRINE_CHECK(options.processor_count >= 1 && options.processor_count <= 64);
  VITRINE_CHECK(topology_.valid() && topology_.processors() == options.processor_count);
  VITRINE_CHECK(interval_100ns_ >= 5'000);  // 0.5 ms: the shortest hardware tick
  sim::Random random(options.seed, "clock phase");
  processors_.resize(options.processor_count);
  // The interrupts of different processors do not coincide on real machines either; where they fall is the seed's
  // choice.
  tick_count_ = static_cast<u64>(std::max<i64>(options.uptime.value, 0)) / interval_100ns_;
  const u64 start = tick_count_ * clock_interval().value;
  for (Processor& processor : processors_) {
    processor.clock = {start};
    processor.next_tick = {start + 1 + random.below(clock_interval().value)};
  }
}

void Machine::advance_picoseconds(u32 processor, u64 picoseconds) {
  Processor& p = processors_[processor];
  const u64 sum = p.picoseconds + picoseconds % 1000;
  p.clock.value += picoseconds / 1000 + sum / 1000;
  p.picoseconds = static_cast<u32>(sum % 1000);
}

void Machine::catch_up(u32 processor, Nanoseconds time) {
  processors_[processor].clock = std::max(processors_[processor].clock, time);
}

void Machine::take_tick(u32 processor) {
  Processor& p = processors_[processor];
  VITRINE_CHECK(p.clock >= p.next_tick);
  p.next_tick += clock_interval();
  if (processor == 0) ++tick_count_;
}

u64 Machine::skip_ticks(u32 processor, Nanoseconds time) {
  Processor& p = processors_[processor];
  catch_up(processor, time);
  if (p.next_tick >= time) return 0;
  const u64 interval = clock_interval().value;
  const u64 skipped = (time.value - p.next_tick.value + interval - 1) / interval;
  p.next_tick.value += skipped * interval;
  if (processor == 0) tick_count_ += skipped;
  return skipped;
}

Nanoseconds Machine::tick_reaching(Ticks due) const {
  const Nanoseconds next = processors_[0].next_tick;
  if (due.value <= 0) return next;
  const u64 wanted = (static_cast<u64>(due.value) + interval_100ns_ - 1) / interval_100ns_;
  if (wanted <= tick_count_ + 1) return next;
  const u64 further = wanted - tick_count_ - 1;
  constexpr u64 kForever = std::numeric_limits<u64>::max();
  if (further > (kForever - next.value) / clock_interval().value) return {kForever};
  return {next.value + further * clock_interval().value};
}

u64 Machine::time_stamp(u32 processor) const {
  const Processor& p = processors_[processor];
  return p.clock.value * kCyclesPerNanosecond + p.picoseconds * kCyclesPerNanosecond / 1000;
}

u64 Machine::performance_counter(u32 processor) const {
  return processors_[processor].clock.value / (1'000'000'000 / kPerformanceCounterHz);
}

}  // namespace vitrine::hal
