#include "dispatcher_bench.h"

namespace vitrine::ke {
namespace {

using testing::ElementsAre;

// DESIGN 3.5: a thread created suspended runs once, to its suspend APC, and then waits without any frame.
TEST(Suspend, ANewSuspendedThreadWaitsWithoutAFrame) {
  Bench b;
  auto& t = b.spawn(8, [&](TestThread&) -> Task<Status> { co_return Status::success; }, {}, true);
  EXPECT_EQ(b.kernel.suspend_thread(t.thread), 0u);
  b.kernel.ready_thread(t.thread);
  b.run_all();
  EXPECT_EQ(t.thread.state, ThreadState::waiting);
  EXPECT_EQ(t.thread.wait_reason, WaitReason::suspended);
  EXPECT_EQ(t.thread.wait_mode, Mode::kernel);
  EXPECT_FALSE(t.thread.continuation);
  EXPECT_FALSE(t.task.valid());
  EXPECT_EQ(t.thread.context_switches, 1u);
  EXPECT_EQ(b.kernel.resume_thread(t.thread), 1u);
  b.run_all();
  EXPECT_EQ(t.result, Status::success);
  b.stop();
}

// facts 7.8: at most 127; each resume undoes one.
TEST(Suspend, TheCountGoesTo127AndNoFurther) {
  Bench b;
  auto& t = b.spinner(8, 1000);
  for (u32 i = 0; i < 127; ++i) EXPECT_EQ(b.kernel.suspend_thread(t.thread), i);
  EXPECT_EQ(b.kernel.suspend_thread(t.thread).error(), Status::suspend_count_exceeded);
  b.run_all();
  for (u32 i = 127; i > 1; --i) EXPECT_EQ(b.kernel.resume_thread(t.thread), i);
  b.run_all();
  EXPECT_EQ(t.thread.state, ThreadState::waiting);
  EXPECT_EQ(b.kernel.resume_thread(t.thread), 1u);
  EXPECT_EQ(b.kernel.resume_thread(t.thread), 0u);
  b.run_all();
  EXPECT_EQ(t.thread.state, ThreadState::terminated);
  b.stop();
}

// facts 7.8: a waiting thread leaves its wait for the suspend APC and resumes the wait afterwards; a signal meanwhile
// is not lost, because it is tested again.
TEST(Suspend, AWaitingThreadIsSuspendedAndThenWaitsAgain) {
  Bench b;
  Event e(EventKind::synchronization);
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    const Status status = co_await b.kernel.wait_single(&self.thread, &e.header, Bench::forever());
    b.say("woke");
    co_return status;
  });
  b.run_all();
  (void)b.kernel.suspend_thread(t.thread);
  b.run_all();
  EXPECT_EQ(t.thread.wait_reason, WaitReason::suspended);
  EXPECT_TRUE(e.header.waiters.empty());
  b.kernel.set_event(e);
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre());
  b.kernel.resume_thread(t.thread);
  b.run_all();
  EXPECT_EQ(t.result, Status::success);
  b.stop();
}

// facts 7.8: an APC still queued when a second suspension comes takes the semaphore back instead.
TEST(Suspend, SuspendResumeSuspendBeforeTheThreadRunsLeavesItSuspended) {
  Bench b;
  auto& t = b.spinner(8, 1000);
  (void)b.kernel.suspend_thread(t.thread);
  b.kernel.resume_thread(t.thread);
  EXPECT_EQ(t.thread.suspend_semaphore.signal_state, 1);
  (void)b.kernel.suspend_thread(t.thread);
  EXPECT_EQ(t.thread.suspend_semaphore.signal_state, 0);
  b.run_all();
  EXPECT_EQ(t.thread.state, ThreadState::waiting);
  b.kernel.resume_thread(t.thread);
  b.run_all();
  EXPECT_EQ(t.thread.state, ThreadState::terminated);
  b.stop();
}

TEST(Suspend, FreezeAndSuspendAreCountedApartAndForceResumeClearsBoth) {
  Bench b;
  auto& t = b.spinner(8, 1000);
  auto& spared = b.spinner(8, 1000);
  (void)b.kernel.suspend_thread(t.thread);
  b.kernel.freeze_process(b.process, &spared.thread);
  b.run_all();
  EXPECT_EQ(spared.thread.state, ThreadState::terminated);
  EXPECT_EQ(b.kernel.resume_thread(t.thread), 1u);
  b.run_all();
  EXPECT_EQ(t.thread.state, ThreadState::waiting);  // still frozen
  (void)b.kernel.suspend_thread(t.thread);
  b.kernel.thaw_process(b.process);
  b.run_all();
  EXPECT_EQ(t.thread.state, ThreadState::waiting);  // still suspended
  b.kernel.freeze_thread(t.thread);
  EXPECT_EQ(b.kernel.force_resume_thread(t.thread), 2u);
  b.run_all();
  EXPECT_EQ(t.thread.state, ThreadState::terminated);
  b.stop();
}

// A special kernel APC reaches a suspended thread, which stays suspended.
TEST(Suspend, ASpecialApcRunsInsideTheSuspension) {
  Bench b;
  auto& t = b.spinner(8, 1000);
  (void)b.kernel.suspend_thread(t.thread);
  b.run_all();
  static int ran;
  ran = 0;
  static constexpr ApcOperations kCount{[](Kernel&, Apc&, UserApcCall*) { ++ran; }, nullptr, nullptr};
  Apc special, normal;
  Kernel::init_apc(special, t.thread, ApcKind::special_kernel, kCount);
  Kernel::init_apc(normal, t.thread, ApcKind::normal_kernel, kCount);
  b.kernel.insert_apc(normal);  // not nested within the suspend APC, which is a normal one
  b.run_all();
  EXPECT_EQ(ran, 0);
  b.kernel.insert_apc(special);
  b.run_all();
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(t.thread.wait_reason, WaitReason::suspended);
  b.kernel.resume_thread(t.thread);
  b.run_all();
  EXPECT_EQ(ran, 2);
  EXPECT_EQ(t.thread.state, ThreadState::terminated);
  b.stop();
}

// facts 7.8: an alert ends an alertable wait of the same or a less privileged mode, else it is kept.
TEST(Alert, AnAlertEndsAnAlertableWaitOrIsKeptForTheNext) {
  Bench b;
  Event never(EventKind::notification);
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    EXPECT_EQ(co_await b.kernel.wait_single(&self.thread, &never.header, Bench::forever(Mode::user, true)),
              Status::alerted);
    co_return co_await b.kernel.wait_single(&self.thread, &never.header, Bench::forever(Mode::user, true));
  });
  b.run_all();
  EXPECT_FALSE(b.kernel.alert_thread(t.thread, Mode::user));
  EXPECT_FALSE(b.kernel.alert_thread(t.thread, Mode::user));  // kept: it does not wait now
  EXPECT_TRUE(b.kernel.alert_thread(t.thread, Mode::user));
  b.run_all();
  EXPECT_EQ(t.result, Status::alerted);
  b.stop();
}

TEST(Alert, AUserAlertDoesNotEndAKernelModeWaitButAKernelAlertDoes) {
  Bench b;
  Event never(EventKind::notification);
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    co_return co_await b.kernel.wait_single(&self.thread, &never.header, Bench::forever(Mode::kernel, true));
  });
  b.run_all();
  b.kernel.alert_thread(t.thread, Mode::user);
  b.run_all();
  EXPECT_FALSE(t.result);
  EXPECT_EQ(b.kernel.alert_resume_thread(t.thread), 0u);
  b.run_all();
  EXPECT_EQ(t.result, Status::alerted);
  b.stop();
}

// NtAlertThreadByThreadId: one sticky bit, no object, in either order.
TEST(Alert, AlertByIdIsOneStickyBit) {
  Bench b;
  auto& t = b.spawn(
      8,
      [&](TestThread& self) -> Task<Status> {
        EXPECT_EQ(b.kernel.try_wait_for_alert_by_id(self.thread, std::nullopt), Status::alerted);
        EXPECT_EQ(b.kernel.try_wait_for_alert_by_id(self.thread, Ticks{0}), Status::timeout);
        EXPECT_EQ(co_await b.kernel.wait_for_alert_by_id(&self.thread, 0x1234, Ticks{-100'000}), Status::timeout);
        co_return co_await b.kernel.wait_for_alert_by_id(&self.thread, 0x1234, std::nullopt);
      },
      {}, true);
  b.kernel.alert_thread_by_id(t.thread);
  b.kernel.alert_thread_by_id(t.thread);
  b.kernel.ready_thread(t.thread);
  b.run_all();
  EXPECT_EQ(t.thread.wait_reason, WaitReason::wr_alert_by_thread_id);
  EXPECT_EQ(t.thread.wait_blocks[1].key, 0x1234u);
  b.kernel.alert_thread_by_id(t.thread);
  b.run_all();
  EXPECT_EQ(t.result, Status::alerted);
  b.stop();
}

// The bit survives a suspension in the middle of the wait.
TEST(Alert, AnAlertByIdDuringASuspensionIsNotLost) {
  Bench b;
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    co_return co_await b.kernel.wait_for_alert_by_id(&self.thread, 0, std::nullopt);
  });
  b.run_all();
  (void)b.kernel.suspend_thread(t.thread);
  b.run_all();
  b.kernel.alert_thread_by_id(t.thread);
  b.run_all();
  EXPECT_FALSE(t.result);
  b.kernel.resume_thread(t.thread);
  b.run_all();
  EXPECT_EQ(t.result, Status::alerted);
  b.stop();
}

}  // namespace
}  // namespace vitrine::ke
