#include "dispatcher_bench.h"

namespace vitrine::ke {
namespace {

using testing::ElementsAre;

struct Packet : QueueEntry {
  explicit Packet(int n) : number(n) {}
  int number;
};
int number_of(const Result<QueueEntry*>& result) { return result ? static_cast<Packet*>(*result)->number : -1; }

struct QueueBench : Bench {
  explicit QueueBench(u32 maximum, u32 processors = 1) : Bench(processors), queue(maximum) {}
  // A worker that takes one entry, does `work` and ends.
  TestThread& worker(const std::string& name, std::function<Task<Status>(TestThread&)> work = nullptr) {
    return spawn(8, [this, name, work](TestThread& t) -> Task<Status> {
      const auto entry = co_await kernel.remove_queue(&t.thread, &queue, forever());
      say(name + std::to_string(number_of(entry)));
      if (work && entry) co_return co_await work(t);
      co_return entry ? Status::success : entry.error();
    });
  }
  Queue queue;
  Packet p1{1}, p2{2}, p3{3};
};

// facts 7.5: entries in order, the most recent waiter first.
TEST(Queue, TheMostRecentWaiterGetsTheEntry) {
  QueueBench b(8);
  b.worker("a");
  b.run_all();
  b.worker("b");
  b.run_all();
  EXPECT_EQ(b.kernel.insert_queue(b.queue, b.p1), 0);
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre("b1"));
  b.kernel.insert_queue(b.queue, b.p2);
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre("b1", "a2"));
  b.stop();
}

TEST(Queue, EntriesWithoutWaitersAreKeptInOrderAndTheHeadGoesFirst) {
  QueueBench b(8);
  EXPECT_EQ(b.kernel.insert_queue(b.queue, b.p1), 0);
  EXPECT_EQ(b.kernel.insert_queue(b.queue, b.p2), 1);
  EXPECT_EQ(b.kernel.insert_queue_head(b.queue, b.p3), 2);
  for (const char* name : {"a", "b", "c"}) b.worker(name);
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre("a3", "b1", "c2"));
  EXPECT_EQ(b.queue.current_count, 0u);
  EXPECT_TRUE(b.queue.associations.empty());
  b.stop();
}

// facts 7.5: no more than the maximum run at a time; a worker that blocks elsewhere lets the next one go.
TEST(Queue, AWorkerThatBlocksElsewhereReleasesAnother) {
  QueueBench b(1);
  Event e(EventKind::notification);
  const auto block = [&](TestThread& t) -> Task<Status> {
    co_await b.burn(t, 5'000'000);
    b.say("blocks");
    (void)co_await b.kernel.wait_single(&t.thread, &e.header, Bench::forever());
    co_return Status::success;
  };
  auto& first = b.worker("a", block);
  b.run_all();
  b.worker("b");
  b.run_all();
  b.kernel.insert_queue(b.queue, b.p1);  // to b, the most recent, which ends
  b.run_all();
  b.kernel.insert_queue(b.queue, b.p2);
  auto& third = b.worker("c");
  b.kernel.insert_queue(b.queue, b.p3);
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre("b1", "a2", "blocks", "c3"));
  EXPECT_EQ(first.thread.state, ThreadState::waiting);
  EXPECT_EQ(third.result, Status::success);
  EXPECT_EQ(b.queue.current_count, 0u);
  b.kernel.set_event(e);
  b.run_all();
  EXPECT_EQ(b.queue.current_count, 0u);
  b.stop();
}

// facts 7.5: at the maximum an entry stays although a thread waits for it; it goes out when a running one blocks.
TEST(Queue, AnEntryHeldBackByTheMaximumGoesToAWaiterWhenARunnerBlocks) {
  QueueBench b(1);
  Event e(EventKind::notification);
  b.worker("a", [&](TestThread& t) -> Task<Status> {
    co_await b.burn(t, 5'000'000);
    b.say("blocks");
    co_return co_await b.kernel.wait_single(&t.thread, &e.header, Bench::forever());
  });
  b.run_all();
  b.kernel.insert_queue(b.queue, b.p1);
  b.run_ms(1);
  auto& waiting = b.worker("c");
  // The waiter is more important than the runner, and waits all the same.
  b.kernel.set_priority(waiting.thread, 12);
  b.run_ms(1);
  EXPECT_EQ(waiting.thread.wait_reason, WaitReason::wr_queue);
  b.kernel.insert_queue(b.queue, b.p2);
  b.run_ms(1);
  EXPECT_EQ(b.queue.header.signal_state, 1);
  EXPECT_THAT(b.log, ElementsAre("a1"));
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre("a1", "blocks", "c2"));
  b.stop();
}

// facts 7.5: a thread that has just come out of the queue does not wake another by inserting: it is expected back.
TEST(Queue, AThreadOfTheQueueThatInsertsKeepsTheEntryForItself) {
  QueueBench b(4);
  auto& other = b.worker("other");
  b.run_all();
  b.kernel.insert_queue(b.queue, b.p1);
  auto& t = b.spawn(
      9,
      [&](TestThread& self) -> Task<Status> {
        b.say("self" +
              std::to_string(number_of(co_await b.kernel.remove_queue(&self.thread, &b.queue, Bench::forever()))));
        b.kernel.insert_queue(b.queue, b.p2);
        b.say("self" +
              std::to_string(number_of(co_await b.kernel.remove_queue(&self.thread, &b.queue, Bench::forever()))));
        co_return Status::success;
      },
      {}, true);
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre("other1"));
  b.log.clear();
  b.worker("late");
  b.run_all();
  b.kernel.ready_thread(t.thread);
  b.run_all();
  b.kernel.insert_queue(b.queue, b.p3);
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre("self3", "self2"));
  EXPECT_EQ(other.result, Status::success);
  b.stop();
}

TEST(Queue, AWaitTimesOutAndTheCountsStayRight) {
  QueueBench b(1);
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    const auto polled = b.kernel.try_remove_queue(self.thread, b.queue, Bench::timed(0));
    EXPECT_TRUE(polled && polled->error() == Status::timeout);
    EXPECT_EQ(b.queue.current_count, 1u);
    const auto waited = co_await b.kernel.remove_queue(&self.thread, &b.queue, Bench::timed(-100'000));
    EXPECT_EQ(b.queue.current_count, 1u);
    co_return waited.error();
  });
  b.run_all();
  EXPECT_EQ(t.result, Status::timeout);
  EXPECT_EQ(b.queue.current_count, 0u);
  b.stop();
}

// facts 7.5: a rundown wakes the waiters and leaves the entries to the caller.
TEST(Queue, ARundownWakesWaitersAndKeepsEntries) {
  QueueBench b(1);
  auto& t = b.worker("a");
  b.run_all();
  b.kernel.rundown_queue(b.queue);
  b.run_all();
  EXPECT_EQ(t.result, Status::abandoned_wait_0);
  b.stop();
}

// A wait without a thread [Microsoft: NtAssociateWaitCompletionPacket]: it takes the signal in its turn, and is over then.
TEST(QueueNotification, TakesItsTurnAmongWaitersAndGivesAnEntry) {
  QueueBench b(8);
  Semaphore semaphore{0, 5};
  b.spawn(8, [&](TestThread& t) -> Task<Status> {
    const Status status = co_await b.kernel.wait_single(&t.thread, &semaphore.header, b.forever());
    b.say("thread");
    co_return status;
  });
  b.run_all();
  QueueNotification notification;
  EXPECT_FALSE(b.kernel.notify_queue(notification, semaphore.header, b.queue, b.p1));
  (void)b.kernel.release_semaphore(semaphore, 1);
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre("thread"));
  EXPECT_EQ(b.queue.header.signal_state, 0);
  (void)b.kernel.release_semaphore(semaphore, 2);
  EXPECT_EQ(semaphore.header.signal_state, 1);  // one signal taken, once
  EXPECT_EQ(b.queue.header.signal_state, 1);
  EXPECT_FALSE(b.kernel.cancel_notification(notification));
  EXPECT_TRUE(b.kernel.notify_queue(notification, semaphore.header, b.queue, b.p2));  // at once
  EXPECT_EQ(semaphore.header.signal_state, 0);
  EXPECT_TRUE(b.kernel.remove_queue_entry(b.queue, b.p1));
  EXPECT_FALSE(b.kernel.remove_queue_entry(b.queue, b.p1));
  b.worker("a");
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre("thread", "a2"));
  b.stop();
}

// A thread that waits for both the object and the queue is woken once, whichever the notification makes ready first.
TEST(QueueNotification, WakesAThreadThatWaitsForTheObjectAndTheQueue) {
  QueueBench b(8);
  Event event{EventKind::notification};
  QueueNotification notification;
  EXPECT_FALSE(b.kernel.notify_queue(notification, event.header, b.queue, b.p1));
  b.spawn(8, [&](TestThread& t) -> Task<Status> {
    DispatcherHeader* const both[] = {&event.header, &b.queue.header};
    const Status status = co_await b.kernel.wait_multiple(&t.thread, both, WaitType::any, b.forever());
    b.say("woken " + std::to_string(static_cast<u32>(status)));
    co_return status;
  });
  b.run_all();
  b.kernel.set_event(event);
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre("woken 0"));
  EXPECT_TRUE(b.kernel.remove_queue_entry(b.queue, b.p1));
  b.stop();
}

TEST(QueueNotification, CancelledHearsNothing) {
  QueueBench b(8);
  Event event{EventKind::synchronization};
  QueueNotification notification;
  EXPECT_FALSE(b.kernel.notify_queue(notification, event.header, b.queue, b.p1));
  EXPECT_TRUE(b.kernel.cancel_notification(notification));
  b.kernel.set_event(event);
  EXPECT_EQ(event.header.signal_state, 1);
  EXPECT_EQ(b.queue.header.signal_state, 0);
  b.stop();
}

// The owner of a pool hears that an entry lies there while another thread might run, and not otherwise.
TEST(Queue, TellsWhenNobodyAttendsToAnEntry) {
  QueueBench b(1);
  int told = 0;
  Dpc dpc([](Kernel&, Dpc&, void* context) { ++*static_cast<int*>(context); }, &told);
  b.queue.unattended = &dpc;
  b.worker("a", [&b](TestThread& t) -> Task<Status> {
    WaitParameters parameters = b.forever();
    parameters.timeout = Ticks{-10'000};
    co_return co_await b.kernel.delay_execution(&t.thread, parameters);
  });
  b.run_all();
  b.kernel.insert_queue(b.queue, b.p1);  // somebody waits
  EXPECT_EQ(told, 0);
  b.kernel.insert_queue(b.queue, b.p2);  // one runs, and one is the limit
  EXPECT_EQ(told, 0);
  b.run_all();  // with p2 left it blocks, then ends
  EXPECT_EQ(told, 2);
  b.kernel.insert_queue(b.queue, b.p3);
  b.run_all();
  EXPECT_EQ(told, 3);
  for (Packet* left : {&b.p2, &b.p3}) EXPECT_TRUE(b.kernel.remove_queue_entry(b.queue, *left));
  b.stop();
}

}  // namespace
}  // namespace vitrine::ke
