// A whole machine starts the threads that run threaded DPCs, where its NT has them and its registry wants them.
#include <gtest/gtest.h>

#include "tests/scenario/bare_machine.h"

namespace vitrine {
namespace {

using testing::BareMachine;

constexpr u64 kCurrentThread = ~0ull - 1;

struct Seen {
  ke::Kernel* kernel = nullptr;
  bool ran = false;
  ke::Irql irql = ke::Irql::passive;
  u32 processor = 0;
  const ke::Thread* thread = nullptr;
  ke::Dpc dpc{&run, this, ke::DpcKind::threaded};

  static void run(ke::Kernel& kernel, ke::Dpc&, void* context) {
    auto& self = *static_cast<Seen*>(context);
    self.ran = true;
    self.irql = kernel.irql();
    self.processor = kernel.executing_processor();
    self.thread = kernel.current(self.processor);
  }
};

// A program's thread queues a threaded DPC for the other processor.
void queue_and_run(BareMachine& bare, Seen& seen) {
  seen.dpc.target = 1;
  bare.start([&](cpu::ScriptContext& context) -> cpu::Script {
    co_await context.compute(100'000);
    EXPECT_TRUE(bare.machine->kernel.queue_dpc(seen.dpc));
    co_await context.compute(1'000'000);
    (void)co_await context.syscall(BareMachine::number("NtTerminateThread"), kCurrentThread, 0);
  });
  EXPECT_EQ(bare.run(), RunEnd::exited);
  EXPECT_TRUE(seen.ran);
}

u32 dpc_threads(const BareMachine& bare) {
  u32 count = 0;
  for (const ps::Thread& thread : bare.machine->processes->system_process().threads) {
    count += thread.tcb.base_priority == 31 && std::popcount(thread.tcb.affinity) == 1;
  }
  return count;
}

// WI6p1 ch.3: at PASSIVE_LEVEL, in a thread of priority 31 that is bound to the DPC's processor and belongs to System.
TEST(DpcThreads, AThreadedDpcRunsAtPassiveLevelInItsProcessorsThread) {
  BareMachine bare({.processors = 2});
  EXPECT_EQ(dpc_threads(bare), 2u);
  Seen seen;
  queue_and_run(bare, seen);
  EXPECT_EQ(seen.irql, ke::Irql::passive);
  EXPECT_EQ(seen.processor, 1u);
  ASSERT_NE(seen.thread, nullptr);
  EXPECT_EQ(seen.thread->priority, 31);
  EXPECT_EQ(seen.thread->affinity, 2u);
  EXPECT_EQ(seen.thread->process, &bare.machine->processes->system_process().pcb);
}

// 5.2 has none: the DPC runs like any other.
TEST(DpcThreads, BeforeVistaAThreadedDpcRunsLikeOthers) {
  BareMachine bare({.processors = 2, .profile = "nt52-x64"});
  EXPECT_EQ(dpc_threads(bare), 0u);
  Seen seen;
  queue_and_run(bare, seen);
  EXPECT_EQ(seen.irql, ke::Irql::dispatch);
}

// WDK: the value ThreadDpcEnable, 0, turns them off.
TEST(DpcThreads, TheRegistryTurnsThemOff) {
  BareMachine bare(
      {.processors = 2,
       .registry =
           "vitrine-registry 1\n"
           "key \"\\\\Registry\\\\Machine\\\\System\\\\ControlSet001\\\\Control\\\\Session Manager\\\\Kernel\"\n"
           "value \"ThreadDpcEnable\" 4 00000000\n"});
  EXPECT_EQ(dpc_threads(bare), 0u);
  Seen seen;
  queue_and_run(bare, seen);
  EXPECT_EQ(seen.irql, ke::Irql::dispatch);
}

}  // namespace
}  // namespace vitrine
