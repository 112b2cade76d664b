// Rules of objects, waits, APCs and suspension that the other tests of the dispatcher leave [facts 6.9, 7.1, 7.2, 7.5
// to 7.8].
#include "dispatcher_bench.h"

namespace vitrine::ke {
namespace {

using testing::ElementsAre;

// facts 7.1 [GC]: the numbers of the types that can be waited for.
TEST(DispatcherTypes, HaveNtsNumbers) {
  EXPECT_EQ(Event(EventKind::notification).header.type, DispatcherType{0});
  EXPECT_EQ(Event(EventKind::synchronization).header.type, DispatcherType{1});
  EXPECT_EQ(Mutant().header.type, DispatcherType{2});
  EXPECT_EQ(Process().header.type, DispatcherType{3});
  EXPECT_EQ(Queue(1).header.type, DispatcherType{4});
  EXPECT_EQ(Semaphore(0, 1).header.type, DispatcherType{5});
  EXPECT_EQ(Thread().header.type, DispatcherType{6});
  EXPECT_EQ(Gate().header.type, DispatcherType{7});
  EXPECT_EQ(Timer(TimerKind::notification).header.type, DispatcherType{8});
  EXPECT_EQ(Timer(TimerKind::synchronization).header.type, DispatcherType{9});
}

// facts 7.2: a process is signalled once its last thread has ended, for good, and wakes all.
TEST(ProcessObject, OnceSignalledSatisfiesEveryWaitForGood) {
  Bench b;
  Process other;
  b.kernel.init_process(other, 8, 1);
  int woken = 0;
  for (int i = 0; i < 3; ++i) {
    b.spawn(8, [&](TestThread& t) -> Task<Status> {
      woken += co_await b.kernel.wait_single(&t.thread, &other.header, Bench::forever()) == Status::success;
      co_return Status::success;
    });
  }
  b.run_all();
  EXPECT_EQ(woken, 0);
  b.kernel.signal_process(other);
  b.run_all();
  EXPECT_EQ(woken, 3);
  EXPECT_EQ(Kernel::read_state(other.header), 1);
  b.stop();
}

// facts 7.6: a wait at a gate is neither alertable nor open to user APCs; only the gate's signal ends it.
TEST(Gate, NeitherAlertsNorUserApcsEndAWaitAtIt) {
  Bench b;
  Gate gate;
  UserApc apc;
  auto& t = b.spawn(8, [&](TestThread& self) { return b.kernel.wait_gate(&self.thread, &gate); });
  b.run_all();
  ASSERT_EQ(t.thread.state, ThreadState::gate_wait);
  static constexpr ApcOperations kNothing{nullptr, nullptr, nullptr};
  Kernel::init_apc(apc, t.thread, ApcKind::user, kNothing);
  apc.call.normal_routine = 0x1000;
  EXPECT_TRUE(b.kernel.insert_apc(apc));
  EXPECT_FALSE(b.kernel.alert_thread(t.thread, Mode::kernel));
  b.run_all();
  EXPECT_EQ(t.thread.state, ThreadState::gate_wait);
  EXPECT_TRUE(t.thread.alerted_kernel) << "kept for the next alertable wait";
  b.kernel.signal_gate(gate);
  b.run_all();
  EXPECT_EQ(t.result, Status::success);
  b.stop();
}

// facts 7.7: a normal kernel APC is not delivered inside another one; a special one is.
TEST(Apc, ANormalKernelApcDoesNotNest) {
  Bench b;
  static std::vector<std::string>* said;
  std::vector<std::string> lines;
  said = &lines;
  static Apc* inner_normal;
  static Apc* inner_special;
  static constexpr ApcOperations kInnerNormal{nullptr, nullptr,
                                              [](Kernel&, Thread&) { said->push_back("inner normal"); }};
  static constexpr ApcOperations kInnerSpecial{[](Kernel&, Apc&, UserApcCall*) { said->push_back("inner special"); },
                                               nullptr, nullptr};
  static constexpr ApcOperations kOuter{nullptr, nullptr, [](Kernel& kernel, Thread& thread) {
                                          said->push_back("outer begins");
                                          EXPECT_TRUE(kernel.insert_apc(*inner_normal));
                                          EXPECT_TRUE(kernel.insert_apc(*inner_special));
                                          (void)kernel.deliver_kernel_apcs(thread);
                                          said->push_back("outer ends");
                                        }};
  Apc outer, normal, special;
  inner_normal = &normal;
  inner_special = &special;
  auto& t = b.spawn(8, [&](TestThread& self) -> Task<Status> {
    co_await b.burn(self);
    co_return Status::success;
  });
  Kernel::init_apc(outer, t.thread, ApcKind::normal_kernel, kOuter);
  Kernel::init_apc(normal, t.thread, ApcKind::normal_kernel, kInnerNormal);
  Kernel::init_apc(special, t.thread, ApcKind::special_kernel, kInnerSpecial);
  EXPECT_TRUE(b.kernel.insert_apc(outer));
  b.run_all();
  EXPECT_THAT(lines, ElementsAre("outer begins", "inner special", "outer ends", "inner normal"));
  b.stop();
}

// facts 7.8: NtAlertResumeThread alerts in kernel mode, then resumes: the thread goes on, and finds its alert.
TEST(Alert, AlertResumeAlertsInKernelModeAndResumes) {
  Bench b;
  Event never(EventKind::notification);
  std::optional<Status> ended;
  auto& t = b.spawn(
      8,
      [&](TestThread& self) -> Task<Status> {
        ended = co_await b.kernel.wait_single(&self.thread, &never.header, Bench::forever(Mode::kernel, true));
        co_return Status::success;
      },
      {}, true);
  ASSERT_TRUE(b.kernel.suspend_thread(t.thread));
  b.kernel.ready_thread(t.thread);
  b.run_all();
  EXPECT_FALSE(ended.has_value());
  EXPECT_EQ(b.kernel.alert_resume_thread(t.thread), 1u);
  b.run_all();
  EXPECT_EQ(ended, Status::alerted) << "a user-mode alert would not end this wait";
  b.stop();
}

// facts 7.8: a freeze stops every thread of the process but one; a suspension of its own stays when it thaws.
TEST(Freeze, StopsEveryOtherThreadOfTheProcess) {
  Bench b;
  auto& debugged = b.spinner(8);
  auto& suspended = b.spinner(8);
  auto& breaking = b.spinner(8);
  ASSERT_TRUE(b.kernel.suspend_thread(suspended.thread));
  b.run_ms(50);
  b.kernel.freeze_process(b.process, &breaking.thread);
  b.run_ms(30);
  const u64 before = debugged.thread.cycle_time, others = breaking.thread.cycle_time;
  b.run_ms(100);
  EXPECT_EQ(debugged.thread.cycle_time, before);
  EXPECT_GT(breaking.thread.cycle_time, others);
  b.kernel.thaw_process(b.process);
  b.run_ms(100);
  EXPECT_GT(debugged.thread.cycle_time, before);
  EXPECT_EQ(suspended.thread.suspend_count, 1);
  EXPECT_EQ(suspended.thread.freeze_count, 0);
  b.stop();
}

// facts 6.9: a stack goes out only of a user-mode wait, only if the thread allows it, only below priority 25, the
// oldest first.
TEST(StackSwap, TakesTheStacksOfOldUserModeWaitsBelowTwentyFive) {
  struct Swapper : Host {
    void request_stack_inswap(Thread&) override {}
    void request_process_inswap(Process&) override {}
  } swapper;
  Bench b;
  b.kernel.set_host(&swapper);
  Event never(EventKind::notification);
  const auto waits = [&](Mode mode) {
    return [&b, &never, mode](TestThread& t) {
      return b.kernel.wait_single(&t.thread, &never.header, Bench::forever(mode));
    };
  };
  b.spawn(8, waits(Mode::kernel));
  b.spawn(25, waits(Mode::user));
  auto& refuses = b.spawn(8, waits(Mode::user));
  refuses.thread.enable_stack_swap = false;
  b.spawn(24, waits(Mode::user));
  b.spawn(8, waits(Mode::user));
  b.run_all();
  b.machine.skip_ticks(0, {b.machine.clock(0).value + 100'000'000});
  b.spawn(8, waits(Mode::user));  // a young one
  b.run_all();
  std::vector<u32> out;
  const auto swapped = [](void* list, Thread& t) { static_cast<std::vector<u32>*>(list)->push_back(t.thread_id); };
  EXPECT_EQ(b.kernel.outswap_stacks(5, 1, swapped, &out), 1u);
  EXPECT_EQ(b.kernel.outswap_stacks(5, 10, swapped, &out), 1u);
  EXPECT_EQ(b.process.stack_count, 4u);
  EXPECT_THAT(out, ElementsAre(4, 5));
  b.between_windows = [&] {
    while (Thread* t = b.kernel.first_inswap()) b.kernel.stack_inswapped(*t);
  };
  b.stop();
  b.kernel.set_host(nullptr);
}

}  // namespace
}  // namespace vitrine::ke
