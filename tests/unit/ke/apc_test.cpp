#include "dispatcher_bench.h"

namespace vitrine::ke {
namespace {

using testing::ElementsAre;

// An APC that writes its name into the bench's log.
struct Named : UserApc {
  Bench* bench = nullptr;
  std::string name;
  static void on_kernel(Kernel&, Apc& apc, UserApcCall*) {
    auto& self = static_cast<Named&>(apc);
    self.bench->say(self.name);
  }
  static void on_rundown(Kernel&, Apc& apc) {
    auto& self = static_cast<Named&>(apc);
    self.bench->say("rundown " + self.name);
  }
  static constexpr ApcOperations kOperations{on_kernel, on_rundown, nullptr};
  Named(Bench& b, Thread& thread, ApcKind kind_, std::string n, Va routine = 0) : bench(&b), name(std::move(n)) {
    Kernel::init_apc(*this, thread, kind_, kOperations);
    call.normal_routine = routine;
  }
  ~Named() { bench->kernel.remove_apc(*this); }
};

// facts 7.7: special kernel APCs come before normal ones, each kind in order; user APCs only when asked for.
TEST(Apc, SpecialKernelComesBeforeNormalKernelAndUserWaitsForAnAlertableMoment) {
  Bench b;
  auto& t = b.spawn(
      8,
      [&](TestThread& self) -> Task<Status> {
        co_await b.burn(self);
        b.say("user code");
        EXPECT_EQ(b.kernel.test_alert(self.thread, Mode::user), Status::success);
        co_await b.burn(self);
        co_return Status::success;
      },
      {}, true);
  Named n1(b, t.thread, ApcKind::normal_kernel, "n1"), n2(b, t.thread, ApcKind::normal_kernel, "n2");
  Named s1(b, t.thread, ApcKind::special_kernel, "s1"), s2(b, t.thread, ApcKind::special_kernel, "s2");
  Named u1(b, t.thread, ApcKind::user, "u1", 0x1111), u2(b, t.thread, ApcKind::user, "u2", 0x2222);
  for (Apc* apc : {static_cast<Apc*>(&u1), static_cast<Apc*>(&n1), static_cast<Apc*>(&s1), static_cast<Apc*>(&n2),
                   static_cast<Apc*>(&s2), static_cast<Apc*>(&u2)}) {
    EXPECT_TRUE(b.kernel.insert_apc(*apc));
  }
  EXPECT_FALSE(b.kernel.insert_apc(n1));  // already inserted
  b.kernel.ready_thread(t.thread);
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre("s1", "s2", "n1", "n2", "user code", "u1", "u2"));
  EXPECT_THAT(t.user_apcs, ElementsAre(0x1111, 0x2222));
  b.stop();
}

// facts 7.7: a kernel APC interrupts a wait, which is entered anew at the back of the queue.
TEST(Apc, AKernelApcCostsTheWaiterItsPlaceInTheQueue) {
  Bench b;
  Event e(EventKind::synchronization);
  for (int i = 0; i < 2; ++i) {
    b.spawn(8, [&, i](TestThread& t) -> Task<Status> {
      const Status s = co_await b.kernel.wait_single(&t.thread, &e.header, Bench::forever());
      b.say("woke " + std::to_string(i));
      co_return s;
    });
  }
  b.run_all();
  Named apc(b, b.threads[0]->thread, ApcKind::special_kernel, "apc");
  b.kernel.insert_apc(apc);
  b.run_all();
  EXPECT_EQ(b.threads[0]->thread.state, ThreadState::waiting);
  b.kernel.set_event(e);
  b.run_all();
  EXPECT_THAT(b.log, ElementsAre("apc", "woke 1"));
  b.stop();
}

// facts 7.3: a re-entered wait keeps its original due time.
TEST(Apc, AnInterruptedWaitStillEndsAtItsOriginalTime) {
  Bench b;
  auto& sleeper = b.spawn(8, [&](TestThread& t) -> Task<Status> {
    co_return co_await b.kernel.delay_execution(&t.thread, Bench::timed(-1'000'000));
  });
  Named apc(b, sleeper.thread, ApcKind::special_kernel, "apc");
  b.spawn(8, [&](TestThread& t) -> Task<Status> {
    (void)co_await b.kernel.delay_execution(&t.thread, Bench::timed(-500'000));
    b.kernel.insert_apc(apc);
    co_return Status::success;
  });
  b.run_all();
  EXPECT_EQ(sleeper.result, Status::success);
  EXPECT_EQ(b.kernel.interrupt_time().value, 1'000'000);
  b.stop();
}

// facts 7.7: a user APC ends an alertable user-mode wait only.
TEST(Apc, AUserApcEndsOnlyAlertableUserModeWaits) {
  Bench b;
  Event never(EventKind::notification);
  const WaitParameters kinds[] = {Bench::forever(Mode::user, true), Bench::forever(Mode::user, false),
                                  Bench::forever(Mode::kernel, true)};
  for (const WaitParameters& parameters : kinds) {
    b.spawn(8, [&](TestThread& t) -> Task<Status> {
      co_return co_await b.kernel.wait_single(&t.thread, &never.header, parameters);
    });
  }
  b.run_all();
  std::deque<Named> apcs;
  for (auto& t : b.threads) b.kernel.insert_apc(apcs.emplace_back(b, t->thread, ApcKind::user, "u", 0x10));
  b.run_all();
  EXPECT_EQ(b.threads[0]->result, Status::user_apc);
  EXPECT_FALSE(b.threads[1]->result);
  EXPECT_FALSE(b.threads[2]->result);
  b.stop();
}

// facts 7.3: an APC that is queued before an alertable wait ends it at once, even with the object signalled later.
TEST(Apc, AQueuedUserApcMakesAnAlertableWaitReturnAtOnce) {
  Bench b;
  Event never(EventKind::notification);
  auto& t = b.spawn(
      8,
      [&](TestThread& self) -> Task<Status> {
        EXPECT_EQ(b.kernel.try_wait_single(self.thread, never.header, Bench::forever(Mode::user, true)),
                  Status::user_apc);
        co_await b.burn(self);
        co_return Status::success;
      },
      {}, true);
  Named u(b, t.thread, ApcKind::user, "u", 0x77);
  b.kernel.insert_apc(u);
  b.kernel.ready_thread(t.thread);
  b.run_all();
  EXPECT_THAT(t.user_apcs, ElementsAre(0x77));
  b.stop();
}

// facts 7.7: KernelApcDisable holds back normal APCs, SpecialApcDisable all of them.
TEST(Apc, CriticalRegionsHoldNormalAndGuardedRegionsHoldAll) {
  Bench b;
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    Named normal(b, self.thread, ApcKind::normal_kernel, "normal"),
        special(b, self.thread, ApcKind::special_kernel, "special");
    b.kernel.enter_critical_region(self.thread);
    b.kernel.enter_guarded_region(self.thread);
    b.kernel.insert_apc(normal);
    b.kernel.insert_apc(special);
    co_await b.burn(self);
    b.say("guarded");
    b.kernel.leave_guarded_region(self.thread);
    co_await b.burn(self);
    b.say("critical");
    b.kernel.leave_critical_region(self.thread);
    co_await b.burn(self);
    co_return Status::success;
  });
  b.run_all();
  EXPECT_EQ(t.result, Status::success);
  EXPECT_THAT(b.log, ElementsAre("guarded", "special", "critical", "normal"));
  b.stop();
}

struct ExitApc : Apc {
  static void on_kernel(Kernel&, Apc&, UserApcCall*) {}
  static constexpr ApcOperations kOperations{on_kernel, nullptr, nullptr};
  explicit ExitApc(Thread& thread) { Kernel::init_apc(*this, thread, ApcKind::special_kernel, kOperations); }
};

// facts 5.14: the exit APC ends a user-mode wait, alertable or not, through user_apc, and the thread ends at the
// boundary.
TEST(Apc, TheExitApcEndsAUserModeWaitAndThenTheThread) {
  Bench b;
  Event never(EventKind::notification);
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    const Status first = co_await b.kernel.wait_single(&self.thread, &never.header, Bench::forever());
    // A service that waits again on its way out is not held either.
    EXPECT_EQ(co_await b.kernel.wait_single(&self.thread, &never.header, Bench::forever()), Status::user_apc);
    EXPECT_EQ(first, Status::user_apc);
    co_return first;
  });
  b.run_all();
  Named queued(b, t.thread, ApcKind::user, "u", 0x99);
  b.kernel.insert_apc(queued);
  ExitApc exit(t.thread);
  EXPECT_TRUE(b.kernel.insert_exit_apc(exit));
  b.run_all();
  EXPECT_TRUE(t.exited_by_apc);
  EXPECT_EQ(t.thread.state, ThreadState::terminated);
  EXPECT_THAT(b.log, ElementsAre("rundown u"));  // the exit APC went ahead of it
  EXPECT_FALSE(b.kernel.insert_apc(queued));     // an exited thread takes no APCs
  b.stop();
}

// facts 5.14: a kernel-mode wait is not ended by the exit APC; the thread ends once it is over.
TEST(Apc, TheExitApcDoesNotEndAKernelModeWait) {
  Bench b;
  Event e(EventKind::notification);
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    co_return co_await b.kernel.wait_single(&self.thread, &e.header, Bench::forever(Mode::kernel));
  });
  b.run_all();
  ExitApc exit(t.thread);
  b.kernel.insert_exit_apc(exit);
  b.run_all();
  EXPECT_EQ(t.thread.state, ThreadState::waiting);
  b.kernel.set_event(e);
  b.run_all();
  EXPECT_TRUE(t.exited_by_apc);
  EXPECT_EQ(t.task.result(), Status::success);
  b.stop();
}

// facts 5.14: a suspended thread that has never run is ended as well, without a frame.
TEST(Apc, TheExitApcEndsASuspendedNewThread) {
  Bench b;
  auto& t = b.spawn(8, nullptr, {}, true);
  t.burn_ns = kForever;
  EXPECT_EQ(b.kernel.suspend_thread(t.thread), 0u);
  b.kernel.ready_thread(t.thread);
  b.run_all();
  EXPECT_EQ(t.thread.state, ThreadState::waiting);
  ExitApc exit(t.thread);
  b.kernel.insert_exit_apc(exit);
  b.run_all();
  EXPECT_TRUE(t.exited_by_apc);
  b.stop();
}

// facts 5.14 step 10: a thread that ends by itself while its exit APC is on the way runs it down instead of keeping it.
TEST(Apc, AnExitApcThatComesTooLateIsRunDown) {
  Bench b;
  static int run_down;
  run_down = 0;
  static constexpr ApcOperations kOperations{nullptr, [](Kernel&, Apc&) { ++run_down; }, nullptr};
  Apc exit;
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    Kernel::init_apc(exit, self.thread, ApcKind::special_kernel, kOperations);
    EXPECT_TRUE(b.kernel.insert_exit_apc(exit));
    co_return Status::success;  // the bench ends the thread without another boundary
  });
  b.run_all();
  EXPECT_EQ(t.thread.state, ThreadState::terminated);
  EXPECT_EQ(run_down, 1);
  EXPECT_FALSE(exit.inserted);
  b.stop();
}

// facts 7.7: APCs for the original environment wait while the thread is attached elsewhere.
TEST(Apc, AttachedThreadsKeepTheirOwnApcsApart) {
  Bench b;
  Process other;
  b.kernel.init_process(other, 8, 1);
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    SavedApcState saved;
    Named own(b, self.thread, ApcKind::special_kernel, "own"), there(b, self.thread, ApcKind::special_kernel, "there");
    there.environment = ApcEnvironment::current;
    b.kernel.attach_process(self.thread, other, saved);
    EXPECT_EQ(self.thread.current_process(), &other);
    b.kernel.insert_apc(own);
    b.kernel.insert_apc(there);
    EXPECT_EQ(b.kernel.deliver_kernel_apcs(self.thread), ApcOutcome::continues);
    b.say("detach");
    b.kernel.detach_process(self.thread);
    EXPECT_EQ(self.thread.current_process(), &b.process);
    EXPECT_EQ(b.kernel.deliver_kernel_apcs(self.thread), ApcOutcome::continues);
    co_return Status::success;
  });
  b.run_all();
  EXPECT_EQ(t.result, Status::success);
  EXPECT_THAT(b.log, ElementsAre("there", "detach", "own"));
  b.stop();
}

}  // namespace
}  // namespace vitrine::ke
