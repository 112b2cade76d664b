#include "dispatcher_bench.h"

namespace vitrine::ke {
namespace {

using testing::ElementsAre;
constexpr i64 kMs = 10'000;  // 100 ns

// facts 7.4: resolution is one clock tick; a relative timeout is never early.
TEST(Timer, ARelativeTimeoutEndsAtTheFirstTickAtOrAfterIt) {
  Bench b;  // 10 ms ticks
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    co_return co_await b.kernel.delay_execution(&self.thread, Bench::timed(-25 * kMs));
  });
  b.run_all();
  EXPECT_EQ(t.result, Status::success);
  EXPECT_EQ(b.kernel.interrupt_time().value, 30 * kMs);
  b.stop();
}

// facts 7.3: absolute timeouts are in system time; one that has passed is over at once.
TEST(Timer, AnAbsoluteTimeoutIsSystemTimeAndMayBePast) {
  Bench b;
  Event never(EventKind::notification);
  const i64 boot = b.machine.boot_time().value;
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    EXPECT_EQ(co_await b.kernel.wait_single(&self.thread, &never.header, Bench::timed(boot - 1)), Status::timeout);
    EXPECT_EQ(b.kernel.interrupt_time().value, 0);
    co_return co_await b.kernel.wait_single(&self.thread, &never.header, Bench::timed(boot + 50 * kMs));
  });
  b.run_all();
  EXPECT_EQ(t.result, Status::timeout);
  EXPECT_EQ(b.kernel.interrupt_time().value, 50 * kMs);
  b.stop();
}

// facts 7.3: setting the clock moves absolute timers and leaves relative ones alone.
TEST(Timer, SettingTheClockMovesAbsoluteTimersOnly) {
  Bench b;
  Timer absolute(TimerKind::notification), relative(TimerKind::notification);
  const i64 boot = b.machine.boot_time().value;
  b.kernel.set_timer(absolute, {boot + 1000 * kMs});
  b.kernel.set_timer(relative, {-1000 * kMs});
  b.kernel.set_system_time({boot + 900 * kMs});
  EXPECT_EQ(b.kernel.timer_remaining(absolute).value, 100 * kMs);
  EXPECT_EQ(b.kernel.timer_remaining(relative).value, 1000 * kMs);
  b.check();
  b.kernel.cancel_timer(relative);
  b.run_all();
  EXPECT_EQ(absolute.header.signal_state, 1);
  EXPECT_EQ(b.kernel.interrupt_time().value, 100 * kMs);
  b.stop();
}

// facts 7.2: a synchronization timer wakes one waiter, a notification timer all.
TEST(Timer, KindsDifferInHowManyTheyWake) {
  Bench b;
  Timer one(TimerKind::synchronization), all(TimerKind::notification);
  int woken_one = 0, woken_all = 0;
  for (int i = 0; i < 3; ++i) {
    b.spawn(8, [&](TestThread& t) -> Task<Status> {
      if (is_success(co_await b.kernel.wait_single(&t.thread, &all.header, Bench::forever()))) ++woken_all;
      if (is_success(co_await b.kernel.wait_single(&t.thread, &one.header, Bench::forever()))) ++woken_one;
      co_return Status::success;
    });
  }
  b.run_all();
  b.kernel.set_timer(all, {-5 * kMs});
  b.run_all();
  EXPECT_EQ(woken_all, 3);
  b.kernel.set_timer(one, {-5 * kMs});
  b.run_all();
  EXPECT_EQ(woken_one, 1);
  b.stop();
}

// facts 7.4: timers that expire in one tick do so in the order of their due times, equal ones as they were set.
TEST(Timer, TimersOfOneTickExpireByDueTimeThenBySetting) {
  Bench b;
  const i64 due[] = {-8 * kMs, -3 * kMs, -8 * kMs, -1 * kMs};
  for (int i = 0; i < 4; ++i) {
    b.spawn(8, [&, i](TestThread& t) -> Task<Status> {
      (void)co_await b.kernel.delay_execution(&t.thread, Bench::timed(due[i]));
      b.say(std::to_string(i));
      co_return Status::success;
    });
  }
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre("3", "1", "0", "2"));
  b.stop();
}

struct Periodic {
  static void on_dpc(Kernel& kernel, Dpc&, void* context) {
    auto& self = *static_cast<Periodic*>(context);
    self.times.push_back(kernel.interrupt_time().value / kMs);
    if (self.times.size() == 4) kernel.cancel_timer(self.timer);
  }
  Timer timer{TimerKind::notification};
  Dpc dpc{on_dpc, this};
  std::vector<i64> times;
};

// facts 7.4: a periodic timer's next due time is the previous due time plus the period.
TEST(Timer, APeriodicTimerDoesNotDrift) {
  Bench b;
  Periodic p;
  b.kernel.set_timer(p.timer, {-15 * kMs}, 25, &p.dpc);  // due 15, 40, 65, 90: ticks 20, 40, 70, 90
  b.run_all();
  EXPECT_THAT(p.times, ElementsAre(20, 40, 70, 90));
  b.stop();
}

TEST(Timer, SettingASetTimerAgainReplacesIt) {
  Bench b;
  Timer t(TimerKind::notification);
  EXPECT_FALSE(b.kernel.set_timer(t, {-500 * kMs}));
  EXPECT_TRUE(b.kernel.set_timer(t, {-20 * kMs}));
  b.run_all();
  EXPECT_EQ(t.header.signal_state, 1);
  EXPECT_EQ(b.kernel.interrupt_time().value, 20 * kMs);
  EXPECT_FALSE(b.kernel.set_timer(t, {-20 * kMs}));
  EXPECT_EQ(t.header.signal_state, 0);
  EXPECT_TRUE(b.kernel.cancel_timer(t));
  EXPECT_FALSE(b.kernel.cancel_timer(t));
  b.stop();
}

TEST(Timer, TheSmallestAndLargestTimeoutsNeverComeAndDoNoHarm) {
  Bench b;
  for (const i64 timeout :
       {std::numeric_limits<i64>::min(), std::numeric_limits<i64>::max(), i64{std::numeric_limits<i64>::min() + 1}}) {
    b.spawn(8, [&, timeout](TestThread& t) -> Task<Status> {
      co_return co_await b.kernel.delay_execution(&t.thread, Bench::timed(timeout));
    });
  }
  b.run_all();
  for (auto& t : b.threads) EXPECT_EQ(t->thread.state, ThreadState::waiting);
  b.stop();
}

// DESIGN 3.6: idle time is skipped, whatever its length, in a few steps.
TEST(Timer, AYearOfIdleTimeIsSkipped) {
  Bench b(4);
  b.spawn(8, [&](TestThread& t) -> Task<Status> {
    co_return co_await b.kernel.delay_execution(&t.thread, Bench::timed(-i64{365} * 24 * 3600 * 10'000'000));
  });
  b.run_all(50);
  EXPECT_EQ(b.threads[0]->result, Status::success);
  EXPECT_EQ(b.kernel.interrupt_time().value, i64{365} * 24 * 3600 * 10'000'000);
  b.stop();
}

TEST(Timer, TheTableFindsTheEarliestAmongManyInDueOrder) {
  TimerTable table(16, 100'000);
  std::deque<TimerCore> timers;
  u64 x = 12345;
  for (int i = 0; i < 500; ++i) {
    auto& t = timers.emplace_back(DispatcherType::notification_timer);
    x = x * 6364136223846793005ull + 1442695040888963407ull;
    t.due = {static_cast<i64>(x >> 40)};
    table.insert(t);
  }
  for (int i = 0; i < 500; i += 3) table.remove(timers[static_cast<std::size_t>(i)]);
  Ticks last{-1};
  u64 count = table.count();
  while (TimerCore* t = table.expire_one({1 << 24})) {
    EXPECT_LE(last, t->due);
    last = t->due;
    --count;
  }
  EXPECT_EQ(count, 0u);
  EXPECT_EQ(table.earliest(), std::nullopt);
}

// facts 7.4: 5.2 has one table of 512 lists, 6.1 one of 256 per processor; who holds the timer expires it, in a DPC.
TEST(Timer, TheTableIsOneOrOnePerProcessorByProfile) {
  for (const char* profile : {"nt52-x64", "nt61-x64"}) {
    Bench b(4, profile);
    const bool per_processor = std::string_view(profile) == "nt61-x64";
    EXPECT_EQ(b.profile.scheduler.timer_table_size, per_processor ? 256u : 512u);
    u32 expired_on = 99;
    Irql level{};
    struct Seen {
      u32& processor;
      Irql& level;
    } seen{expired_on, level};
    Dpc dpc(
        [](Kernel& kernel, Dpc&, void* context) {
          static_cast<Seen*>(context)->processor = kernel.executing_processor();
          static_cast<Seen*>(context)->level = kernel.irql();
        },
        &seen);
    Timer timer(TimerKind::notification);
    b.kernel.enter(2);
    b.kernel.set_timer(timer, Ticks{-200'000}, 0, &dpc);
    EXPECT_EQ(timer.header.inserted, per_processor ? 3 : 1);
    b.run_all();
    EXPECT_EQ(timer.header.signal_state, 1);
    EXPECT_EQ(expired_on, per_processor ? 2u : 0u) << profile;
    EXPECT_EQ(level, Irql::dispatch);
    b.stop();
  }
}

}  // namespace
}  // namespace vitrine::ke
