#include "dispatcher_bench.h"

namespace vitrine::ke {
namespace {

using testing::ElementsAre;
constexpr u64 kMillisecond = 1'000'000;

// Records who is switched to, as thread ids (0 is idle).
struct SwitchLog {
  explicit SwitchLog(Bench& b, u32 processor = 0) {
    b.recorder.add_listener([this, processor](const trace::Event& e) {
      if (e.type == trace::EventType::context_switch && e.processor == processor)
        to.push_back(static_cast<u32>(e.arguments[1]));
    });
  }
  std::vector<u32> to;
};

// facts 6.3: 6 units at 3 a tick are 2 ticks of 10 ms = "20 ms or so" (seed 003); the peer runs next, round robin.
TEST(Scheduler, PeersTakeTurnsEveryTwoTicks) {
  Bench b;
  SwitchLog log(b);
  for (int i = 0; i < 3; ++i) b.spinner(8);
  b.run_ms(205);
  ASSERT_GE(log.to.size(), 7u);
  EXPECT_THAT(std::vector(log.to.begin(), log.to.begin() + 7), ElementsAre(1, 2, 3, 1, 2, 3, 1));
  EXPECT_NEAR(static_cast<double>(b.recorder.count(trace::EventType::quantum_end)), 10, 1);
  b.stop();
}

// facts 6.3, 6.0 and later: the quantum is a number of cycles; 2 ticks of 15.625 ms.
TEST(Scheduler, ByCyclesPeersTakeTurnsAfterTheirCycles) {
  Bench b(1, "nt61-x64");
  SwitchLog log(b);
  for (int i = 0; i < 2; ++i) b.spinner(8);
  b.run_ms(16 * 12);
  ASSERT_GE(log.to.size(), 4u);
  EXPECT_THAT(std::vector(log.to.begin(), log.to.begin() + 4), ElementsAre(1, 2, 1, 2));
  const double ends = static_cast<double>(b.recorder.count(trace::EventType::quantum_end));
  EXPECT_GE(ends, 4);
  EXPECT_LE(ends, 7);
  b.stop();
}

// facts 6.3: the table of quanta, Win32PrioritySeparation bits, and idle class.
TEST(Scheduler, QuantumTableFollowsWin32PrioritySeparation) {
  Bench b;
  Process& p = b.process;
  const auto units = [&](u32 value, bool foreground) {
    b.kernel.set_priority_separation(value);
    b.kernel.set_process_foreground(p, foreground);
    return p.quantum_reset;
  };
  EXPECT_EQ(units(0x26, false), 6);  // "Programs": short, variable
  EXPECT_EQ(units(0x26, true), 18);
  EXPECT_EQ(units(0x25, true), 12);
  EXPECT_EQ(units(0x18, false), 36);  // "Background services": long, fixed
  EXPECT_EQ(units(0x18, true), 36);
  EXPECT_EQ(units(0x16, true), 36);  // long, variable
  EXPECT_EQ(units(0x14, false), 12);
  EXPECT_EQ(units(0x2A, true), 18);  // short, fixed
  EXPECT_EQ(units(0x27, true), 18);  // separation 3 means 2
  EXPECT_EQ(b.kernel.priority_separation(), 2u);
  b.kernel.set_process_priority(p, 4, true);
  EXPECT_EQ(p.quantum_reset, 6);
  b.stop();
}

// facts 9.2: (class + 1) x 6 units, only where quanta are long and fixed; class 9 lets a real-time thread run until it waits.
TEST(Quantum, AJobsClassCountsOnlyWhereQuantaAreLongAndFixed) {
  Bench b;
  b.kernel.set_scheduling_class(b.process, 9);
  EXPECT_EQ(b.kernel.quantum_units(b.process), 6);  // short and variable: the background's
  EXPECT_FALSE(b.process.disable_quantum);
  b.kernel.set_priority_separation(0x18);  // "Background services"
  for (u8 scheduling_class = 0; scheduling_class <= 9; ++scheduling_class) {
    b.kernel.set_scheduling_class(b.process, scheduling_class);
    EXPECT_EQ(b.kernel.quantum_units(b.process), (scheduling_class + 1) * 6);
    EXPECT_EQ(b.process.disable_quantum, scheduling_class == 9);
  }
  b.kernel.set_scheduling_class(b.process, std::nullopt);
  EXPECT_EQ(b.kernel.quantum_units(b.process), 36);
  EXPECT_FALSE(b.process.disable_quantum);
}

// facts 6.7: a preempted thread goes to the head of its list and keeps its quantum; quantum end goes to the tail.
TEST(Scheduler, APreemptedThreadResumesBeforeItsPeers) {
  Bench b;
  SwitchLog log(b);
  b.spinner(8);
  b.spinner(8);
  b.spawn(12, [&](TestThread& t) -> Task<Status> {
    (void)co_await b.kernel.delay_execution(&t.thread, Bench::timed(-100'000));
    co_return Status::success;
  });
  b.run_ms(35);
  // 3 goes to sleep; 1 runs, is preempted by 3 at the first tick and goes on before 2, which has its turn at 1's
  // quantum end.
  ASSERT_GE(log.to.size(), 5u);
  EXPECT_THAT(std::vector(log.to.begin(), log.to.begin() + 5), ElementsAre(3, 1, 3, 1, 2));
  b.stop();
}

// facts 6.7: equal priority does not preempt.
TEST(Scheduler, AnEqualDoesNotPreempt) {
  Bench b;
  auto& first = b.spinner(8);
  b.step();
  auto& second = b.spinner(8);
  b.step();
  EXPECT_EQ(first.thread.state, ThreadState::running);
  EXPECT_EQ(second.thread.state, ThreadState::ready);
  auto& third = b.spinner(9);
  b.step();
  EXPECT_EQ(third.thread.state, ThreadState::running);
  b.stop();
}

// facts 6.5: a wait that ends with an increment lifts the priority above the base, and each quantum end takes one step
// back.
TEST(Scheduler, AWaitBoostDecaysOneStepPerQuantum) {
  Bench b;
  Event e(EventKind::synchronization);
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    (void)co_await b.kernel.wait_single(&self.thread, &e.header, Bench::forever());
    co_await b.burn(self, 100 * kMillisecond);
    co_return Status::success;
  });
  b.run_all();
  b.kernel.set_event(e, 2);
  EXPECT_EQ(t.thread.priority, 10);
  std::vector<int> seen{t.thread.priority};
  while (t.thread.state != ThreadState::terminated) {
    b.step();
    if (seen.back() != t.thread.priority) seen.push_back(t.thread.priority);
  }
  EXPECT_THAT(seen, ElementsAre(10, 9, 8));
  b.stop();
}

// facts 6.4: a wait costs one quantum unit; a wake with an increment fills the quantum first; a kernel APC is free; at
// zero the quantum is filled and the priority takes a step down.
TEST(Scheduler, AWaitCostsAQuantumUnitUnlessAKernelApcEndedIt) {
  Bench b;
  Event e(EventKind::synchronization);
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    while (!b.stopping) (void)co_await b.kernel.wait_single(&self.thread, &e.header, Bench::forever());
    co_return Status::success;
  });
  b.run_all();
  t.thread.quantum = 4;
  b.kernel.set_event(e, 0);
  b.run_all();
  EXPECT_EQ(t.thread.quantum, 3);
  Apc apc;
  static constexpr ApcOperations kNothing{nullptr, nullptr, nullptr};
  Kernel::init_apc(apc, t.thread, ApcKind::special_kernel, kNothing);
  b.kernel.insert_apc(apc);
  b.run_all();
  EXPECT_EQ(t.thread.quantum, 3);
  b.kernel.set_event(e, 1);
  EXPECT_EQ(t.thread.priority, 9);
  b.run_all();
  EXPECT_EQ(t.thread.quantum, 5);
  t.thread.quantum = 1;
  b.kernel.set_event(e, 0);
  EXPECT_EQ(t.thread.quantum, 6);
  EXPECT_EQ(t.thread.priority, 8);
  b.stop();
}

// facts 6.7: only the loss of the processor puts a thread at the head; one that was about to be preempted and then
// waited comes back at the tail.
TEST(Scheduler, AThreadThatWaitsBeforeItsPreemptionComesBackAtTheTail) {
  Bench b;
  SwitchLog log(b);
  Event e(EventKind::synchronization);
  b.spawn(8, [&](TestThread& t) -> Task<Status> {
    b.spinner(12, 1000);  // thread 2, standby at once
    b.spinner(8);         // threads 3 and 4
    b.spinner(8);
    EXPECT_TRUE(t.thread.preempted);
    co_return co_await b.kernel.wait_single(&t.thread, &e.header, Bench::forever());
  });
  b.run_ms(2);
  b.kernel.set_event(e, 0);
  b.run_ms(60);
  ASSERT_GE(log.to.size(), 5u);
  EXPECT_THAT(std::vector(log.to.begin(), log.to.begin() + 5), ElementsAre(1, 2, 3, 4, 1));
  b.stop();
}

// DESIGN 3.6: what a processor does to another lands at its next edge, not in its past.
TEST(Scheduler, AnIdleProcessorIsWokenNoEarlierThanItsWaker) {
  Bench b(2);
  ThreadParameters on0, on1;
  on0.ideal_processor = 0;
  on1.ideal_processor = 1;
  Event e(EventKind::synchronization);
  u64 set_at = 0;
  u64 woken_at = 0;
  b.spawn(
      8,
      [&](TestThread& t) -> Task<Status> {
        (void)co_await b.kernel.wait_single(&t.thread, &e.header, Bench::forever());
        woken_at = b.machine.clock(1).value;
        co_return Status::success;
      },
      on1);
  b.run_all();
  b.spawn(
      8,
      [&](TestThread& t) -> Task<Status> {
        co_await b.burn(t, 3 * kMillisecond);
        set_at = b.machine.clock(0).value;
        b.kernel.set_event(e);
        co_return Status::success;
      },
      on0);
  b.run_all();
  EXPECT_GE(woken_at, set_at);
  EXPECT_LT(woken_at, set_at + kMillisecond);
  b.stop();
}

// facts 6.4: a foreground process's threads get the separation on top; that part falls off at the first quantum end.
TEST(Scheduler, TheForegroundPartOfABoostFallsOffAtOnce) {
  Bench b;
  b.kernel.set_process_foreground(b.process, true);
  Event e(EventKind::synchronization);
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    (void)co_await b.kernel.wait_single(&self.thread, &e.header, Bench::forever());
    co_await b.burn(self, 400 * kMillisecond);
    co_return Status::success;
  });
  b.run_all();
  b.kernel.set_event(e, 1);
  EXPECT_EQ(t.thread.priority, 11);
  EXPECT_EQ(t.thread.priority_decrement, 2);
  EXPECT_EQ(t.thread.quantum_reset, 18);
  while (t.thread.priority == 11) ASSERT_TRUE(b.step());
  EXPECT_EQ(t.thread.priority, 8);  // 11 - 2 - 1
  b.stop();
}

// facts 6.5: never over 15, never for real-time threads, never with DisableBoost.
TEST(Scheduler, BoostsStopAtFifteenAndSpareRealTimeAndDisabledThreads) {
  Bench b;
  Event e(EventKind::notification);
  const auto waiter = [&](TestThread& t) -> Task<Status> {
    (void)co_await b.kernel.wait_single(&t.thread, &e.header, Bench::forever());
    co_await b.burn(t, kMillisecond);
    co_return Status::success;
  };
  auto& high = b.spawn(13, waiter);
  auto& realtime = b.spawn(20, waiter);
  auto& plain = b.spawn(8, waiter);
  b.kernel.set_disable_boost(plain.thread, true);
  b.run_all();
  b.kernel.set_event(e, 6);
  EXPECT_EQ(high.thread.priority, 15);
  EXPECT_EQ(realtime.thread.priority, 20);
  EXPECT_EQ(plain.thread.priority, 8);
  b.stop();
}

// facts 6.5: the lock boost lets the first waiter in above the owner's priority, at most 13.
TEST(Scheduler, ALockBoostLiftsTheWaiterToItsOwnerPlusOneAtMostThirteen) {
  for (const auto& [owner, expected] : {std::pair<Priority, Priority>{10, 11}, {14, 13}, {3, 4}}) {
    Bench b;
    Event e(EventKind::synchronization);
    auto& t = b.spawn(4, [&](TestThread& self) -> Task<Status> {
      (void)co_await b.kernel.wait_single(&self.thread, &e.header, Bench::forever());
      co_return Status::success;
    });
    b.run_all();
    b.spawn(owner, [&](TestThread&) -> Task<Status> {
      b.kernel.set_event_boost_priority(e);
      co_return Status::success;
    });
    b.step();
    EXPECT_EQ(t.thread.priority, owner == 3 ? 4 : expected);
    b.stop();
  }
}

// facts 6.6: after 300 ticks in a ready list a thread gets priority 15 and 4 quantum units, then falls back to its
// base.
TEST(Scheduler, AStarvedThreadGetsFifteenAfterThreeHundredTicks) {
  Bench b;
  b.window_ns = 5 * kMillisecond;
  b.spinner(12);
  auto& starved = b.spinner(4);
  u64 boosted_at = 0;
  b.recorder.add_listener([&](const trace::Event& e) {
    if (e.type == trace::EventType::priority_change && e.arguments[3] == static_cast<u64>(PriorityChange::starvation)) {
      if (boosted_at == 0) boosted_at = b.kernel.tick_count();
      EXPECT_EQ(e.arguments[0], starved.thread.thread_id);
      EXPECT_EQ(e.arguments[2], 15u);
    }
  });
  b.run_ms(2990);
  EXPECT_EQ(starved.thread.cycle_time, 0u);
  b.run_ms(1200);
  EXPECT_GE(boosted_at, 300u);
  EXPECT_LE(boosted_at, 400u);
  EXPECT_GT(starved.thread.cycle_time, 0u);
  EXPECT_EQ(starved.thread.priority, 4);
  b.stop();
}

// facts 6.6: at most 10 threads are boosted in one pass.
TEST(Scheduler, TheStarvationScanBoostsAtMostTenThreadsAPass) {
  Bench b;
  b.window_ns = 10 * kMillisecond;
  b.spinner(15);
  b.step();
  for (int i = 0; i < 30; ++i) b.spinner(2);
  b.machine.skip_ticks(0, {b.machine.clock(0).value + 301 * 10 * kMillisecond});
  b.kernel.enter(0);
  b.kernel.scan_ready_queues();
  int boosted = 0;
  for (auto& t : b.threads) boosted += t->thread.base_priority == 2 && t->thread.priority == 15;
  EXPECT_EQ(boosted, 10);
  EXPECT_EQ(b.kernel.processor(0).queue_index, 3);
  b.stop();
}

// facts 6.1: real-time threads take turns but never decay; a thread of a process that disabled quanta keeps the
// processor.
TEST(Scheduler, RealTimeThreadsRotateUnlessQuantaAreDisabled) {
  Bench b;
  SwitchLog log(b);
  auto& first = b.spinner(24);
  auto& second = b.spinner(24);
  b.run_ms(65);
  EXPECT_THAT(std::vector(log.to.begin(), log.to.begin() + 3), ElementsAre(1, 2, 1));
  EXPECT_EQ(first.thread.priority, 24);
  EXPECT_EQ(second.thread.priority, 24);
  b.process.disable_quantum = true;
  b.run_ms(25);
  const auto before = log.to.size();
  b.run_ms(400);
  EXPECT_EQ(log.to.size(), before);
  b.stop();
}

// facts 6.7: threads created one after the other get consecutive ideal processors.
TEST(Scheduler, IdealProcessorsRotateWithinTheAffinity) {
  Bench b(4);
  std::vector<int> ideal;
  for (int i = 0; i < 5; ++i) ideal.push_back(b.spawn(8, nullptr, {}, true).thread.ideal_processor);
  const int first = ideal[0];
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ideal[static_cast<std::size_t>(i)], (first + i) % 4);
  ThreadParameters narrow;
  narrow.affinity = 0b0101;
  for (int i = 0; i < 4; ++i) {
    const int p = b.spawn(8, nullptr, narrow, true).thread.ideal_processor;
    EXPECT_TRUE(p == 0 || p == 2);
  }
  b.stop();
}

// facts 6.7: an idle processor is preferred: the ideal one, then the last one.
TEST(Scheduler, AReadyThreadTakesItsIdealProcessorIfIdleElseAnotherIdleOne) {
  Bench b(3);
  ThreadParameters ideal_two;
  ideal_two.ideal_processor = 2;
  auto& a = b.spinner(8, kForever, ideal_two);
  EXPECT_EQ(a.thread.next_processor, 2);
  auto& c = b.spinner(8, kForever, ideal_two);
  EXPECT_EQ(c.thread.next_processor, 0);  // the executing processor, since the ideal and the last are taken
  b.run_ms(1);
  EXPECT_EQ(a.thread.state, ThreadState::running);
  EXPECT_EQ(c.thread.state, ThreadState::running);
  b.stop();
}

// facts 6.7: with no idle processor only the ideal one is looked at, even if another runs something less important.
TEST(Scheduler, WithoutAnIdleProcessorOnlyTheIdealOneIsPreempted) {
  Bench b(2);
  ThreadParameters on0, on1;
  on0.ideal_processor = 0;
  on1.ideal_processor = 1;
  auto& busy = b.spinner(12, kForever, on0);
  auto& low = b.spinner(4, kForever, on1);
  b.run_ms(1);
  auto& middle = b.spinner(8, kForever, on0);
  b.run_ms(5);
  EXPECT_EQ(busy.thread.state, ThreadState::running);
  EXPECT_EQ(low.thread.state, ThreadState::running);
  EXPECT_EQ(middle.thread.state, ThreadState::ready);
  EXPECT_EQ(middle.thread.next_processor, 0);
  b.stop();
}

// facts 6.7: a processor that becomes idle takes a ready thread from another's lists.
TEST(Scheduler, AnIdleProcessorTakesReadyThreadsFromOthers) {
  Bench b(2);
  ThreadParameters on0, on1;
  on0.ideal_processor = 0;
  on1.ideal_processor = 1;
  b.spinner(8, kForever, on0);
  auto& brief = b.spinner(8, 3 * kMillisecond, on1);
  b.run_ms(1);
  auto& queued = b.spinner(8, kForever, on0);
  EXPECT_EQ(queued.thread.state, ThreadState::ready);
  b.run_ms(8);
  EXPECT_EQ(brief.thread.state, ThreadState::terminated);
  EXPECT_EQ(queued.thread.state, ThreadState::running);
  EXPECT_EQ(queued.thread.next_processor, 1);
  b.stop();
}

// facts 6.7: a change of affinity moves a ready thread at once and a running one at the edge.
TEST(Scheduler, AffinityChangesMoveReadyAndRunningThreads) {
  Bench b(2);
  ThreadParameters on0;
  on0.ideal_processor = 0;
  auto& runs = b.spinner(8, kForever, on0);
  b.run_ms(1);
  EXPECT_EQ(b.kernel.set_affinity(runs.thread, 0).error(), Status::invalid_parameter);
  EXPECT_EQ(b.kernel.set_affinity(runs.thread, 0b100).error(), Status::invalid_parameter);
  EXPECT_EQ(b.kernel.set_affinity(runs.thread, 0b10), 0b11u);
  b.run_ms(1);
  EXPECT_EQ(runs.thread.state, ThreadState::running);
  EXPECT_EQ(runs.thread.next_processor, 1);
  EXPECT_TRUE(b.kernel.is_idle(0));
  b.spinner(8, kForever, on0);
  auto& waits = b.spinner(8, kForever, on0);
  b.run_ms(1);
  EXPECT_EQ(b.kernel.set_process_affinity(b.process, 0b01), Status::success);
  b.run_ms(100);
  for (auto& t : b.threads) EXPECT_EQ(t->thread.next_processor, 0);
  EXPECT_TRUE(b.kernel.is_idle(1));
  EXPECT_GT(waits.thread.cycle_time, 0u);
  b.stop();
}

// facts 6.1: relative priority, saturation, and a process class change that keeps the distance.
TEST(Scheduler, BasePriorityKeepsItsDistanceAndSaturates) {
  Bench b;
  auto& t = b.spawn(8, nullptr, {}, true);
  EXPECT_EQ(b.kernel.set_base_priority(t.thread, 2), 0);
  EXPECT_EQ(t.thread.base_priority, 10);
  b.kernel.set_process_priority(b.process, 13, false);
  EXPECT_EQ(t.thread.base_priority, 15);
  b.kernel.set_process_priority(b.process, 4, false);
  EXPECT_EQ(t.thread.base_priority, 6);
  b.kernel.set_base_priority(t.thread, 16);
  EXPECT_EQ(t.thread.base_priority, 15);
  EXPECT_EQ(b.kernel.query_base_priority(t.thread), 16);
  b.kernel.set_process_priority(b.process, 24, false);
  EXPECT_EQ(t.thread.base_priority, 31);
  b.kernel.set_base_priority(t.thread, -16);
  EXPECT_EQ(t.thread.base_priority, 16);
  EXPECT_EQ(t.thread.priority, 16);
  b.kernel.set_process_priority(b.process, 8, false);
  EXPECT_EQ(t.thread.base_priority, 1);
  b.stop();
}

TEST(Scheduler, LoweringTheRunningThreadLetsABetterOneRun) {
  Bench b;
  auto& runs = b.spinner(10);
  auto& ready = b.spinner(9);
  b.run_ms(1);
  EXPECT_EQ(b.kernel.set_priority(runs.thread, 5), 10);
  EXPECT_EQ(ready.thread.state, ThreadState::standby);
  b.step();
  EXPECT_EQ(ready.thread.state, ThreadState::running);
  b.kernel.set_priority(runs.thread, 11);
  b.step();
  EXPECT_EQ(runs.thread.state, ThreadState::running);
  b.stop();
}

// NtYieldExecution: any ready thread of this processor may run, else no_yield_performed.
TEST(Scheduler, AYieldGivesWayOrSaysThatItDidNot) {
  Bench b;
  SwitchLog log(b);
  b.spawn(8, [&](TestThread& t) -> Task<Status> {
    EXPECT_EQ(b.kernel.yield_execution(t.thread), Status::no_yield_performed);
    b.spinner(8, 1000);
    EXPECT_EQ(b.kernel.yield_execution(t.thread), Status::success);
    co_await b.burn(t);
    b.spinner(8, 1000);
    (void)co_await b.kernel.delay_execution(&t.thread, Bench::timed(0));
    co_await b.burn(t);
    co_return Status::success;
  });
  b.run_all();
  EXPECT_THAT(log.to, ElementsAre(1, 2, 1, 3, 1, 0));
  b.stop();
}

// facts 6.9, 5.1: a thread whose stack is out becomes runnable only when the swapper has brought it in.
struct SwapHost : Host {
  std::vector<Thread*> wanted;
  void request_stack_inswap(Thread& thread) override { wanted.push_back(&thread); }
  void request_process_inswap(Process&) override {}
};

TEST(Scheduler, AnOutswappedStackKeepsTheThreadInTransition) {
  const sim::Profile& profile = *sim::find_profile("nt52-x86");
  hal::Machine machine({.clock_interval_100ns = 100'000});
  trace::Recorder recorder;
  SwapHost host;
  Kernel kernel(profile, machine, recorder, 1);
  kernel.set_host(&host);
  Process process;
  kernel.init_process(process, 8, 1);
  Thread thread;
  ThreadParameters parameters;
  parameters.thread_id = 1;
  kernel.init_thread(thread, process, parameters);
  kernel.start_thread(thread);
  kernel.ready_thread(thread);
  kernel.dispatch(0);
  Event e(EventKind::notification);
  Task<Status> task =
      kernel.wait_single(&thread, &e.header, {WaitReason::user_request, Mode::user, false, std::nullopt});
  task.start();
  machine.skip_ticks(0, {2'000'000'000});
  const auto swapped = [](void* count, Thread&) { ++*static_cast<int*>(count); };
  int count = 0;
  EXPECT_EQ(kernel.outswap_stacks(1500, 10, swapped, &count), 0u);  // 15 s have not passed
  machine.skip_ticks(0, {20'000'000'000});
  EXPECT_EQ(kernel.outswap_stacks(1500, 10, swapped, &count), 1u);
  EXPECT_EQ(count, 1);
  EXPECT_EQ(process.stack_count, 0u);
  kernel.set_event(e);
  EXPECT_EQ(thread.state, ThreadState::transition);
  ASSERT_EQ(host.wanted.size(), 1u);
  EXPECT_EQ(process.stack_count, 1u);  // NT: KiReadyThread counts the stack that is to come in [ROS]
  kernel.stack_inswapped(thread);
  EXPECT_EQ(process.stack_count, 1u);
  EXPECT_EQ(thread.state, ThreadState::standby);
  kernel.dispatch(0);
  kernel.resume(thread);
  EXPECT_EQ(task.result(), Status::success);
  kernel.discard_thread(thread);
}

// facts 6.9: the balance set manager waits on a timer of one second.
TEST(Scheduler, TheBalanceTimerIsSignalledOnceASecond) {
  Bench b;
  std::vector<u64> ticks;
  b.spawn(16, [&](TestThread& t) -> Task<Status> {
    while (!b.stopping && co_await b.kernel.wait_single(&t.thread, &b.kernel.balance_timer(), Bench::forever(Mode::kernel)) ==
                              Status::success) {
      ticks.push_back(b.kernel.tick_count());
    }
    co_return Status::success;
  });
  b.spinner(8);
  b.run_ms(3500);
  EXPECT_THAT(ticks, testing::ElementsAre(100, 200, 300));
  b.stop();
}

// facts 5.6: ticks are charged to whoever runs when the clock interrupts, in the mode of that moment.
TEST(Scheduler, TicksAreSampledAndCyclesAreExact) {
  Bench b;
  auto& t = b.spinner(8, 45 * kMillisecond);
  b.run_all();
  EXPECT_EQ(t.thread.cycle_time, 45'000'000u * 3 + 100 * 3);  // and the window in which it ended
  EXPECT_GE(t.thread.user_time, 4u);
  EXPECT_LE(t.thread.user_time, 5u);
  EXPECT_EQ(t.thread.kernel_time, 0u);
  EXPECT_EQ(b.process.user_time, t.thread.user_time);
  b.stop();
}

// DESIGN 7: the same machine gives the same trace; another seed another one.
TEST(Scheduler, EqualRunsHaveEqualTraces) {
  const auto run = [](u64 seed) {
    Bench b(3, "nt61-x64", seed);
    Event e(EventKind::synchronization);
    for (int i = 0; i < 6; ++i) {
      b.spawn(8, [&](TestThread& t) -> Task<Status> {
        for (int round = 0; round < 5 && !b.stopping; ++round) {
          co_await b.burn(t, 7 * kMillisecond);
          b.kernel.set_event(e);
          (void)co_await b.kernel.wait_single(&t.thread, &e.header, Bench::timed(-200'000));
        }
        co_return Status::success;
      });
    }
    b.run_all();
    b.stop();
    return b.recorder.hash();
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

}  // namespace
}  // namespace vitrine::ke
