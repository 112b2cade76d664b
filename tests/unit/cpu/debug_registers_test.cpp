// DR0-DR7: breakpoints as the processor has them (SDM vol. 3B, chapter 18). Most tests run the code once without
// breakpoints first, so that blocks, jumps and pages are in every cache that could lead past one.
#include <gtest/gtest.h>

#include "cpu/user_flags.h"
#include "translator_fixture.h"

namespace vitrine::cpu::test {
namespace {

enum class Condition : u8 { execute = 0, write = 1, access = 3 };
constexpr std::size_t kDr6 = 4, kDr7 = 5;
constexpr u64 kSingleStep = 1u << 14, kTrapFlag = 1u << 8;

class DebugRegistersTest : public TranslatorTest {
 protected:
  void watch(u32 number, Va va, Condition condition, u64 bytes = 1) {
    const u64 length = bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 8 ? 2 : 3;
    guest.context.debug[number] = va;
    guest.context.debug[kDr7] |=
        1ull << (2 * number) | static_cast<u64>(condition) << (16 + 4 * number) | length << (18 + 4 * number);
  }
  // Runs from the start; as a thread without breakpoints if `watched` is false.
  Exit start(bool watched = true, u64 budget = 1000) {
    guest.context.rip = kCode;
    guest.context.debug[kDr6] = 0;
    const u64 control = guest.context.debug[kDr7];
    if (!watched) guest.context.debug[kDr7] = 0;
    const Exit exit = guest.run(budget);
    guest.context.debug[kDr7] = control;
    return exit;
  }
  void expect_debug(const Exit& exit, Va rip, u64 conditions) {
    expect_exception(exit, Vector::debug, rip);
    EXPECT_EQ(guest.context.debug[kDr6], conditions);
  }
};

TEST_F(DebugRegistersTest, AnExecutionBreakpointFaultsBeforeTheInstructionUntilRfLetsItPass) {
  guest.code({0xFF, 0xC0, 0xFF, 0xC3, 0xCC});  // inc eax; inc ebx; int3
  (void)start(false);
  guest.context[Gpr::rax] = guest.context[Gpr::rbx] = 0;
  watch(2, kCode + 2, Condition::execute);
  Exit exit = start();
  expect_debug(exit, kCode + 2, 4);
  EXPECT_EQ(exit.retired, 1u);
  EXPECT_EQ(guest.context[Gpr::rax], 1u);
  EXPECT_EQ(guest.context[Gpr::rbx], 0u);
  EXPECT_EQ(guest.context.rflags & kRflagsResume, 0u);
  exit = guest.run();
  expect_debug(exit, kCode + 2, 4);
  EXPECT_EQ(exit.retired, 0u);
  guest.context.rflags |= kRflagsResume;
  expect_exception(guest.run(), Vector::breakpoint, kCode + 5);
  EXPECT_EQ(guest.context[Gpr::rbx], 1u);
  EXPECT_EQ(guest.context.rflags & kRflagsResume, 0u) << "used up";
}

// SDM vol. 3B, 18.3.1.1: RF in the image that IRET pops lets the instruction at its target pass, once.
TEST_F(DebugRegistersTest, IretWithRfPassesTheBreakpointAtItsTarget) {
  for (const Va from : {kCode, kCode + kPageSize}) {
    const Va target = kCode + 2;
    guest.code({0x48, 0xCF, 0xFF, 0xC3, 0xEB, 0xFC});  // iretq; inc ebx; jmp to it
    guest.code({0x48, 0xCF}, kCode + kPageSize);
    watch(1, target, Condition::execute);
    for (const u64 resume : {u64{0}, kRflagsResume}) {
      const Va stack = GuestMachine::kStackTop - 256;
      const u64 image[] = {target, 0x33, 0x202 | resume, stack, 0x2B};
      for (std::size_t n = 0; n < std::size(image); ++n) guest.store(stack + 8 * n, image[n]);
      guest.context[Gpr::rsp] = stack;
      guest.context[Gpr::rbx] = 0;
      guest.context.rip = from;
      guest.context.rflags &= ~kRflagsResume;
      guest.context.debug[kDr6] = 0;
      const Exit exit = guest.run(1000);
      expect_debug(exit, target, 2);
      EXPECT_EQ(guest.context[Gpr::rbx], resume != 0 ? 1u : 0u);
      EXPECT_EQ(exit.retired, resume != 0 ? 3u : 1u);
    }
  }
}

TEST_F(DebugRegistersTest, ARunThatEndsAfterIretShowsItsRf) {
  guest.code({0x48, 0xCF, 0x90, 0xCC});  // iretq; nop; int3
  const Va stack = GuestMachine::kStackTop - 256;
  const u64 image[] = {kCode + 2, 0x33, 0x202 | kRflagsResume, stack, 0x2B};
  for (std::size_t n = 0; n < std::size(image); ++n) guest.store(stack + 8 * n, image[n]);
  guest.context[Gpr::rsp] = stack;
  EXPECT_EQ(start(false, 1).reason, ExitReason::budget);
  EXPECT_EQ(guest.context.rip, kCode + 2);
  EXPECT_EQ(guest.context.rflags & kRflagsResume, kRflagsResume);
  EXPECT_EQ(guest.run(1).reason, ExitReason::budget);
  EXPECT_EQ(guest.context.rflags & kRflagsResume, 0u) << "used up";
}

TEST_F(DebugRegistersTest, NoCachedJumpLeadsPastAnExecutionBreakpoint) {
  guest.code({0xE9, 0xFB, 0x0F, 0x00, 0x00});                                       // jmp to the next page
  guest.code({0x48, 0xFF, 0xC0, 0xE9, 0xF8, 0xEF, 0xFF, 0xFF}, kCode + kPageSize);  // inc rax; jmp back
  EXPECT_EQ(start(false, 3000).reason, ExitReason::budget);
  guest.context[Gpr::rax] = 0;
  watch(0, kCode + kPageSize + 3, Condition::execute);
  Exit exit = start();
  for (u64 round = 1; round < 5; ++round) {
    expect_debug(exit, kCode + kPageSize + 3, 1);
    EXPECT_EQ(guest.context[Gpr::rax], round);
    guest.context.rflags |= kRflagsResume;
    exit = guest.run(1000);
  }
}

TEST_F(DebugRegistersTest, NoJumpThatARunItselfMakesLeadsPastAnExecutionBreakpoint) {
  constexpr Va kNext = kCode + kPageSize;
  guest.code({0xE9, 0xFB, 0x0F, 0x00, 0x00});  // jmp to the next page
  // inc rax; cmp rax, 5; je to the nop; jmp back; nop; int3
  guest.code({0x48, 0xFF, 0xC0, 0x48, 0x83, 0xF8, 0x05, 0x74, 0x05, 0xE9, 0xF2, 0xEF, 0xFF, 0xFF, 0x90, 0xCC}, kNext);
  watch(1, kNext + 14, Condition::execute);
  for (u32 round = 0; round < 2; ++round) {
    guest.context[Gpr::rax] = 0;
    expect_debug(start(), kNext + 14, 2);
    EXPECT_EQ(guest.context[Gpr::rax], 5u);
  }
}

TEST_F(DebugRegistersTest, AWriteBreakpointTrapsAfterAnyWriteThatOverlapsIt) {
  guest.code({0x89, 0x07, 0x90, 0xCC});  // mov [rdi], eax; nop; int3
  watch(3, kData + 0x104, Condition::write, 4);
  for (u64 offset = 0xFC; offset < 0x10C; ++offset) {
    guest.context[Gpr::rdi] = kData + offset;
    guest.context[Gpr::rax] = 0x0101'0101 * (offset & 0xFF);
    (void)start(false);
    guest.store(kData + offset, 0, 4);
    const Exit exit = start();
    EXPECT_EQ(guest.peek(kData + offset, 4), guest.context[Gpr::rax]) << "a trap: the instruction has run";
    if (offset > 0x100 && offset < 0x108) {
      expect_debug(exit, kCode + 2, 8);
      EXPECT_EQ(exit.retired, 1u);
      expect_exception(guest.run(), Vector::breakpoint, kCode + 4);
    } else {
      expect_exception(exit, Vector::breakpoint, kCode + 4);
    }
  }
}

TEST_F(DebugRegistersTest, EachLengthCoversItsAlignedBytes) {
  guest.code({0xC6, 0x07, 0x11, 0xCC});  // mov byte [rdi], 0x11; int3
  for (const u64 bytes : {1, 2, 4, 8}) {
    guest.context.debug = {};
    watch(1, kData + 0x20D, Condition::write, bytes);
    const u64 first = 0x20D & ~(bytes - 1);
    for (u64 offset = 0x200; offset < 0x218; ++offset) {
      guest.context[Gpr::rdi] = kData + offset;
      const bool hit = offset - first < bytes;
      EXPECT_EQ(start().vector, hit ? Vector::debug : Vector::breakpoint) << bytes << " " << offset;
    }
  }
}

TEST_F(DebugRegistersTest, ReadsMeetAccessBreakpointsOnly) {
  guest.context[Gpr::rdi] = kData + 0x40;
  guest.code({0x8B, 0x07, 0xCC});  // mov eax, [rdi]; int3
  (void)start(false);
  watch(0, kData + 0x40, Condition::write, 4);
  expect_exception(start(), Vector::breakpoint, kCode + 3);
  watch(1, kData + 0x40, Condition::access, 4);
  expect_debug(start(), kCode + 2, 2);
  guest.code({0x01, 0x07, 0xCC});  // add [rdi], eax: both
  expect_debug(start(), kCode + 2, 3);
}

TEST_F(DebugRegistersTest, OneOfSeveralAccessesWithACommonLookUpIsFound) {
  guest.context[Gpr::rdi] = kData + 0x40;
  guest.code(
      {0x8B, 0x07, 0x8B, 0x5F, 0x04, 0x8B, 0x4F, 0x08, 0xCC});  // mov eax,[rdi]; mov ebx,[rdi+4]; mov ecx,[rdi+8]
  (void)start(false);
  watch(0, kData + 0x44, Condition::access, 4);
  guest.context[Gpr::rcx] = 0x5555;
  expect_debug(start(), kCode + 5, 1);
  EXPECT_EQ(guest.context[Gpr::rcx], 0x5555u) << "nothing ran after it";
}

TEST_F(DebugRegistersTest, ARepeatedMoveStopsAfterTheIterationAndGoesOn) {
  guest.code({0xF3, 0xA4, 0xCC});  // rep movsb; int3
  const auto set_up = [&] {
    guest.context[Gpr::rsi] = kData + 0x800;
    guest.context[Gpr::rdi] = kData + 0x100;
    guest.context[Gpr::rcx] = 16;
  };
  set_up();
  (void)start(false);
  watch(0, kData + 0x105, Condition::write);
  set_up();
  const Exit exit = start();
  expect_debug(exit, kCode, 1);
  EXPECT_EQ(exit.retired, 6u);
  EXPECT_EQ(guest.context[Gpr::rcx], 10u);
  EXPECT_EQ(guest.context[Gpr::rdi], kData + 0x106);
  expect_exception(guest.run(), Vector::breakpoint, kCode + 3);
  EXPECT_EQ(guest.context[Gpr::rcx], 0u);
}

TEST_F(DebugRegistersTest, AnExecutionBreakpointOnARepeatedInstructionIsMetOnce) {
  guest.code({0xF3, 0xAA, 0xCC});  // rep stosb; int3
  guest.context[Gpr::rdi] = kData;
  guest.context[Gpr::rcx] = 100;
  watch(0, kCode, Condition::execute);
  expect_debug(start(), kCode, 1);
  guest.context.rflags |= kRflagsResume;
  for (u64 left = 90; left > 0; left -= 10) {
    EXPECT_EQ(guest.run(10).reason, ExitReason::budget);
    EXPECT_EQ(guest.context[Gpr::rcx], left);
  }
  EXPECT_EQ(guest.run(11).vector, Vector::breakpoint);
}

TEST_F(DebugRegistersTest, PushAndCallMeetBreakpointsOnTheStack) {
  guest.code({0x50, 0xE8, 0x00, 0x00, 0x00, 0x00, 0xCC});  // push rax; call next; int3
  const u64 rsp = guest.context[Gpr::rsp];
  (void)start(false);
  watch(0, rsp - 8, Condition::write, 8);
  watch(1, rsp - 16, Condition::write, 8);
  guest.context[Gpr::rsp] = rsp;
  expect_debug(start(), kCode + 1, 1);
  EXPECT_EQ(guest.context[Gpr::rsp], rsp - 8);
  expect_debug(guest.run(), kCode + 6, 2);
  EXPECT_EQ(guest.context[Gpr::rsp], rsp - 16);
}

TEST_F(DebugRegistersTest, ADivisionByAWatchedOperandIsCarriedOut) {
  guest.code({0xF7, 0x37, 0xCC});  // div dword [rdi]; int3
  guest.context[Gpr::rdi] = kData;
  guest.store(kData, 7, 4);
  watch(0, kData, Condition::access, 4);
  guest.context[Gpr::rdx] = 3;
  guest.context[Gpr::rax] = 100;
  expect_debug(start(), kCode + 2, 1);
  EXPECT_EQ(guest.context[Gpr::rax], 0x3'0000'0064u / 7);
}

TEST_F(DebugRegistersTest, AnInstructionThatFaultsHasMetNothingAndLeavesRf) {
  guest.code({0x90, 0xA4, 0xCC});  // nop; movsb; int3
  guest.context[Gpr::rsi] = kData;
  guest.context[Gpr::rdi] = 0x7000'0000;
  watch(0, kData, Condition::access);
  const Exit exit = start();
  EXPECT_EQ(exit.vector, Vector::page_fault);
  EXPECT_EQ(guest.context.debug[kDr6], 0u);
  EXPECT_NE(guest.context.rflags & kRflagsResume, 0u);
  guest.tables.map(0x7000'0000);
  expect_debug(guest.run(), kCode + 2, 1);
  EXPECT_EQ(guest.context.rflags & kRflagsResume, 0u);
}

TEST_F(DebugRegistersTest, ASingleStepAndABreakpointAreReportedTogether) {
  guest.code({0x89, 0x07, 0xCC});  // mov [rdi], eax; int3
  guest.context[Gpr::rdi] = kData;
  guest.context.rflags |= kTrapFlag;
  watch(0, kData, Condition::write, 4);
  expect_debug(start(), kCode + 2, kSingleStep | 1);
}

TEST_F(DebugRegistersTest, BreakpointsBelongToTheThreadThatHasThem) {
  guest.code({0x89, 0x07, 0xCC});  // mov [rdi], eax; int3
  guest.context[Gpr::rdi] = kData;
  GuestContext other = guest.context;
  watch(0, kData, Condition::write, 4);
  for (u32 round = 0; round < 3; ++round) {
    other.rip = kCode;
    EXPECT_EQ(guest.cpu->run(1, *guest.space, other, 100).vector, Vector::breakpoint);
    expect_debug(start(), kCode + 2, 1);
  }
}

// The same stops after the same number of instructions, however the run is cut.
TEST_F(DebugRegistersTest, StopsDoNotDependOnTheBudget) {
  // mov [rdi], rcx; add rdi, 8; dec rcx; jnz to the start; int3
  guest.code({0x48, 0x89, 0x0F, 0x48, 0x83, 0xC7, 0x08, 0x48, 0xFF, 0xC9, 0x75, 0xF4, 0xCC});
  watch(0, kData + 8 * 8, Condition::write, 8);
  watch(1, kCode + 10, Condition::execute);
  std::vector<u64> first;
  for (const u64 budget : {1'000'000, 1, 3, 17}) {
    guest.context[Gpr::rdi] = kData;
    guest.context[Gpr::rcx] = 20;
    guest.context.rip = kCode;
    std::vector<u64> stops;
    u64 retired = 0;
    for (;;) {
      const Exit exit = guest.run(budget);
      retired += exit.retired;
      if (exit.reason == ExitReason::budget) continue;
      if (exit.vector == Vector::breakpoint) break;
      stops.insert(stops.end(), {retired, guest.context.rip, guest.context.debug[kDr6]});
      if (guest.context.debug[kDr6] == 2) guest.context.rflags |= kRflagsResume;
    }
    EXPECT_EQ(stops.size(), 21u * 3) << "20 turns, one of them through the watched word";
    if (first.empty()) first = stops;
    EXPECT_EQ(stops, first) << budget;
  }
}

}  // namespace
}  // namespace vitrine::cpu::test
