// A machine that is taken down in the middle of its run: whatever its threads do at that moment, they end without
// running on, and nothing of the machine trips over what they leave.
#include <gtest/gtest.h>

#include "abi/object_information.h"
#include "abi/strings.h"
#include "tests/scenario/bare_machine.h"

namespace vitrine {
namespace {

using testing::BareMachine;

constexpr u64 kCurrentThread = ~0ull - 1;

RunEnd run_for(BareMachine& bare, double seconds) {
  RunLoop loop(*bare.machine, {.timeout_seconds = seconds});
  return loop.run(*bare.process);
}

cpu::Script spinner(cpu::ScriptContext& context, u64& steps) {
  for (;;) {
    co_await context.compute(1000);
    ++steps;
  }
}

// Waits for itself: a wait in user mode that nothing ends.
cpu::Script sleeper(cpu::ScriptContext& context, u64& ran_on) {
  (void)co_await context.syscall(BareMachine::number("NtWaitForSingleObject"), kCurrentThread, 0, 0);
  ++ran_on;
}

cpu::Script suspender(cpu::ScriptContext& context, u64& ran_on) {
  (void)co_await context.syscall(BareMachine::number("NtSuspendThread"), kCurrentThread, 0);
  ++ran_on;
}

TEST(TearDown, ADeadlockedMachineEndsWithoutRunningItsThreadsOn) {
  u64 ran_on = 0;
  {
    BareMachine bare({});
    bare.start([&](cpu::ScriptContext& context) { return sleeper(context, ran_on); });
    bare.start([&](cpu::ScriptContext& context) { return suspender(context, ran_on); });
    EXPECT_EQ(bare.run(), RunEnd::deadlocked);
  }
  EXPECT_EQ(ran_on, 0u);
}

TEST(TearDown, BusyWaitingAndSuspendedThreadsOfSeveralProcessorsEnd) {
  u64 ran_on = 0, steps = 0, heard = 0, heard_before = 0;
  {
    BareMachine bare({.processors = 4});
    bare.machine->trace.add_listener([&](const trace::Event&) { ++heard; });
    for (int i = 0; i < 6; ++i) {
      bare.start([&](cpu::ScriptContext& context) { return spinner(context, steps); });
      bare.start([&](cpu::ScriptContext& context) { return sleeper(context, ran_on); });
      bare.start([&](cpu::ScriptContext& context) { return suspender(context, ran_on); });
    }
    EXPECT_EQ(run_for(bare, 0.05), RunEnd::timed_out);
    EXPECT_GT(steps, 0u);
    steps = 0;
    heard_before = heard;
  }
  EXPECT_EQ(steps, 0u);
  EXPECT_EQ(ran_on, 0u);
  EXPECT_EQ(heard, heard_before) << "whoever listened may be gone";
}

// Works for a while, then waits for itself.
cpu::Script hanger(cpu::ScriptContext& context) {
  for (int i = 0; i < 8; ++i) co_await context.compute(10'000);
  (void)co_await context.syscall(BareMachine::number("NtWaitForSingleObject"), kCurrentThread, 0, 0);
}

TEST(TearDown, ARunWhoseTimeIsUpEndsAtRestIfThatIsNear) {
  BareMachine bare({.processors = 2});
  for (int i = 0; i < 3; ++i) bare.start(hanger);
  EXPECT_EQ(run_for(bare, 1e-9), RunEnd::timed_out);
  EXPECT_FALSE(bare.machine->kernel.anything_ready()) << "what it waits for says why it hangs";
}

TEST(TearDown, ARunWhoseTimeIsUpButThatEndsAtOnceHasEnded) {
  BareMachine bare({});
  bare.start([](cpu::ScriptContext& context) -> cpu::Script { co_await context.compute(10'000); });
  EXPECT_EQ(run_for(bare, 1e-9), RunEnd::exited);
}

TEST(TearDown, AThreadThatNeverRanIsNoMatter) {
  u64 ran_on = 0;
  {
    BareMachine bare({});
    bare.start([&](cpu::ScriptContext& context) { return sleeper(context, ran_on); });
  }
  EXPECT_EQ(ran_on, 0u);
}

// Makes a named permanent section, whose quota its process pays, and keeps the handle.
cpu::Script hoarder(cpu::ScriptContext& context, Status& made) {
  const Va record = context.initial(cpu::Gpr::rsp) - 0x300;
  const Va string = record + 0x40, text = record + 0x60, handle = record + 0x100;
  constexpr std::u16string_view kName = u"\\kept";
  for (u32 i = 0; i < kName.size(); ++i) co_await context.store(text + 2 * i, kName[i], 2);
  co_await context.store(string, kName.size() * 2 | kName.size() * 2 << 16);
  co_await context.store(string + 8, text);
  co_await context.store(record, sizeof(abi::ObjectAttributes));
  co_await context.store(record + 8, 0);
  co_await context.store(record + 16, string);
  co_await context.store(record + 24, 0x10 | 0x40);  // OBJ_PERMANENT, OBJ_CASE_INSENSITIVE
  co_await context.store(record + 32, 0);
  co_await context.store(record + 40, 0);
  co_await context.store(handle + 8, 0x10000);
  const u32 create = BareMachine::number("NtCreateSection");
  made = static_cast<Status>(co_await context.syscall(create, handle, 0xF001F, record, handle + 8, 4, 0x8000000, 0));
  (void)co_await context.syscall(BareMachine::number("NtWaitForSingleObject"), kCurrentThread, 0, 0);
}

TEST(TearDown, APermanentObjectOfTheProgramGoesWithTheMachine) {
  Status made = Status::pending;
  {
    BareMachine bare({});
    bare.start([&](cpu::ScriptContext& context) { return hoarder(context, made); });
    EXPECT_EQ(bare.run(), RunEnd::deadlocked);
  }
  EXPECT_TRUE(is_success(made) || made == Status::privilege_not_held) << status_name(made);
}

}  // namespace
}  // namespace vitrine
