#include "dispatcher_bench.h"

namespace vitrine::ke {
namespace {

// What one processor's queue did, in order.
struct Log {
  Kernel* kernel = nullptr;
  std::vector<std::string> lines;
};
struct NamedDpc {
  NamedDpc(Log& log_, std::string name_, DpcKind kind = DpcKind::normal)
      : log(log_), name(std::move(name_)), dpc(&run, this, kind) {}
  static void run(Kernel& kernel, Dpc&, void* context) {
    auto& self = *static_cast<NamedDpc*>(context);
    const auto level = std::to_string(static_cast<int>(kernel.irql()));
    self.log.lines.push_back(self.name + " on " + std::to_string(kernel.executing_processor()) + " at " + level);
  }
  Log& log;
  std::string name;
  Dpc dpc;
};

// WDK KeInsertQueueDpc: FIFO, but high importance goes to the head; one that is queued already is not queued again.
TEST(Dpc, HighImportanceGoesToTheHeadAndNothingIsQueuedTwice) {
  Bench b;
  Log log;
  NamedDpc first(log, "first"), second(log, "second"), urgent(log, "urgent");
  urgent.dpc.importance = DpcImportance::high;
  EXPECT_TRUE(b.kernel.queue_dpc(first.dpc));
  EXPECT_TRUE(b.kernel.queue_dpc(second.dpc));
  EXPECT_TRUE(b.kernel.queue_dpc(urgent.dpc));
  EXPECT_FALSE(b.kernel.queue_dpc(first.dpc));
  b.kernel.dispatch(0);
  EXPECT_THAT(log.lines, testing::ElementsAre("urgent on 0 at 2", "first on 0 at 2", "second on 0 at 2"));
  EXPECT_EQ(b.kernel.irql(), Irql::passive);
  EXPECT_TRUE(b.kernel.queue_dpc(first.dpc));
  EXPECT_TRUE(Kernel::remove_dpc(first.dpc));
  EXPECT_FALSE(Kernel::remove_dpc(first.dpc));
}

// WDK KeSetTargetProcessorDpc: it runs on its target, an idle one too, no earlier than it was queued.
TEST(Dpc, ATargetedDpcRunsOnItsProcessor) {
  Bench b(4);
  Log log;
  NamedDpc there(log, "there");
  there.dpc.target = 3;
  b.kernel.enter(0);
  b.machine.advance(0, {5'000'000});
  b.kernel.queue_dpc(there.dpc);
  b.kernel.dispatch(0);
  EXPECT_THAT(log.lines, testing::IsEmpty());
  b.run_all();
  EXPECT_THAT(log.lines, testing::ElementsAre("there on 3 at 2"));
  EXPECT_GE(b.machine.clock(3).value, 5'000'000u);
}

// WI6p1 ch.3: threaded DPCs run at PASSIVE_LEVEL in a thread of priority 31; without one, at DISPATCH_LEVEL like
// others.
TEST(Dpc, AThreadedDpcRunsInItsThreadAtPassiveLevel) {
  Bench b(1, "nt61-x64");
  Log log;
  NamedDpc early(log, "early", DpcKind::threaded), late(log, "late", DpcKind::threaded), plain(log, "plain");
  b.kernel.queue_dpc(early.dpc);
  b.kernel.dispatch(0);
  EXPECT_THAT(log.lines, testing::ElementsAre("early on 0 at 2"));
  b.spawn(31, [&](TestThread& t) -> Task<Status> { return b.kernel.run_threaded_dpcs(&t.thread, 0); });
  b.run_all();
  log.lines.clear();
  b.spawn(15, [&](TestThread&) -> Task<Status> {
    b.kernel.queue_dpc(late.dpc);
    b.kernel.queue_dpc(plain.dpc);
    log.lines.push_back("thread goes on");
    co_return Status::success;
  });
  b.run_all();
  // The DPC thread preempts at the window's edge; the plain one runs at that edge, before any thread.
  EXPECT_THAT(log.lines, testing::ElementsAre("thread goes on", "plain on 0 at 2", "late on 0 at 0"));
  b.stop();
}

struct WaitInDpc {
  explicit WaitInDpc(Thread* thread_) : thread(thread_) {}
  Thread* thread;
  Event event{EventKind::notification};
  Task<Status> task;
};

void wait_in_a_dpc() {
  Bench b;
  WaitInDpc wait(&b.spinner(8).thread);
  b.kernel.dispatch(0);
  Dpc dpc(
      [](Kernel& kernel, Dpc&, void* context) {
        auto& w = *static_cast<WaitInDpc*>(context);
        w.task = kernel.wait_single(w.thread, &w.event.header, Bench::forever());
        w.task.start();
      },
      &wait);
  b.kernel.queue_dpc(dpc);
  b.kernel.dispatch(0);
}

// WDK: a wait at DISPATCH_LEVEL is a bug: there is no thread that could wait.
TEST(DpcDeathTest, ADpcMayNotWait) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(wait_in_a_dpc(), "irql");
}

}  // namespace
}  // namespace vitrine::ke
