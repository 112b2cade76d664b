#include "vitrine/thread_history.h"

#include <gtest/gtest.h>

namespace vitrine {
namespace {

using trace::EventType;

// Threads 4 and 8 of process 2; thread id 0 is the idle thread.
class ThreadHistoryTest : public ::testing::Test {
 protected:
  void at(u64 time, EventType type, u32 current, std::array<u64, 4> arguments) {
    history.observe({time, type, 0, current, arguments});
  }
  void create(u64 time, u64 id) { at(time, EventType::thread_create, 0, {id, 2, 0x1000 + id}); }
  void ready(u64 time, u32 by, u64 id) { at(time, EventType::thread_ready, by, {id, 8, 0, 0}); }
  void switch_to(u64 time, u32 old, u64 next, ke::ThreadState old_state) {
    at(time, EventType::context_switch, old, {old, next, static_cast<u64>(old_state)});
  }
  void wait(u64 time, u32 id, ke::WaitReason reason) {
    at(time, EventType::wait_begin, id, {0, static_cast<u64>(reason), 1, 0});
  }
  void wake(u64 time, u32 by, u64 id) { at(time, EventType::wait_end, by, {0, id}); }
  std::vector<ThreadRecord> end(u64 time) {
    history.finish(time);
    return history.take();
  }

  ThreadHistory history{0};
};

TEST_F(ThreadHistoryTest, SplitsALifeIntoRunningReadyAndWaiting) {
  create(10, 4);
  ready(10, 0, 4);
  switch_to(15, 0, 4, ke::ThreadState::running);
  wait(115, 4, ke::WaitReason::user_request);
  switch_to(115, 4, 0, ke::ThreadState::waiting);
  wake(1115, 0, 4);
  ready(1115, 0, 4);
  switch_to(1118, 0, 4, ke::ThreadState::running);
  at(1218, EventType::thread_exit, 4, {4, 7});
  switch_to(1220, 4, 0, ke::ThreadState::terminated);
  const auto records = end(5000);
  ASSERT_EQ(records.size(), 1u);
  const ThreadRecord& r = records[0];
  EXPECT_EQ(r.process_id, 2u);
  EXPECT_EQ(r.start_address, 0x1004u);
  EXPECT_EQ(r.created_ns, 10u);
  EXPECT_EQ(r.ended_ns, 1218u);
  EXPECT_EQ(r.exit_status, 7u);
  EXPECT_EQ(r.running_ns, 100u + 102u);
  EXPECT_EQ(r.ready_ns, 5u + 3u);
  EXPECT_EQ(r.waiting_ns, 1000u);
  EXPECT_EQ(r.switches, 2u);
}

TEST_F(ThreadHistoryTest, APreemptedThreadIsReadyUntilItRunsAgain) {
  create(0, 4);
  create(0, 8);
  switch_to(0, 0, 4, ke::ThreadState::running);
  switch_to(50, 4, 8, ke::ThreadState::ready);
  switch_to(80, 8, 4, ke::ThreadState::ready);
  const auto records = end(100);
  EXPECT_EQ(records[0].running_ns, 50u + 20u);
  EXPECT_EQ(records[0].ready_ns, 30u);
  EXPECT_EQ(records[1].running_ns, 30u);
  EXPECT_EQ(records[1].ready_ns, 20u);
}

TEST_F(ThreadHistoryTest, CountsWaitsByReasonAndNamesTheMostFrequentWaker) {
  create(0, 4);
  for (u32 waker : {8u, 12u, 8u}) {
    wait(1, 4, ke::WaitReason::user_request);
    at(2, EventType::service_enter, waker, {1});
    wake(2, waker, 4);
  }
  wait(3, 4, ke::WaitReason::delay_execution);
  const auto records = end(4);
  EXPECT_EQ(records[0].waits.at(ke::WaitReason::user_request), 3u);
  EXPECT_EQ(records[0].waits.at(ke::WaitReason::delay_execution), 1u);
  EXPECT_EQ(records[0].woken, 3u);
  ASSERT_TRUE(records[0].most_frequent_waker());
  EXPECT_EQ(records[0].most_frequent_waker()->thread_id, 8u);
  EXPECT_EQ(records[0].most_frequent_waker()->times, 2u);
}

TEST_F(ThreadHistoryTest, ATimerThatExpiresInAThreadsTimeIsNotThatThreadsDoing) {
  create(0, 4);
  create(0, 8);
  wait(1, 4, ke::WaitReason::delay_execution);
  switch_to(1, 4, 8, ke::ThreadState::waiting);
  at(9, EventType::clock_tick, 8, {1});
  at(9, EventType::timer_expire, 8, {9});
  wake(9, 8, 4);
  ready(9, 8, 4);
  at(10, EventType::service_enter, 8, {1});
  wake(11, 8, 4);
  const auto records = end(12);
  EXPECT_EQ(records[0].wakers.at(0), 1u);
  EXPECT_EQ(records[0].wakers.at(8), 1u);
}

TEST_F(ThreadHistoryTest, AnIdThatIsUsedAgainIsAnotherThread) {
  create(0, 4);
  switch_to(0, 0, 4, ke::ThreadState::running);
  at(10, EventType::thread_exit, 4, {4, 1});
  switch_to(10, 4, 0, ke::ThreadState::terminated);
  create(20, 4);
  switch_to(20, 0, 4, ke::ThreadState::running);
  const auto records = end(25);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].running_ns, 10u);
  EXPECT_EQ(records[1].running_ns, 5u);
  EXPECT_FALSE(records[1].ended_ns);
}

TEST_F(ThreadHistoryTest, ASpanBetweenTwoProcessorsClocksIsNeverNegative) {
  create(0, 4);
  ready(100, 0, 4);
  switch_to(90, 0, 4, ke::ThreadState::running);
  const auto records = end(95);
  EXPECT_EQ(records[0].ready_ns, 0u);
  EXPECT_EQ(records[0].running_ns, 5u);
}

TEST_F(ThreadHistoryTest, TimesCountFromTheStartOfTheMachine) {
  history = ThreadHistory(1000);
  create(1010, 4);
  switch_to(1020, 0, 4, ke::ThreadState::running);
  const auto records = end(50);
  EXPECT_EQ(records[0].created_ns, 10u);
  EXPECT_EQ(records[0].running_ns, 30u);
}

TEST_F(ThreadHistoryTest, AThreadThatNeverWaitedHasNoWaker) {
  create(0, 4);
  EXPECT_FALSE(end(1)[0].most_frequent_waker());
}

}  // namespace
}  // namespace vitrine
