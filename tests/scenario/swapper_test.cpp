// Kernel stacks that go out and come back, and with the last one the process [facts 5.1, 6.9].
#include <gtest/gtest.h>

#include "tests/scenario/bare_machine.h"

namespace vitrine {
namespace {

using testing::BareMachine;

constexpr u64 kCurrentThread = ~0ull - 1;
constexpr u64 kEventAll = 0x1F0003;
constexpr u64 kOneSecond = 10'000'000;

cpu::Script sleeper(cpu::ScriptContext& context, u64 seconds, u64& event) {
  const Va slot = context.initial(cpu::Gpr::rsp) - 0x100;
  co_await context.store(slot, 0);
  (void)co_await context.syscall(BareMachine::number("NtCreateEvent"), slot, kEventAll, 0, 0, 0);
  event = co_await context.load(slot);
  co_await context.store(slot, ~(seconds * kOneSecond) + 1);
  (void)co_await context.syscall(BareMachine::number("NtDelayExecution"), 0, slot);
  (void)co_await context.syscall(BareMachine::number("NtSetEvent"), event, 0);
  (void)co_await context.syscall(BareMachine::number("NtTerminateThread"), kCurrentThread, 0);
}
cpu::Script waiter(cpu::ScriptContext& context, u64& event, u64& status) {
  while (event == 0) co_await context.compute(1000);
  status = co_await context.syscall(BareMachine::number("NtWaitForSingleObject"), event, 0, 0);
  (void)co_await context.syscall(BareMachine::number("NtTerminateThread"), kCurrentThread, 0);
}

struct Seen {
  bool process_out = false, ready_for_process = false, transition = false;
};

// Two threads of one process sleep, one of them for `seconds`.
Seen run(BareMachine& bare, u64 seconds) {
  u64 event = 0, status = 99;
  Seen seen;
  ps::Process& process = *bare.process;
  bare.machine->trace.add_listener([&](const trace::Event&) {
    seen.process_out |= process.pcb.state == ke::ProcessState::out_of_memory;
    for (const ps::Thread& thread : process.threads) {
      seen.ready_for_process |= thread.tcb.state == ke::ThreadState::ready && thread.tcb.process_ready_queue;
      seen.transition |= thread.tcb.state == ke::ThreadState::transition;
    }
  });
  bare.start([&](cpu::ScriptContext& context) { return sleeper(context, seconds, event); });
  bare.start([&](cpu::ScriptContext& context) { return waiter(context, event, status); });
  EXPECT_EQ(bare.run(), RunEnd::exited);
  EXPECT_EQ(status, 0u);
  return seen;
}

TEST(Swapper, StacksOfLongWaitsGoOutWithTheirProcessAndComeBack) {
  BareMachine bare({.processors = 2});
  const Seen seen = run(bare, 60);
  EXPECT_EQ(bare.machine->balance_set->stacks_out(), 3u);  // CSRSS's worker, too, has waited for long
  EXPECT_EQ(bare.machine->balance_set->stacks_in(), 2u);
  EXPECT_TRUE(seen.process_out);
  EXPECT_TRUE(seen.ready_for_process);
  EXPECT_TRUE(seen.transition);
}

TEST(Swapper, FifteenSecondsAreNotEnough) {
  BareMachine bare({});
  const Seen seen = run(bare, 14);
  EXPECT_EQ(bare.machine->balance_set->stacks_out(), 0u);
  EXPECT_FALSE(seen.transition);
}

// A suspended thread waits in kernel mode: its stack stays, and so does its process.
TEST(Swapper, ASuspendedThreadKeepsItsStackAndItsProcess) {
  BareMachine bare({});
  bare.start([](cpu::ScriptContext& context) -> cpu::Script {
    (void)co_await context.syscall(BareMachine::number("NtSuspendThread"), kCurrentThread, 0);
  });
  ps::Thread& suspended = *bare.process->threads.front();
  bool process_out = false;
  bare.machine->trace.add_listener(
      [&](const trace::Event&) { process_out |= bare.process->pcb.state != ke::ProcessState::in_memory; });
  bare.start([&](cpu::ScriptContext& context) -> cpu::Script {
    const Va slot = context.initial(cpu::Gpr::rsp) - 0x100;
    co_await context.store(slot, ~(60 * kOneSecond) + 1);
    (void)co_await context.syscall(BareMachine::number("NtDelayExecution"), 0, slot);
    EXPECT_EQ(bare.machine->balance_set->stacks_out(), 2u);  // its own and CSRSS's worker's
    EXPECT_TRUE(suspended.tcb.kernel_stack_resident);
    (void)co_await context.syscall(BareMachine::number("NtTerminateProcess"), ~0ull, 0);
  });
  EXPECT_EQ(bare.run(), RunEnd::exited);
  EXPECT_FALSE(process_out);
}

}  // namespace
}  // namespace vitrine
