#include "dispatcher_bench.h"

namespace vitrine::ke {
namespace {

using testing::ElementsAre;

// facts 7.2: a notification event wakes all and stays; a synchronization event wakes one and resets.
TEST(Wait, NotificationEventWakesAllSynchronizationEventWakesOneInOrderOfArrival) {
  Bench b;
  Event notification(EventKind::notification), synchronization(EventKind::synchronization);
  for (int i = 0; i < 3; ++i) {
    b.spawn(8, [&, i](TestThread& t) -> Task<Status> {
      (void)co_await b.kernel.wait_single(&t.thread, &notification.header, Bench::forever());
      (void)co_await b.kernel.wait_single(&t.thread, &synchronization.header, Bench::forever());
      b.say(std::to_string(i));
      co_return Status::success;
    });
  }
  b.run_all();
  EXPECT_EQ(b.kernel.set_event(notification), 0);
  b.run_all();
  EXPECT_EQ(notification.header.signal_state, 1);
  EXPECT_THAT(b.log, ElementsAre());
  b.kernel.set_event(synchronization);
  b.run_all();
  EXPECT_EQ(synchronization.header.signal_state, 0);
  EXPECT_THAT(b.log, ElementsAre("0"));
  b.kernel.set_event(synchronization);
  b.kernel.set_event(synchronization);
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre("0", "1", "2"));
  b.stop();
}

// facts 7.3: WaitAny takes the first signalled object in array order.
TEST(Wait, AnyReturnsTheFirstSignalledObjectInArrayOrder) {
  Bench b;
  Event e0(EventKind::synchronization), e1(EventKind::synchronization, true), e2(EventKind::synchronization, true);
  DispatcherHeader* objects[] = {&e0.header, &e1.header, &e2.header};
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    co_return co_await b.kernel.wait_multiple(&self.thread, objects, WaitType::any, Bench::forever());
  });
  b.run_all();
  EXPECT_EQ(t.result, Status::wait_1);
  EXPECT_EQ(e1.header.signal_state, 0);
  EXPECT_EQ(e2.header.signal_state, 1);
  b.stop();
}

// facts 7.3: WaitAll has no effect on any object until all are signalled, then on all together.
TEST(Wait, AllTakesNothingUntilEverythingIsSignalled) {
  Bench b;
  Event e(EventKind::synchronization);
  Semaphore s(0, 5);
  DispatcherHeader* objects[] = {&e.header, &s.header};
  auto& all = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    co_return co_await b.kernel.wait_multiple(&self.thread, objects, WaitType::all, Bench::forever());
  });
  b.run_all();
  b.kernel.set_event(e);
  b.run_all();
  EXPECT_FALSE(all.result);
  EXPECT_EQ(e.header.signal_state, 1);  // still there for others
  auto& any = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    co_return co_await b.kernel.wait_single(&self.thread, &e.header, Bench::forever());
  });
  b.run_all();
  EXPECT_EQ(any.result, Status::success);
  EXPECT_EQ(b.kernel.release_semaphore(s, 1), 0);
  b.run_all();
  EXPECT_FALSE(all.result);
  EXPECT_EQ(s.header.signal_state, 1);
  b.kernel.set_event(e);
  b.run_all();
  EXPECT_EQ(all.result, Status::success);
  EXPECT_EQ(s.header.signal_state, 0);
  EXPECT_EQ(e.header.signal_state, 0);
  b.stop();
}

// facts 7.3: KiWaitTest passes over a WaitAll waiter that is not ready and serves the next.
TEST(Wait, AWaiterForAllThatIsNotReadyDoesNotBlockTheNextOne) {
  Bench b;
  Event e(EventKind::synchronization), never(EventKind::notification);
  DispatcherHeader* both[] = {&e.header, &never.header};
  auto& first = b.spawn(8, [&](TestThread& t) -> Task<Status> {
    co_return co_await b.kernel.wait_multiple(&t.thread, both, WaitType::all, Bench::forever());
  });
  auto& second = b.spawn(8, [&](TestThread& t) -> Task<Status> {
    co_return co_await b.kernel.wait_single(&t.thread, &e.header, Bench::forever());
  });
  b.run_all();
  b.kernel.set_event(e);
  b.run_all();
  EXPECT_FALSE(first.result);
  EXPECT_EQ(second.result, Status::success);
  b.stop();
}

// facts 7.3: three built-in blocks, then an array, at most 64 objects.
TEST(Wait, SixtyFourObjectsWorkAndSixtyFiveAreRefused) {
  Bench b;
  std::vector<std::unique_ptr<Event>> events;
  std::vector<DispatcherHeader*> objects;
  for (int i = 0; i < 65; ++i)
    objects.push_back(&events.emplace_back(std::make_unique<Event>(EventKind::synchronization))->header);
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    EXPECT_EQ(co_await b.kernel.wait_multiple(&self.thread, objects, WaitType::any, Bench::forever()),
              Status::invalid_parameter_1);
    co_return co_await b.kernel.wait_multiple(&self.thread, std::span(objects).first(64), WaitType::any,
                                              Bench::forever());
  });
  b.run_all();
  ASSERT_EQ(t.thread.state, ThreadState::waiting);
  EXPECT_EQ(t.thread.wait_count, 64);
  EXPECT_NE(t.thread.wait_block_list, t.thread.wait_blocks);
  b.kernel.set_event(*events[63]);
  b.run_all();
  EXPECT_EQ(t.result, Status::wait_63);
  b.stop();
}

// facts 7.3: duplicates in WaitAll are refused; in WaitAny they are legal.
TEST(Wait, AnObjectTwiceIsRefusedForAllAndAllowedForAny) {
  Bench b;
  Event e(EventKind::synchronization);
  DispatcherHeader* twice[] = {&e.header, &e.header};
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    EXPECT_EQ(co_await b.kernel.wait_multiple(&self.thread, twice, WaitType::all, Bench::forever()),
              Status::invalid_parameter_mix);
    co_return co_await b.kernel.wait_multiple(&self.thread, twice, WaitType::any, Bench::forever());
  });
  b.run_all();
  b.kernel.set_event(e);
  b.run_all();
  EXPECT_EQ(t.result, Status::success);
  EXPECT_TRUE(e.header.waiters.empty());
  b.stop();
}

// facts 7.2: a mutant's owner acquires again without waiting and must release as often.
TEST(Wait, AMutantIsRecursiveAndReleasedOnlyByItsOwner) {
  Bench b;
  Mutant m;
  auto& other = b.spawn(
      8,
      [&](TestThread& t) -> Task<Status> {
        EXPECT_EQ(b.kernel.release_mutant(m, t.thread).error(), Status::mutant_not_owned);
        co_return co_await b.kernel.wait_single(&t.thread, &m.header, Bench::forever());
      },
      {}, true);
  auto& owner = b.spawn(8, [&](TestThread& t) -> Task<Status> {
    EXPECT_EQ(co_await b.kernel.wait_single(&t.thread, &m.header, Bench::forever()), Status::success);
    EXPECT_EQ(co_await b.kernel.wait_single(&t.thread, &m.header, Bench::forever()), Status::success);
    EXPECT_EQ(m.header.signal_state, -1);
    b.kernel.ready_thread(other.thread);
    co_await b.burn(t, 20'000'000 * 3);
    EXPECT_EQ(b.kernel.release_mutant(m, t.thread), -1);
    EXPECT_EQ(m.owner, &t.thread);
    EXPECT_EQ(b.kernel.release_mutant(m, t.thread), 0);
    EXPECT_EQ(m.owner, &other.thread);  // handed over, not raced for
    co_return Status::success;
  });
  b.run_all();
  EXPECT_EQ(owner.result, Status::success);
  EXPECT_EQ(other.result, Status::success);
  b.stop();
}

// facts 7.2: at the smallest LONG the mutant refuses its owner.
TEST(Wait, AMutantAcquiredTwoBillionTimesRefuses) {
  Bench b;
  Mutant m;
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    (void)co_await b.kernel.wait_single(&self.thread, &m.header, Bench::forever());
    m.header.signal_state = std::numeric_limits<i32>::min();
    const Status status = co_await b.kernel.wait_single(&self.thread, &m.header, Bench::forever());
    m.header.signal_state = 0;
    co_return status;
  });
  b.run_all();
  EXPECT_EQ(t.result, Status::mutant_limit_exceeded);
  b.stop();
}

// facts 5.14 step 7 and 7.3: the mutants of a thread that ends are abandoned, and the next owner is told once.
TEST(Wait, AMutantOfAnEndedThreadIsReportedAbandonedOnce) {
  Bench b;
  Mutant m;
  Event e(EventKind::notification);
  DispatcherHeader* objects[] = {&e.header, &m.header};
  auto& owner = b.spawn(9, [&](TestThread& t) -> Task<Status> {
    co_return co_await b.kernel.wait_single(&t.thread, &m.header, Bench::forever());
  });
  auto& heir = b.spawn(8, [&](TestThread& t) -> Task<Status> {
    const Status first = co_await b.kernel.wait_multiple(&t.thread, objects, WaitType::any, Bench::forever());
    EXPECT_TRUE(b.kernel.release_mutant(m, t.thread).has_value());
    EXPECT_EQ(co_await b.kernel.wait_single(&t.thread, &m.header, Bench::forever()), Status::success);
    co_return first;
  });
  b.run_all();
  EXPECT_EQ(owner.result, Status::success);
  EXPECT_EQ(static_cast<u32>(*heir.result), 0x81u);
  b.stop();
}

// facts 7.2: a semaphore over its limit is refused and unchanged; a release wakes up to its count.
TEST(Wait, ASemaphoreWakesAsManyAsItIsReleasedByAndKeepsItsLimit) {
  Bench b;
  Semaphore s(0, 3);
  int woken = 0;
  for (int i = 0; i < 3; ++i) {
    b.spawn(8, [&](TestThread& t) -> Task<Status> {
      (void)co_await b.kernel.wait_single(&t.thread, &s.header, Bench::forever());
      if (!b.stopping) ++woken;
      co_return Status::success;
    });
  }
  b.run_all();
  EXPECT_EQ(b.kernel.release_semaphore(s, 2), 0);
  b.run_all();
  EXPECT_EQ(woken, 2);
  EXPECT_EQ(b.kernel.release_semaphore(s, 4).error(), Status::semaphore_limit_exceeded);
  EXPECT_EQ(b.kernel.release_semaphore(s, 0x7FFF'FFFF).error(), Status::semaphore_limit_exceeded);
  EXPECT_EQ(s.header.signal_state, 0);
  b.stop();
}

// facts 7.2: a pulse wakes those who wait now and leaves the event reset.
TEST(Wait, APulseWakesPresentWaitersOnly) {
  Bench b;
  Event e(EventKind::notification);
  auto& early = b.spawn(8, [&](TestThread& t) -> Task<Status> {
    co_return co_await b.kernel.wait_single(&t.thread, &e.header, Bench::forever());
  });
  b.run_all();
  b.kernel.pulse_event(e);
  auto& late = b.spawn(8, [&](TestThread& t) -> Task<Status> {
    co_return co_await b.kernel.wait_single(&t.thread, &e.header, Bench::forever());
  });
  b.run_all();
  EXPECT_EQ(early.result, Status::success);
  EXPECT_FALSE(late.result);
  b.stop();
}

// facts 7.3: a zero timeout polls; a satisfied object beats it.
TEST(Wait, ThePollNeitherBlocksNorNeedsAFrame) {
  Bench b;
  Event e(EventKind::synchronization);
  Event unset(EventKind::synchronization);
  b.spawn(8, [&](TestThread& t) -> Task<Status> {
    EXPECT_EQ(b.kernel.try_wait_single(t.thread, e.header, Bench::timed(0)), Status::timeout);
    EXPECT_EQ(b.kernel.try_wait_single(t.thread, e.header, Bench::timed(-1)), std::nullopt);
    b.kernel.set_event(e);
    EXPECT_EQ(b.kernel.try_wait_single(t.thread, e.header, Bench::timed(0)), Status::success);
    EXPECT_EQ(e.header.signal_state, 0);
    co_return co_await b.kernel.wait_single(&t.thread, &unset.header, Bench::timed(0));
  });
  b.run_all();
  EXPECT_EQ(b.threads[0]->result, Status::timeout);
  b.stop();
}

// facts 7.3: signal and wait lets nobody take the object in between.
TEST(Wait, SignalAndWaitHandsOverAndBlocksInOneStep) {
  Bench b;
  Event ping(EventKind::synchronization), pong(EventKind::synchronization);
  b.spawn(8, [&](TestThread& t) -> Task<Status> {
    (void)co_await b.kernel.wait_single(&t.thread, &ping.header, Bench::forever());
    b.say("pinged");
    EXPECT_EQ(b.threads[1]->thread.state, ThreadState::waiting);
    b.kernel.set_event(pong);
    co_return Status::success;
  });
  b.spawn(8, [&](TestThread& t) -> Task<Status> {
    const Status status = co_await b.kernel.signal_and_wait(&t.thread, &ping.header, &pong.header, Bench::forever());
    b.say("ponged");
    co_return status;
  });
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre("pinged", "ponged"));
  EXPECT_EQ(b.threads[1]->result, Status::success);
  b.stop();
}

TEST(Wait, SignalAndWaitThatCannotSignalDoesNotWait) {
  Bench b;
  Mutant m;
  Semaphore s(1, 1);
  Event e(EventKind::synchronization);
  b.spawn(8, [&](TestThread& t) -> Task<Status> {
    EXPECT_EQ(co_await b.kernel.signal_and_wait(&t.thread, &m.header, &e.header, Bench::forever()),
              Status::mutant_not_owned);
    EXPECT_EQ(co_await b.kernel.signal_and_wait(&t.thread, &s.header, &e.header, Bench::forever()),
              Status::semaphore_limit_exceeded);
    co_return co_await b.kernel.signal_and_wait(&t.thread, &t.thread.header, &e.header, Bench::forever());
  });
  b.run_all();
  EXPECT_EQ(b.threads[0]->result, Status::object_type_mismatch);
  b.stop();
}

// facts 7.2: a thread is signalled when it has ended, for all and for good.
TEST(Wait, AnEndedThreadSatisfiesEveryWaiter) {
  Bench b;
  auto& victim = b.spawn(8, [&](TestThread& t) -> Task<Status> {
    co_return co_await b.kernel.delay_execution(&t.thread, Bench::timed(-300'000));
  });
  for (int i = 0; i < 2; ++i) {
    b.spawn(8, [&](TestThread& t) -> Task<Status> {
      co_return co_await b.kernel.wait_single(&t.thread, &victim.thread.header, Bench::forever());
    });
  }
  b.run_all();
  EXPECT_EQ(b.threads[1]->result, Status::success);
  EXPECT_EQ(b.threads[2]->result, Status::success);
  EXPECT_EQ(victim.thread.state, ThreadState::terminated);
  EXPECT_TRUE(b.process.threads.empty());
  b.stop();
}

// facts 7.6: a gate passes one waiter per signal; its waiters are in state GateWait.
TEST(Wait, AGatePassesOneWaiterPerSignal) {
  Bench b;
  Gate gate;
  int passed = 0;
  for (int i = 0; i < 2; ++i) {
    b.spawn(8, [&](TestThread& t) -> Task<Status> {
      if (is_success(co_await b.kernel.wait_gate(&t.thread, &gate))) ++passed;
      co_return Status::success;
    });
  }
  b.run_all();
  EXPECT_EQ(b.threads[0]->thread.state, ThreadState::gate_wait);
  b.kernel.signal_gate(gate);
  b.run_all();
  EXPECT_EQ(passed, 1);
  b.kernel.signal_gate(gate);
  b.kernel.signal_gate(gate);  // nobody waits: kept for the next
  b.run_all();
  EXPECT_EQ(passed, 2);
  EXPECT_EQ(gate.header.signal_state, 1);
  b.stop();
}

// facts 7.6: waiter and releaser of a keyed event meet by key, whoever comes first.
TEST(Wait, KeyedEventSidesMeetByKeyAndBothBlock) {
  Bench b;
  KeyedEvent k;
  auto& releaser = b.spawn(8, [&](TestThread& t) -> Task<Status> {
    co_return co_await b.kernel.release_keyed_event(&t.thread, &k, 0x1000, Bench::forever());
  });
  auto& stranger = b.spawn(8, [&](TestThread& t) -> Task<Status> {
    co_return co_await b.kernel.wait_keyed_event(&t.thread, &k, 0x2000, Bench::forever());
  });
  b.run_all();
  EXPECT_EQ(releaser.thread.wait_reason, WaitReason::wr_keyed_event);
  EXPECT_EQ(stranger.thread.state, ThreadState::waiting);
  auto& waiter = b.spawn(8, [&](TestThread& t) -> Task<Status> {
    EXPECT_EQ(co_await b.kernel.wait_keyed_event(&t.thread, &k, 0x1001, Bench::forever()), Status::invalid_parameter_1);
    co_return co_await b.kernel.wait_keyed_event(&t.thread, &k, 0x1000, Bench::forever());
  });
  b.run_all();
  EXPECT_EQ(releaser.result, Status::success);
  EXPECT_EQ(waiter.result, Status::success);
  EXPECT_FALSE(stranger.result);
  b.stop();
}

TEST(Wait, AKeyedWaitTimesOutAndLeavesNothingBehind) {
  Bench b;
  KeyedEvent k;
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    co_return co_await b.kernel.wait_keyed_event(&self.thread, &k, 8, Bench::timed(-100'000));
  });
  b.run_all();
  EXPECT_EQ(t.result, Status::timeout);
  EXPECT_TRUE(k.buckets[KeyedEvent::bucket_of(8)].empty());
  b.stop();
}

}  // namespace
}  // namespace vitrine::ke
