// win32k's message queues on a whole machine: services of the second table, numbered in the order of their names.
#include <gtest/gtest.h>

#include "nt/executive_state.h"
#include "tests/scenario/bare_machine.h"
#include "tests/scenario/gui_service.h"
#include "win32k/subsystem.h"

namespace vitrine {
namespace {

using testing::BareMachine;
using testing::gui;

constexpr u64 kCurrentThread = ~0ull - 1;
constexpr u64 kForever = 0xFFFF'FFFF;
constexpr u64 kMessage = 0x8001;

win32k::Subsystem& subsystem(BareMachine& bare) {
  return static_cast<win32k::Subsystem&>(*bare.machine->executive->state->win32.subsystem);
}

struct Receiver {
  u32 id = 0;
  ke::Priority woken_at = 0;
  u64 result = 99, message = 0, wparam = 0;
};

// Gets one message. Its priority is read before it has used a quantum.
cpu::Script receive(cpu::ScriptContext& context, BareMachine& bare, Receiver& self) {
  const Va slot = context.initial(cpu::Gpr::rsp) - 0x100;
  co_await context.store(slot, 0);
  self.id = bare.process->threads.front()->id;
  self.result = co_await context.syscall(gui("NtUserGetMessage"), slot, 0, 0, 0);
  const u32 processor = bare.machine->kernel.executing_processor();
  self.woken_at = bare.machine->kernel.current(processor)->priority;
  self.message = co_await context.load(slot + 8);
  self.wparam = co_await context.load(slot + 16);
  (void)co_await context.syscall(BareMachine::number("NtTerminateThread"), kCurrentThread, 0);
}

cpu::Script post(cpu::ScriptContext& context, Receiver& to, u64& posted, u64& to_nobody) {
  while (to.id == 0) co_await context.compute(1000);
  co_await context.compute(100'000);
  to_nobody = co_await context.syscall(gui("NtUserPostThreadMessage"), 0x7FFC, kMessage, 0, 0);
  posted = co_await context.syscall(gui("NtUserPostThreadMessage"), to.id, kMessage, 7, 0);
  (void)co_await context.syscall(BareMachine::number("NtTerminateThread"), kCurrentThread, 0);
}

// WI5 ch.5: a thread that window input wakes runs at its base plus 2.
TEST(MessageQueue, AMessageWakesItsThreadWithTheBoostOfWindowInput) {
  BareMachine bare({.processors = 2});
  Receiver receiver;
  u64 posted = 99, to_nobody = 99;
  bare.start([&](cpu::ScriptContext& context) { return receive(context, bare, receiver); });
  bare.start([&](cpu::ScriptContext& context) { return post(context, receiver, posted, to_nobody); });
  EXPECT_EQ(bare.run(), RunEnd::exited);
  EXPECT_EQ(posted, 1u);
  EXPECT_EQ(to_nobody, 0u) << "no thread has that id";
  EXPECT_EQ(receiver.result, 1u);
  EXPECT_EQ(receiver.message & 0xFFFF'FFFF, kMessage);
  EXPECT_EQ(receiver.wparam, 7u);
  EXPECT_EQ(receiver.woken_at, 10);
}

// facts 5.14 step 6: a thread that ends while it waits for a message takes its queue along.
TEST(MessageQueue, GoesWithItsThread) {
  BareMachine bare({});
  u32 id = 0;
  bool had_queue = false, gone = false;
  bare.start([&](cpu::ScriptContext& context) -> cpu::Script {
    id = bare.process->threads.front()->id;
    (void)co_await context.syscall(gui("NtUserGetMessage"), context.initial(cpu::Gpr::rsp) - 0x100, 0, 0, 0);
    ADD_FAILURE() << "it was ended in the wait";
  });
  bare.start([&](cpu::ScriptContext& context) -> cpu::Script {
    const Va slot = context.initial(cpu::Gpr::rsp) - 0x200;
    co_await context.compute(1'000'000);
    had_queue = subsystem(bare).queue_of(id) != nullptr;
    // OBJECT_ATTRIBUTES and CLIENT_ID of the other thread.
    for (u64 i = 0; i < 8; ++i) co_await context.store(slot + 0x40 + 8 * i, i == 0 ? 0x30 : 0);
    co_await context.store(slot + 0x20, bare.process->id);
    co_await context.store(slot + 0x28, id);
    EXPECT_EQ(co_await context.syscall(BareMachine::number("NtOpenThread"), slot, 0x1FFFFF, slot + 0x40, slot + 0x20),
              0u);
    EXPECT_EQ(co_await context.syscall(BareMachine::number("NtTerminateThread"), co_await context.load(slot), 0), 0u);
    co_await context.compute(1'000'000);
    gone = subsystem(bare).queue_of(id) == nullptr;
    (void)co_await context.syscall(BareMachine::number("NtTerminateThread"), kCurrentThread, 0);
  });
  EXPECT_EQ(bare.run(), RunEnd::exited);
  EXPECT_TRUE(had_queue);
  EXPECT_TRUE(gone);
}

// A hostile program: addresses that are none, windows that are none, too many messages, handles that are none.
TEST(MessageQueue, RefusesWhatIsWrong) {
  BareMachine bare({});
  bare.start([&](cpu::ScriptContext& context) -> cpu::Script {
    const Va slot = context.initial(cpu::Gpr::rsp) - 0x200;
    co_await context.store(slot, 0x1234);
    const u32 id = bare.process->threads.front()->id;
    EXPECT_EQ(co_await context.syscall(gui("NtUserPeekMessage"), slot, 0, 0, 0, 1), 0u);
    EXPECT_EQ(co_await context.syscall(gui("NtUserGetMessage"), slot, 0x1'0044, 0, 0), 0xFFFF'FFFFu);
    u64 taken = 0;
    while (taken < 20'000 && co_await context.syscall(gui("NtUserPostThreadMessage"), id, kMessage, 0, 0) == 1) ++taken;
    EXPECT_EQ(taken, win32k::kMaximumPostedMessages);
    EXPECT_EQ(co_await context.syscall(gui("NtUserGetMessage"), 0x10, 0, 0, 0), 0xFFFF'FFFFu);
    EXPECT_EQ(co_await context.syscall(gui("NtUserPostThreadMessage"), id, kMessage, 0, 0), 0u)
        << "the bad address took none";
    EXPECT_EQ(co_await context.syscall(gui("NtUserMsgWaitForMultipleObjectsEx"), 64, slot, 0, 0x4FF, 0), 0xFFFF'FFFFu);
    EXPECT_EQ(co_await context.syscall(gui("NtUserMsgWaitForMultipleObjectsEx"), 1, slot, 0, 0x4FF, 0), 0xFFFF'FFFFu);
    EXPECT_EQ(co_await context.syscall(gui("NtUserMsgWaitForMultipleObjectsEx"), 1, 0x10, 0, 0x4FF, 0), 0xFFFF'FFFFu);
    EXPECT_EQ(co_await context.syscall(gui("NtUserMsgWaitForMultipleObjectsEx"), 0, 0, kForever, 0x4FF, 8),
              0xFFFF'FFFFu);
    EXPECT_EQ(co_await context.syscall(gui("NtUserMsgWaitForMultipleObjectsEx"), 0, 0, kForever, 0x4FF, 4), 0u)
        << "it is available";
    EXPECT_EQ(co_await context.syscall(gui("NtUserSetTimer"), 0x1'0044, 0, 10, 0, 0), 0u);
    EXPECT_EQ(co_await context.syscall(gui("NtUserKillTimer"), 0, 77), 0u);
    EXPECT_EQ(co_await context.syscall(gui("NtUserGetObjectInformation"), 0x1234, 2, slot, 64, 0), 0u);
    (void)co_await context.syscall(BareMachine::number("NtTerminateThread"), kCurrentThread, 0);
  });
  EXPECT_EQ(bare.run(), RunEnd::exited);
}

}  // namespace
}  // namespace vitrine
