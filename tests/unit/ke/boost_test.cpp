// Rules of priorities, quanta and boosts that scheduler_test leaves [facts 6.1, 6.4 to 6.6].
#include "dispatcher_bench.h"

namespace vitrine::ke {
namespace {

constexpr u64 kMillisecond = 1'000'000;
constexpr ApcOperations kNoOperations{nullptr, nullptr, nullptr};

// Waits for the event as often as it is woken.
Bench::Body waits_for(Bench& b, Event& e, Mode mode = Mode::user) {
  return [&b, &e, mode](TestThread& t) -> Task<Status> {
    while (!b.stopping) (void)co_await b.kernel.wait_single(&t.thread, &e.header, Bench::forever(mode));
    co_return Status::success;
  };
}

// facts 6.1: priority 0 is the zero-page thread's: nobody else is set to it.
TEST(Priority, ZeroIsForTheZeroPageThreadOnly) {
  Bench b;
  auto& t = b.spinner(8);
  EXPECT_EQ(b.kernel.set_priority(t.thread, 0), 8);
  EXPECT_EQ(t.thread.priority, 1);
  auto& zero_page = b.spawn(0, nullptr, {}, true);
  zero_page.burn_ns = kForever;
  b.kernel.ready_thread(zero_page.thread);
  b.run_ms(50);
  EXPECT_EQ(zero_page.thread.priority, 0);
  EXPECT_EQ(zero_page.thread.cycle_time, 0u) << "everybody comes before it";
  b.stop();
}

// facts 6.4: a real-time thread, and one whose base is 14 or more, has its whole quantum after every wait, without
// cost.
TEST(WaitQuantum, IsWholeForRealTimeThreadsAndBasesFromFourteen) {
  for (const auto& [base, expected] : {std::pair<Priority, int>{13, 3}, {14, 6}, {15, 6}, {16, 6}, {24, 6}}) {
    Bench b;
    Event e(EventKind::synchronization);
    auto& t = b.spawn(base, waits_for(b, e));
    b.run_all();
    t.thread.quantum = 4;
    b.kernel.set_event(e, 0);
    EXPECT_EQ(t.thread.quantum, expected) << "base " << int{base};
    EXPECT_EQ(t.thread.priority, base);
    b.stop();
  }
}

// facts 6.4: when a wait uses up the quantum of a boosted thread, the priority takes its step down there.
TEST(WaitQuantum, UsedUpByAWaitCostsAStepOfTheBoost) {
  Bench b;
  Event e(EventKind::synchronization);
  auto& t = b.spawn(8, waits_for(b, e));
  b.run_all();
  b.kernel.set_event(e, 6);
  b.run_all();
  EXPECT_EQ(t.thread.priority, 14);
  t.thread.quantum = 1;
  b.kernel.set_event(e, 0);
  EXPECT_EQ(t.thread.priority, 13);
  EXPECT_EQ(t.thread.quantum, 6);
  b.stop();
}

// facts 6.5 [WDK]: what each kind of wake-up adds to the base.
TEST(WaitBoost, IsTheIncrementOfWhatWokeTheThread) {
  struct Row {
    i8 increment;
    int expected;
  };
  for (const Row row : {Row{kIncrementDisk, 1}, Row{kIncrementEvent, 1}, Row{kIncrementSemaphore, 1},
                        Row{kIncrementMutant, 1}, Row{kIncrementNetwork, 2}, Row{kIncrementNamedPipe, 2},
                        Row{kIncrementSerial, 2}, Row{kIncrementKeyboard, 6}, Row{kIncrementSound, 8}}) {
    Bench b;
    Event e(EventKind::synchronization);
    auto& t = b.spawn(5, waits_for(b, e));
    b.run_all();
    b.kernel.set_event(e, row.increment);
    EXPECT_EQ(t.thread.priority, 5 + row.expected);
    b.stop();
  }
}

// facts 6.5: it is added to the base: a thread that is above that already keeps what it has.
TEST(WaitBoost, IsAddedToTheBaseNotToThePriority) {
  Bench b;
  Event e(EventKind::synchronization);
  auto& t = b.spawn(8, waits_for(b, e));
  b.run_all();
  b.kernel.set_event(e, 6);
  b.run_all();
  b.kernel.set_event(e, 2);
  EXPECT_EQ(t.thread.priority, 14);
  b.stop();
}

// facts 6.5: a thread that is told to end is woken with 2.
TEST(ExitApc, WakesItsThreadWithTwo) {
  Bench b;
  Event never(EventKind::notification);
  auto& t = b.spawn(8, waits_for(b, never));
  b.run_all();
  Apc exit;
  Kernel::init_apc(exit, t.thread, ApcKind::special_kernel, kNoOperations);
  EXPECT_TRUE(b.kernel.insert_exit_apc(exit));
  EXPECT_EQ(t.thread.priority, 10);
  b.stop();
}

// facts 6.5: the lock boost gives at least 4 units, of which the wait takes one; who has more keeps it; who is above it
// or has boosts disabled gets nothing.
TEST(LockBoost, GivesAtLeastFourUnitsAndNothingToWhoIsAboveOrDisabled) {
  struct Row {
    Priority waiter;
    i8 quantum;
    bool disabled;
    int priority, units;
  };
  for (const Row row :
       {Row{4, 1, false, 11, 3}, Row{4, 6, false, 11, 5}, Row{12, 2, false, 12, 2}, Row{4, 2, true, 4, 2}}) {
    Bench b;
    Event e(EventKind::synchronization);
    auto& t = b.spawn(row.waiter, waits_for(b, e, Mode::kernel));
    b.run_all();
    t.thread.quantum = row.quantum;
    b.kernel.set_disable_boost(t.thread, row.disabled);
    b.spawn(10, [&](TestThread&) -> Task<Status> {
      b.kernel.set_event_boost_priority(e);
      EXPECT_EQ(t.thread.priority, row.priority);
      EXPECT_EQ(t.thread.quantum, row.units);
      co_return Status::success;
    });
    b.run_all();
    b.stop();
  }
}

class StarvationScan : public testing::Test {
 protected:
  StarvationScan() {
    b.window_ns = 10 * kMillisecond;
    b.check_every = 1000;
    b.spinner(15);
    b.step();
  }
  ~StarvationScan() override { b.stop(); }
  void starve(Priority priority, int count) {
    for (int i = 0; i < count; ++i) b.spinner(priority);
  }
  void pass_ticks(u64 ticks) { b.machine.skip_ticks(0, {b.machine.clock(0).value + ticks * 10 * kMillisecond}); }
  int scan() {
    b.kernel.enter(0);
    b.kernel.scan_ready_queues();
    int boosted = 0;
    for (auto& t : b.threads) boosted += t->thread.base_priority < 15 && t->thread.priority == 15;
    return boosted;
  }
  Bench b;
};

// facts 6.6: it looks at 16 threads a pass, whether they starve or not, and goes on behind them in the next one.
TEST_F(StarvationScan, LooksAtSixteenThreadsAPassAndGoesOnWhereItStopped) {
  starve(7, 1);
  pass_ticks(301);
  starve(2, 16);  // these have just come
  EXPECT_EQ(scan(), 0);
  EXPECT_EQ(b.kernel.processor(0).queue_index, 3);
  EXPECT_EQ(scan(), 1);
}

// facts 6.6: not before 300 ticks, and then with 15 and four units; the rest of the boost is what falls off at once.
TEST_F(StarvationScan, BoostsWhoHasBeenReadyForThreeHundredTicks) {
  starve(4, 1);
  const Thread& t = b.threads.back()->thread;
  pass_ticks(299);
  EXPECT_EQ(scan(), 0);
  pass_ticks(2);
  EXPECT_EQ(scan(), 1);
  EXPECT_EQ(b.kernel.processor(0).queue_index, 1) << "no limit was hit: the next pass begins at 1 again";
  EXPECT_EQ(t.priority_decrement, 11);
  EXPECT_EQ(t.quantum, 4);
}

// facts 6.5: to disable boosts does not disable this one.
TEST_F(StarvationScan, SparesNobodyWhoseBoostsAreDisabled) {
  starve(4, 1);
  b.kernel.set_disable_boost(b.threads.back()->thread, true);
  pass_ticks(301);
  EXPECT_EQ(scan(), 1);
}

// facts 6.6: ready priorities 1 to 14 only.
TEST_F(StarvationScan, LooksAtPrioritiesOneToFourteen) {
  starve(14, 1);
  starve(1, 1);
  starve(15, 1);
  auto& zero_page = b.spawn(0, nullptr, {}, true);
  zero_page.burn_ns = kForever;
  b.kernel.ready_thread(zero_page.thread);
  pass_ticks(301);
  EXPECT_EQ(scan(), 2);
  EXPECT_EQ(zero_page.thread.priority, 0);
}

}  // namespace
}  // namespace vitrine::ke
