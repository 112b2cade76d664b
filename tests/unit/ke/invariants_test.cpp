// The checker is what the torture trusts: each kind of damage that it is there for is done here by hand, found, and
// undone.
#include "ke/invariants.h"

#include <algorithm>

#include "dispatcher_bench.h"

namespace vitrine::ke {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

// One processor with a thread that runs, two that are ready, and one that waits with a time-out.
class Invariants : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 3; ++i) bench.spinner(8);
    bench.spawn(10, [this](TestThread& t) -> Task<Status> { return sleep(&t.thread); });
    bench.run_ms(1);
    for (auto& t : bench.threads) all.push_back(&t->thread);
    ASSERT_THAT(problems(), IsEmpty());
  }
  void TearDown() override {
    EXPECT_THAT(problems(), IsEmpty()) << "the damage was not undone";
    bench.stop();
  }
  Task<Status> sleep(Thread* thread) {
    co_return co_await bench.kernel.wait_single(thread, &event.header, Bench::timed(-10'000'000));
  }
  std::vector<std::string> problems() { return check_invariants(bench.kernel, all); }
  Thread& in_state(ThreadState state) { return **std::ranges::find(all, state, &Thread::state); }

  Event event{EventKind::synchronization};
  Bench bench;
  std::vector<Thread*> all;
};

TEST_F(Invariants, AThreadThatIsNotWhereItsStateSaysIsFound) {
  Thread& waiting = in_state(ThreadState::waiting);
  waiting.state = ThreadState::ready;
  EXPECT_THAT(problems(), Contains(HasSubstr("threads are Ready, but")));
  waiting.state = ThreadState::waiting;
}

TEST_F(Invariants, AThreadThatIsLostIsFound) {
  Thread& ready = in_state(ThreadState::ready);
  ListLink* const next = ready.sched_link.next;
  ready.sched_link.unlink();
  EXPECT_THAT(problems(), Contains(HasSubstr("in no list")));
  ready.sched_link.next = next;
  ready.sched_link.previous = next->previous;
  next->previous->next = &ready.sched_link;
  next->previous = &ready.sched_link;
}

TEST_F(Invariants, ABrokenLinkIsFoundAndTheWalkEnds) {
  Thread& ready = in_state(ThreadState::ready);
  ListLink* const next = ready.sched_link.next;
  ready.sched_link.next = &ready.sched_link;
  EXPECT_THAT(problems(), Contains(HasSubstr("is broken")));
  ready.sched_link.next = next;
}

TEST_F(Invariants, AWaitBlockThatNamesAnotherObjectIsFound) {
  Event other(EventKind::synchronization);
  WaitBlock& block = in_state(ThreadState::waiting).wait_blocks[0];
  block.object = &other.header;
  EXPECT_THAT(problems(), Contains(HasSubstr("1 wait blocks name an object, but 0 hang")));
  block.object = &event.header;
}

TEST_F(Invariants, AWaitForASignalledObjectIsFound) {
  event.header.signal_state = 1;
  EXPECT_THAT(problems(), Contains(HasSubstr("waits for an object that is signalled")));
  event.header.signal_state = 0;
}

TEST_F(Invariants, APriorityThatIsNotItsListsIsFound) {
  Thread& ready = in_state(ThreadState::ready);
  ready.priority = 9;
  EXPECT_THAT(problems(), Contains(HasSubstr("of priority 9 is in list 8")));
  EXPECT_THAT(check_processors(bench.kernel), Contains(HasSubstr("of priority 9 is in list 8")));
  ready.priority = 8;
}

TEST_F(Invariants, ATimeOutThatIsNotInTheTableIsFound) {
  TimerCore& timer = in_state(ThreadState::waiting).timer;
  ListLink* const next = timer.table_link.next;
  timer.table_link.unlink();
  EXPECT_THAT(problems(), Contains(HasSubstr("timer table")));
  timer.table_link.next = next;
  timer.table_link.previous = next->previous;
  next->previous->next = &timer.table_link;
  next->previous = &timer.table_link;
}

// On two processors: the second idles while a thread that may run there is ready at the first.
TEST(IdleProcessor, WhileAThreadThatMayRunThereIsReadyIsFound) {
  Bench bench(2);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(bench.kernel.set_affinity(bench.spinner(8).thread, 1));
  bench.run_ms(1);
  std::vector<Thread*> all;
  for (auto& t : bench.threads) all.push_back(&t->thread);
  ASSERT_THAT(check_invariants(bench.kernel, all), IsEmpty());
  Thread& ready = **std::ranges::find(all, ThreadState::ready, &Thread::state);
  ready.affinity = 3;
  EXPECT_THAT(check_invariants(bench.kernel, all), Contains(HasSubstr("ready while a processor it may use idles")));
  ready.affinity = 1;
}

// facts 5.1: nobody comes back from the dead.
TEST(StateChange, ThatNtDoesNotHaveIsFound) {
  Bench bench;
  Thread& ended = bench.spawn(8, [](TestThread&) -> Task<Status> { co_return Status::success; }).thread;
  bench.run_all();
  ASSERT_EQ(ended.state, ThreadState::terminated);
  ASSERT_THAT(check_processors(bench.kernel), IsEmpty());
  bench.kernel.ready_thread(ended);
  EXPECT_THAT(check_processors(bench.kernel),
              Contains("a thread went from Terminated to DeferredReady, which NT's threads do not"));
  bench.kernel.discard_thread(ended);
}

}  // namespace
}  // namespace vitrine::ke
