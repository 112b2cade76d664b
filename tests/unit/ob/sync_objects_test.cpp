#include "ob/sync_objects.h"

#include "../ke/dispatcher_bench.h"
#include "objects_test.h"

namespace vitrine::ob {
namespace {

using ke::Bench;
using testing::ElementsAre;

struct SyncTest : ObjectTest {
  // A thread in an endless alertable wait, which notes the APCs that reach it.
  ke::TestThread& alertable_sleeper() {
    return bench.spawn(8, [this](ke::TestThread& t) -> Task<Status> {
      for (int i = 0; i < 2; ++i) {
        const Status status =
            co_await bench.kernel.wait_single(&t.thread, &never.header, Bench::forever(ke::Mode::user, true));
        if (status != Status::user_apc) co_return status;
        co_await bench.burn(t);
      }
      co_return Status::success;
    });
  }
  ~SyncTest() override { bench.stop(); }

  Bench bench{1, "nt61-x64"};
  ke::Event never{ke::EventKind::notification};
  SyncTypes sync{objects, bench.kernel};
};

TEST_F(SyncTest, OnlyDispatcherObjectsCanBeWaitedOn) {
  const auto event = *sync.create_event({}, ke::EventKind::notification, true);
  EXPECT_EQ(dispatcher_header(*event), &event->event.header);
  const auto keyed = *sync.create_keyed_event({});
  EXPECT_EQ(dispatcher_header(*keyed), nullptr);
  EXPECT_EQ(dispatcher_header(*make()), nullptr);
}

TEST_F(SyncTest, BodiesAreBookedWithTheProfilesSizes) {
  const auto event = *sync.create_event({}, ke::EventKind::notification, false);
  EXPECT_EQ(pool.charged_bytes(event->block()), 96u);  // 16 + 48 + 24
  const auto mutant = *sync.create_mutant({}, nullptr);
  EXPECT_EQ(pool.charged_bytes(mutant->block()), 128u);  // 16 + 48 + 56
  Quota quota;
  const auto keyed = *sync.create_keyed_event({.payer = &quota});
  EXPECT_EQ(quota.bytes[1], profile.sizes.keyed_event);
  EXPECT_EQ(quota.bytes[0], 0u);
}

TEST_F(SyncTest, SemaphoresRefuseImpossibleLimits) {
  EXPECT_EQ(sync.create_semaphore({}, 0, 0).error(), Status::invalid_parameter);
  EXPECT_EQ(sync.create_semaphore({}, -1, 1).error(), Status::invalid_parameter);
  EXPECT_EQ(sync.create_semaphore({}, 2, 1).error(), Status::invalid_parameter);
  EXPECT_TRUE(sync.create_semaphore({}, 1, 1));
}

// The owner's list must not keep a mutant that is gone.
TEST_F(SyncTest, DeletingAnOwnedMutantTakesItFromItsOwner) {
  ke::TestThread& owner = bench.spinner(8);
  Ref<MutantObject> mutant = *sync.create_mutant({}, &owner.thread);
  EXPECT_EQ(mutant->mutant.owner, &owner.thread);
  mutant.reset();
  bench.check();
  bench.kernel.rundown_thread(owner.thread);  // walks the list
}

TEST_F(SyncTest, ATimersApcArrivesOnceAndThenLetsTheTimerGo) {
  ke::TestThread& thread = alertable_sleeper();
  Ref<TimerObject> timer = *sync.create_timer({}, ke::TimerKind::notification);
  EXPECT_FALSE(sync.set_timer(*timer, {.due = {-200'000}, .apc_thread = &thread.thread, .apc_routine = 0x1234}));
  EXPECT_EQ(timer->pointer_count(), 2);
  TimerObject* const raw = timer.get();
  timer.reset();  // the last handle is gone; the APC keeps it
  EXPECT_EQ(raw->pointer_count(), 1);
  bench.run_ms(100);
  EXPECT_THAT(thread.user_apcs, ElementsAre(0x1234u));
  EXPECT_EQ(sync.timer().object_count, 0u);
}

TEST_F(SyncTest, APeriodicTimerSendsItsApcUntilCancelled) {
  ke::TestThread& thread = alertable_sleeper();
  const Ref<TimerObject> timer = *sync.create_timer({}, ke::TimerKind::synchronization);
  (void)sync.set_timer(*timer, {.due = {-200'000}, .period_ms = 40, .apc_thread = &thread.thread, .apc_routine = 0x99});
  bench.run_ms(45);
  EXPECT_EQ(thread.user_apcs.size(), 1u);
  EXPECT_TRUE(sync.cancel_timer(*timer));
  EXPECT_FALSE(sync.cancel_timer(*timer));
  bench.run_ms(200);
  EXPECT_EQ(thread.user_apcs.size(), 1u);
  EXPECT_EQ(timer->pointer_count(), 1);
}

TEST_F(SyncTest, SettingATimerAgainTakesBackTheEarlierApc) {
  ke::TestThread& thread = bench.spinner(8);
  const Ref<TimerObject> timer = *sync.create_timer({}, ke::TimerKind::notification);
  (void)sync.set_timer(*timer, {.due = {-100'000}, .apc_thread = &thread.thread, .apc_routine = 1});
  bench.run_ms(50);
  EXPECT_TRUE(timer->apc.inserted);  // not delivered: the thread is not alertable
  EXPECT_TRUE(sync.set_timer(*timer, {.due = {-100'000}}));
  EXPECT_FALSE(timer->apc.inserted);
  EXPECT_EQ(timer->pointer_count(), 1);
}

TEST_F(SyncTest, TheEndOfTheThreadCancelsItsTimers) {
  ke::TestThread& thread = bench.spinner(8);
  ke::TestThread& other = bench.spinner(8);
  const Ref<TimerObject> timer = *sync.create_timer({}, ke::TimerKind::notification);
  const Ref<TimerObject> kept = *sync.create_timer({}, ke::TimerKind::notification);
  (void)sync.set_timer(*timer, {.due = {-100'000'000}, .apc_thread = &thread.thread, .apc_routine = 1});
  (void)sync.set_timer(*kept, {.due = {-100'000'000}, .apc_thread = &other.thread, .apc_routine = 1});
  sync.rundown_thread(thread.thread);
  EXPECT_EQ(timer->pointer_count(), 1);
  EXPECT_FALSE(bench.kernel.cancel_timer(timer->timer));
  EXPECT_EQ(kept->pointer_count(), 2);
  sync.rundown_thread(other.thread);
}

TEST_F(SyncTest, DeletingASetTimerTakesItOutOfTheTable) {
  Ref<TimerObject> timer = *sync.create_timer({}, ke::TimerKind::notification);
  (void)sync.set_timer(*timer, {.due = {-100'000'000}});
  timer.reset();
  EXPECT_EQ(sync.timer().object_count, 0u);
  EXPECT_FALSE(bench.kernel.next_due().has_value());
}

}  // namespace
}  // namespace vitrine::ob
