// Golden schedules on 1, 2, 8 and 64 processors. What holds on any number of them is also asserted in words here, so
// that a file that was recorded wrongly cannot hide it.
#include <fmt/format.h>

#include "ke/kernel_locks.h"
#include "ke/multimedia.h"
#include "tests/scenario/ke/schedule.h"

namespace vitrine::ke {
namespace {

class Schedules : public testing::TestWithParam<u32> {
 protected:
  // One spinner per processor, named by it.
  void fill(Schedule& s, Priority priority) {
    for (u32 p = 0; p < GetParam(); ++p) {
      s.spinner(fmt::format("spinner{}", p), priority, {.ideal_processor = static_cast<u8>(p)});
    }
  }
  ThreadParameters on(u32 processor) {
    return {.affinity = AffinityMask{1} << processor, .ideal_processor = static_cast<u8>(processor)};
  }
  Bench::Body waiter(Schedule& s, Event& event, u64 burn_ns, int rounds = 1) {
    return [&s, &event, burn_ns, rounds](TestThread& t) -> Task<Status> {
      for (int i = 0; i < rounds && !s.bench.stopping; ++i) {
        (void)co_await s.bench.kernel.wait_single(&t.thread, &event.header, Bench::forever(Mode::kernel));
        co_await s.bench.burn(t, burn_ns);
      }
      co_return Status::success;
    };
  }
};

// facts 6.7, 5.1: a better thread takes its ideal processor from the one that runs there; that one goes to the head of
// its list and keeps what is left of its quantum. The other processors are not asked.
TEST_P(Schedules, Preemption) {
  Schedule s(GetParam());
  Event event(EventKind::synchronization);
  fill(s, 8);
  auto& peer = s.spinner("peer", 8, on(0));
  auto& better = s.thread("better", 12, waiter(s, event, 5'000'000), on(0));
  s.run_ticks(1);
  s.say("the event is set");
  s.bench.kernel.set_event(event);
  s.run_ticks(1);
  EXPECT_GE(better.thread.cycle_time, 5'000'000u * 3);
  EXPECT_EQ(peer.thread.cycle_time, 0u);  // spinner0 came back to the head: its two ticks are not over
  s.run_ticks(2);
  EXPECT_GT(peer.thread.cycle_time, 0u);
  s.expect("preemption", "A better thread preempts its ideal processor's; that one is first in line again [facts 6.7]");
}

// facts 6.3: 6 units are 2 ticks of 10 ms, the 20 ms of the seed's article; at their end a peer runs and the thread is
// last in line.
TEST_P(Schedules, QuantumEnd) {
  Schedule s(GetParam());
  for (u32 p = 0; p < GetParam(); ++p) {
    s.spinner(fmt::format("a{}", p), 8, on(p));
    s.spinner(fmt::format("b{}", p), 8, on(p));
  }
  s.run_ticks(GetParam() == 64 ? 4 : 9);
  s.expect("quantum_end", "Peers take turns every two ticks of 10 ms [facts 6.3; seed 003]");
}

// facts 6.5: the increment of what ended the wait is added to the base, and falls off by one at each quantum end.
TEST_P(Schedules, WaitBoostAndDecay) {
  Schedule s(GetParam());
  Event event(EventKind::synchronization);
  auto& boosted = s.thread("keyboard", 8, waiter(s, event, 200'000'000), on(0));
  fill(s, 8);
  s.run_ticks(1);
  s.bench.kernel.set_event(event, kIncrementKeyboard);
  EXPECT_EQ(boosted.thread.priority, 14);
  s.run_ticks(15);
  EXPECT_EQ(boosted.thread.priority, 8);
  s.expect("wait_boost", "Keyboard input adds 6 to the base; one step falls off at each quantum end [facts 6.5]");
}

// facts 6.5: the foreground part (2) comes on top and falls off whole at the first quantum end, which comes after 18
// units.
TEST_P(Schedules, ForegroundBoost) {
  Schedule s(GetParam());
  Event event(EventKind::synchronization);
  s.bench.kernel.set_process_foreground(s.bench.process, true);
  auto& front = s.thread("front", 8, waiter(s, event, 200'000'000), on(0));
  s.run_ticks(1);
  s.bench.kernel.set_event(event);
  EXPECT_EQ(front.thread.priority, 11);
  s.run_ticks(13);
  EXPECT_EQ(front.thread.priority, 8);
  s.expect("foreground", "A foreground wait gets 1 + 2; 18 units later 3 steps are gone at once [facts 6.3, 6.5]");
}

// facts 6.5: an alert adds 2.
TEST_P(Schedules, AlertBoost) {
  Schedule s(GetParam());
  Event event(EventKind::synchronization);
  auto& sleeper = s.thread(
      "sleeper", 8,
      [&](TestThread& t) -> Task<Status> {
        (void)co_await s.bench.kernel.wait_single(&t.thread, &event.header, Bench::forever(Mode::user, true));
        co_await s.bench.burn(t, 100'000'000);
        co_return Status::success;
      },
      on(0));
  s.run_ticks(1);
  s.bench.kernel.alert_thread(sleeper.thread, Mode::user);
  EXPECT_EQ(sleeper.thread.priority, 10);
  s.run_ticks(6);
  EXPECT_EQ(sleeper.thread.priority, 8);
  s.expect("alert_boost", "An alert adds 2 [facts 6.5]");
}

// facts 6.5: what each kind of wake-up adds to the base.
TEST_P(Schedules, Increments) {
  Schedule s(GetParam());
  constexpr std::pair<const char*, i8> kKinds[] = {{"event", kIncrementEvent},
                                                   {"disk", kIncrementDisk},
                                                   {"network", kIncrementNetwork},
                                                   {"pipe", kIncrementNamedPipe},
                                                   {"keyboard", kIncrementKeyboard},
                                                   {"sound", kIncrementSound},
                                                   {"window", i8{2}}};  // win32k's
  std::deque<Event> events;
  for (const auto& [name, increment] : kKinds) {
    events.emplace_back(EventKind::synchronization);
    auto& woken = s.thread(name, 4, waiter(s, events.back(), 1'000'000), on(GetParam() - 1));
    s.run_ticks(1);
    s.bench.kernel.set_event(events.back(), increment);
    EXPECT_EQ(woken.thread.priority, 4 + increment) << name;
    s.run_ticks(1);
  }
  s.expect("increments", "What ends a wait adds its increment to the base [facts 6.5; WDK]");
}

// facts 6.5, 5.14: a thread that is told to end is woken with 2, ahead of its peers, to do so.
TEST_P(Schedules, ExitApcBoost) {
  Schedule s(GetParam());
  Event never(EventKind::notification);
  auto& victim = s.thread(
      "victim", 8,
      [&](TestThread& t) -> Task<Status> {
        (void)co_await s.bench.kernel.wait_single(&t.thread, &never.header, Bench::forever());
        co_return Status::success;
      },
      on(0));
  s.run_ticks(1);
  fill(s, 9);
  s.run_ticks(1);
  Apc exit;
  static constexpr ApcOperations kNothing{nullptr, nullptr, nullptr};
  Kernel::init_apc(exit, victim.thread, ApcKind::special_kernel, kNothing);
  s.say("victim is terminated");
  EXPECT_TRUE(s.bench.kernel.insert_exit_apc(exit));
  EXPECT_EQ(victim.thread.priority, 10);
  s.run_ticks(1);
  EXPECT_EQ(victim.thread.state, ThreadState::terminated);
  s.expect("exit_apc_boost", "The exit APC wakes its thread with 2 [facts 6.5]");
}

// facts 6.5: who hands over a lock lifts the next owner above itself, to 13 at most, until its quantum ends.
TEST_P(Schedules, LockBoost) {
  Schedule s(GetParam());
  FastMutex mutex;
  const auto body = [&](u64 hold_ns) {
    return [&s, &mutex, hold_ns](TestThread& t) -> Task<Status> {
      (void)co_await acquire_fast_mutex(&s.bench.kernel, &t.thread, &mutex);
      co_await s.bench.burn(t, hold_ns);
      release_fast_mutex(s.bench.kernel, t.thread, mutex);
      co_await s.bench.burn(t, 60'000'000);
      co_return Status::success;
    };
  };
  s.thread("owner", 11, body(25'000'000), on(0));
  s.run_ticks(1);
  s.thread("next", 11, body(1'000'000), on(GetParam() - 1));
  s.run_ticks(8);
  EXPECT_EQ(mutex.contention, 1u);
  s.expect("lock_boost", "A released lock lifts its next owner to the releaser's priority plus one [facts 6.5]");
}

// facts 6.6: after 300 ticks in the ready list: 15, four units, and back to the base at the next quantum end.
TEST_P(Schedules, Starvation) {
  Schedule s(GetParam());
  s.bench.window_ns = 10'000'000;
  s.bench.check_every = 1000;
  for (u32 p = 0; p < GetParam(); ++p)
    s.spinner(fmt::format("spinner{}", p), 12, {.ideal_processor = static_cast<u8>(p)});
  auto& starved = s.spinner("starved", 4, on(0));
  s.show_quantum_ends = false;
  const u64 begun = s.bench.kernel.tick_count();
  u64 boosted = 0, fallen = 0;
  s.bench.recorder.add_listener([&](const trace::Event& event) {
    if (event.type != trace::EventType::priority_change || event.arguments[0] != starved.thread.thread_id) return;
    if (event.arguments[3] == static_cast<u64>(PriorityChange::starvation) && boosted == 0)
      boosted = s.bench.kernel.tick_count();
    if (event.arguments[3] == static_cast<u64>(PriorityChange::decay) && fallen == 0)
      fallen = s.bench.kernel.tick_count();
  });
  // One processor is scanned per second, in turn: on many, processor 0 may have been passed just before the 300th tick.
  const u64 at_most = 300 + 100 * (GetParam() + 1);
  s.run_ticks(at_most + 10);
  EXPECT_GE(boosted, begun + 300);
  EXPECT_LE(boosted, begun + at_most);
  EXPECT_GE(fallen, boosted + 1);
  EXPECT_LE(fallen, boosted + 3);
  EXPECT_EQ(starved.thread.priority, 4);
  EXPECT_GT(starved.thread.cycle_time, 0u);
  s.expect("starvation", "A thread that was ready for 300 ticks gets 15 for four units [facts 6.6]");
}

// A low thread holds what a high one waits for, and one in the middle keeps the processor: the starvation scan ends it.
TEST_P(Schedules, PriorityInversion) {
  Schedule s(GetParam());
  s.bench.window_ns = 10'000'000;
  s.bench.check_every = 100;
  s.show_quantum_ends = false;
  Mutant mutant;
  const auto worker = [&](u64 before_ns) {
    return [&s, &mutant, before_ns](TestThread& t) -> Task<Status> {
      (void)co_await s.bench.kernel.wait_single(&t.thread, &mutant.header, Bench::forever(Mode::kernel));
      co_await s.bench.burn(t, before_ns);
      if (!s.bench.stopping) (void)s.bench.kernel.release_mutant(mutant, t.thread);
      co_return Status::success;
    };
  };
  auto& low = s.thread("low", 4, worker(15'000'000), on(0));
  s.run_ticks(1);
  auto& high = s.thread("high", 12, worker(1'000'000), on(0));
  s.run_ticks(1);
  const u64 begun = s.bench.kernel.tick_count();
  s.spinner("middle", 8, on(0));
  s.run_ticks(250);
  EXPECT_FALSE(low.result.has_value());
  EXPECT_EQ(high.thread.state, ThreadState::waiting);
  while (!high.result.has_value() && s.bench.kernel.tick_count() < begun + 300 + 100 * (GetParam() + 2)) s.run_ticks(1);
  EXPECT_EQ(high.result, Status::success);
  EXPECT_GE(s.bench.kernel.tick_count(), begun + 300);
  s.expect("priority_inversion", "An inverted lock is freed when its starved owner is boosted to 15 [facts 6.6]");
}

// facts 6.7: a thread whose processor is forbidden goes elsewhere: a running one at its window's edge, a ready one at
// once.
TEST_P(Schedules, AffinityChange) {
  Schedule s(GetParam());
  if (GetParam() == 1) {
    auto& only = s.spinner("only", 8);
    EXPECT_EQ(s.bench.kernel.set_affinity(only.thread, 2).error(), Status::invalid_parameter);
    s.run_ticks(2);
    s.expect("affinity", "A mask outside the process's is refused [facts 6.7]");
    return;
  }
  const u32 last = GetParam() - 1;
  auto& mover = s.spinner("mover", 8, on(0));
  auto& ready = s.spinner("queued", 8, on(0));
  s.bench.process.affinity = s.bench.kernel.active_processors();
  s.run_ticks(1);
  s.say(fmt::format("mover may run on cpu {} only", last));
  ASSERT_TRUE(s.bench.kernel.set_affinity(mover.thread, AffinityMask{1} << last));
  s.run_ticks(1);
  EXPECT_EQ(mover.thread.next_processor, last);
  EXPECT_EQ(ready.thread.state, ThreadState::running);
  s.say("mover2 waits behind queued, then may run anywhere");
  auto& second = s.spinner("mover2", 8, on(0));
  ASSERT_TRUE(s.bench.kernel.set_affinity(second.thread, s.bench.kernel.active_processors()));
  s.run_ticks(1);
  if (GetParam() > 2) {
    EXPECT_NE(second.thread.next_processor, 0);
    EXPECT_EQ(second.thread.state, ThreadState::running);
  }
  s.expect(
      "affinity",
      "A forbidden processor is left: by a running thread at its window's edge, by a ready one at once [facts 6.7]");
}

// facts 6.5: a registered thread runs above a busy one for 80 per cent of the time and below it for the rest. NT's 10
// ms are five ticks of 15.625 ms here (ke/multimedia.h).
TEST_P(Schedules, MultimediaClass) {
  Schedule s(GetParam(), "nt61-x64");
  s.show_quantum_ends = false;
  MultimediaScheduler multimedia(s.bench.kernel, 156'250);
  auto& mmcss = s.thread(
      "mmcss", MultimediaScheduler::kOwnPriority, [&](TestThread& t) { return multimedia.run(&t.thread); }, on(0));
  auto& player = s.spinner("player", 8, on(0));
  auto& busy = s.spinner("busy", 12, on(0));
  s.run_ticks(2);
  EXPECT_EQ(player.thread.cycle_time, 0u);
  s.say("player joins a task of category High");
  ASSERT_TRUE(multimedia.join(player.thread, {MultimediaCategory::high, 1}));
  s.run_ticks(1);
  EXPECT_EQ(player.thread.priority, 24);
  const u64 player_before = player.thread.cycle_time, busy_before = busy.thread.cycle_time;
  s.run_ticks(20);
  const u64 played = player.thread.cycle_time - player_before, was_busy = busy.thread.cycle_time - busy_before;
  EXPECT_NEAR(static_cast<double>(played) / static_cast<double>(played + was_busy), 0.8, 0.01);
  s.say("player leaves");
  EXPECT_TRUE(multimedia.leave(player.thread));
  EXPECT_EQ(player.thread.priority, 8);
  s.run_ticks(6);
  EXPECT_EQ(mmcss.thread.state, ThreadState::waiting);
  s.expect("multimedia", "A multimedia task has 80 per cent of the time, others the rest [facts 6.5]");
}

INSTANTIATE_TEST_SUITE_P(Processors, Schedules, testing::Values(1u, 2u, 8u, 64u));

}  // namespace
}  // namespace vitrine::ke
