#include "hal/machine.h"

#include <gtest/gtest.h>

#include <set>

namespace vitrine::hal {
namespace {

constexpr u64 kTick = 15'625'000;

// DESIGN 3.6: the seed varies the processors' phase and nothing else here.
TEST(Machine, PhasesDifferByProcessorAndSeedAndLieWithinOneInterval) {
  Machine a({.processor_count = 8, .seed = 1}), b({.processor_count = 8, .seed = 1}),
      c({.processor_count = 8, .seed = 2});
  std::set<u64> phases;
  bool differs = false;
  for (u32 p = 0; p < 8; ++p) {
    EXPECT_EQ(a.next_tick(p), b.next_tick(p));
    EXPECT_GT(a.next_tick(p).value, 0u);
    EXPECT_LE(a.next_tick(p).value, kTick);
    phases.insert(a.next_tick(p).value);
    differs |= a.next_tick(p) != c.next_tick(p);
  }
  EXPECT_GT(phases.size(), 6u);
  EXPECT_TRUE(differs);
}

TEST(Machine, PicosecondsAddUpWithoutLoss) {
  Machine m({});
  for (int i = 0; i < 3000; ++i) m.advance_picoseconds(0, 333);
  EXPECT_EQ(m.clock(0).value, 999u);
  EXPECT_EQ(m.time_stamp(0), 2997u);
  m.advance_picoseconds(0, 1000);
  EXPECT_EQ(m.clock(0).value, 1000u);
}

TEST(Machine, OnlyProcessorZeroKeepsTime) {
  Machine m({.processor_count = 2});
  m.catch_up(1, m.next_tick(1));
  m.take_tick(1);
  EXPECT_EQ(m.tick_count(), 0u);
  m.catch_up(0, m.next_tick(0));
  const Nanoseconds first = m.next_tick(0);
  m.take_tick(0);
  EXPECT_EQ(m.tick_count(), 1u);
  EXPECT_EQ(m.interrupt_time().value, 156'250);
  EXPECT_EQ(m.system_time().value - m.boot_time().value, 156'250);
  EXPECT_EQ(m.next_tick(0).value, first.value + kTick);
}

TEST(Machine, AClockNeverGoesBack) {
  Machine m({});
  m.advance(0, {5000});
  m.catch_up(0, {4000});
  EXPECT_EQ(m.clock(0).value, 5000u);
  EXPECT_EQ(m.skip_ticks(0, {100}), 0u);
  EXPECT_EQ(m.clock(0).value, 5000u);
}

TEST(Machine, SkippedTicksCountAndKeepThePhase) {
  Machine m({});
  const u64 phase = m.next_tick(0).value;
  EXPECT_EQ(m.skip_ticks(0, {phase + 10 * kTick}), 10u);  // the one exactly then is not skipped
  EXPECT_EQ(m.tick_count(), 10u);
  EXPECT_EQ(m.next_tick(0).value, phase + 10 * kTick);
  EXPECT_TRUE(m.is_tick_due(0));
}

// The tick that a timer needs is the first whose interrupt time reaches it, also when it is due already.
TEST(Machine, TheTickReachingADueTimeIsTheFirstThatDoes) {
  Machine m({});
  for (const i64 due : {i64{0}, i64{1}, i64{156'250}, i64{156'251}, i64{15'625'000}}) {
    Machine n({});
    n.skip_ticks(0, n.tick_reaching({due}));
    n.take_tick(0);
    EXPECT_GE(n.interrupt_time().value, due);
    EXPECT_LT(n.interrupt_time().value - due, 156'250 + (due == 0 ? 1 : 0));
  }
  EXPECT_EQ(m.tick_reaching({-5}), m.next_tick(0));
  EXPECT_EQ(m.tick_reaching({std::numeric_limits<i64>::max()}).value, std::numeric_limits<u64>::max());
}

TEST(Machine, SettingTheSystemTimeLeavesInterruptTimeAlone) {
  Machine m({});
  m.skip_ticks(0, {10 * kTick});
  const Ticks before = m.interrupt_time();
  m.set_system_time({42});
  EXPECT_EQ(m.system_time().value, 42);
  EXPECT_EQ(m.interrupt_time(), before);
}

TEST(Machine, StartsWithTheUptimeAskedForOnEveryClock) {
  Machine machine({.processor_count = 2, .seed = 3, .clock_interval_100ns = 100'000, .uptime = {605'000}});
  EXPECT_EQ(machine.tick_count(), 6u);
  EXPECT_EQ(machine.interrupt_time(), Ticks{600'000});
  for (u32 p = 0; p < 2; ++p) {
    EXPECT_EQ(machine.clock(p).value, 60'000'000u);
    EXPECT_GT(machine.next_tick(p).value, 60'000'000u);
    EXPECT_LE(machine.next_tick(p).value, 70'000'000u);
  }
}

}  // namespace
}  // namespace vitrine::hal
