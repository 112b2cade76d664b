#include "ke/kernel_locks.h"

#include "dispatcher_bench.h"
#include "ke/event_pair.h"

namespace vitrine::ke {
namespace {

constexpr ApcOperations kNoRoutines{nullptr, nullptr, nullptr};

// facts 6.5: the boost starts from where the thread is, which KeSetPriorityThread may have put below its base.
TEST(LockBoost, MayLeaveAThreadBelowItsBase) {
  Bench b;
  Event e(EventKind::synchronization);
  auto& t = b.spawn(12, [&](TestThread& self) -> Task<Status> {
    (void)co_await b.kernel.wait_single(&self.thread, &e.header, Bench::forever());
    co_return Status::success;
  });
  b.run_all();
  b.kernel.set_priority(t.thread, 2);
  b.spawn(3, [&](TestThread&) -> Task<Status> {
    b.kernel.set_event_boost_priority(e);
    co_return Status::success;
  });
  b.step();
  EXPECT_EQ(t.thread.priority, 4);
  EXPECT_EQ(t.thread.priority_decrement, 2);
  b.check();
  b.stop();
}

// WDK ExAcquireFastMutex; facts 6.5: a fast mutex is handed to the first waiter, with the lock boost of its releaser.
TEST(FastMutex, TheReleaserHandsItToTheFirstWaiterWithTheLockBoost) {
  Bench b;
  FastMutex mutex;
  const auto body = [&](std::string name, u64 hold_ms) {
    return [&b, &mutex, name, hold_ms](TestThread& t) -> Task<Status> {
      (void)co_await acquire_fast_mutex(&b.kernel, &t.thread, &mutex);
      b.say(name + " has it at priority " + std::to_string(t.thread.priority));
      co_await b.burn(t, hold_ms * 1'000'000);
      release_fast_mutex(b.kernel, t.thread, mutex);
      co_return Status::success;
    };
  };
  b.spawn(8, body("owner", 30));
  b.run_ms(5);
  b.spawn(9, body("first", 1));
  b.spawn(10, body("second", 1));
  b.run_all();
  // min(increment + 1, 13): above the releaser's own.
  EXPECT_THAT(b.log, testing::ElementsAre("owner has it at priority 8", "second has it at priority 10",
                                          "first has it at priority 11"));
  EXPECT_EQ(mutex.contention, 2u);
  EXPECT_EQ(mutex.count, 1);
  b.stop();
}

// WDK: the owner of a fast mutex, and who waits for it, is at APC_LEVEL: no kernel APC reaches it, the suspend APC
// neither.
TEST(FastMutex, ItsOwnerTakesNoKernelApc) {
  Bench b;
  FastMutex mutex;
  Event gate(EventKind::notification);
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    (void)co_await acquire_fast_mutex(&b.kernel, &self.thread, &mutex);
    (void)co_await b.kernel.wait_single(&self.thread, &gate.header, Bench::forever());
    b.say("waited");
    release_fast_mutex(b.kernel, self.thread, mutex);
    co_await b.burn(self);
    b.say("went on");
    co_return Status::success;
  });
  b.run_all();
  (void)b.kernel.suspend_thread(t.thread);
  EXPECT_EQ(t.thread.state, ThreadState::waiting);
  EXPECT_EQ(t.thread.wait_reason, WaitReason::user_request);  // the wait was not left
  b.kernel.set_event(gate);
  b.run_all();
  EXPECT_THAT(b.log, testing::ElementsAre("waited"));
  EXPECT_EQ(t.thread.wait_reason, WaitReason::suspended);  // at the first boundary without the mutex
  b.kernel.resume_thread(t.thread);
  b.run_all();
  EXPECT_THAT(b.log, testing::ElementsAre("waited", "went on"));
  b.stop();
}

// facts 7.6: a guarded mutex is a count and a gate; its owner has even special kernel APCs off; contention is counted.
TEST(GuardedMutex, ItsOwnerTakesNoSpecialApcAndWaitersStandAtTheGate) {
  Bench b;
  GuardedMutex mutex;
  auto& owner = b.spawn(8, [&](TestThread& t) -> Task<Status> {
    (void)co_await acquire_guarded_mutex(&b.kernel, &t.thread, &mutex);
    co_await b.burn(t, 30'000'000);
    release_guarded_mutex(b.kernel, t.thread, mutex);
    co_await b.burn(t, 30'000'000);
    co_return Status::success;
  });
  b.run_ms(5);
  auto& waiter = b.spawn(9, [&](TestThread& t) -> Task<Status> {
    const Status status = co_await acquire_guarded_mutex(&b.kernel, &t.thread, &mutex);
    release_guarded_mutex(b.kernel, t.thread, mutex);
    co_return status;
  });
  b.run_ms(5);
  EXPECT_EQ(waiter.thread.state, ThreadState::gate_wait);
  EXPECT_EQ(mutex.contention, 1u);
  Apc apc;
  Kernel::init_apc(apc, owner.thread, ApcKind::special_kernel, kNoRoutines);
  b.kernel.insert_apc(apc);
  b.run_ms(5);
  EXPECT_TRUE(apc.inserted);
  b.run_all();
  EXPECT_FALSE(apc.inserted);
  EXPECT_EQ(waiter.result, Status::success);
  EXPECT_FALSE(mutex.locked);
  EXPECT_EQ(mutex.waiters, 0u);
  b.stop();
}

// ROS: a woken waiter competes again: who comes by before it runs gets the mutex, and it goes back to the gate.
TEST(GuardedMutex, AThreadThatComesByMayTakeItBeforeTheWokenOne) {
  Bench b;
  GuardedMutex mutex;
  b.spawn(10, [&](TestThread& t) -> Task<Status> {
    (void)co_await acquire_guarded_mutex(&b.kernel, &t.thread, &mutex);
    co_await b.burn(t, 5'000'000);
    release_guarded_mutex(b.kernel, t.thread, mutex);
    b.say(try_acquire_guarded_mutex(b.kernel, t.thread, mutex) ? "took it again" : "lost it");
    co_await b.burn(t, 5'000'000);
    (void)co_await b.kernel.delay_execution(&t.thread, Bench::timed(-200'000, Mode::kernel));
    b.say("released");
    release_guarded_mutex(b.kernel, t.thread, mutex);
    co_return Status::success;
  });
  b.spawn(12, [&](TestThread& t) -> Task<Status> {
    (void)co_await b.kernel.delay_execution(&t.thread, Bench::timed(-1, Mode::kernel));
    (void)co_await acquire_guarded_mutex(&b.kernel, &t.thread, &mutex);
    b.say("waiter has it");
    release_guarded_mutex(b.kernel, t.thread, mutex);
    co_return Status::success;
  });
  b.run_all();
  EXPECT_EQ(b.log.back(), "waiter has it");
  EXPECT_EQ(mutex.waiters, 0u);
  EXPECT_FALSE(mutex.waiter_woken);
  b.stop();
}

// facts 7.1, type 21: each side sets its own event and waits for the other's, in one step.
TEST(EventPair, TwoThreadsTakeTurns) {
  Bench b;
  EventPair pair;
  b.spawn(8, [&](TestThread& t) -> Task<Status> {
    for (int i = 0; i < 3; ++i) {
      (void)co_await wait_event_pair(&b.kernel, &t.thread, &pair, EventPairSide::low, Mode::user);
      b.say("server " + std::to_string(i));
      b.kernel.set_event(pair.high);
    }
    co_return Status::success;
  });
  b.spawn(8, [&](TestThread& t) -> Task<Status> {
    for (int i = 0; i < 3; ++i) {
      b.say("client " + std::to_string(i));
      (void)co_await set_and_wait_event_pair(&b.kernel, &t.thread, &pair, EventPairSide::low, Mode::user);
      EXPECT_EQ(t.thread.wait_reason, WaitReason::wr_event_pair);
    }
    co_return Status::success;
  });
  b.run_all();
  EXPECT_THAT(b.log, testing::ElementsAre("client 0", "server 0", "client 1", "server 1", "client 2", "server 2"));
  b.stop();
}

}  // namespace
}  // namespace vitrine::ke
