// The mechanisms of the translator, one test each: counting, control flow, memory, written code. The differential test
// covers the breadth of the instruction set.
#include <cstring>

#include "cpu/user_flags.h"
#include "translator_fixture.h"

namespace vitrine::cpu::test {
namespace {

TEST_F(TranslatorTest, EveryBudgetStopsAfterExactlySoManyInstructions) {
  // mov ecx,100; L: add rax,rcx; push rax; pop rbx; dec ecx; jnz L; syscall
  guest.code({0xB9, 100, 0, 0, 0, 0x48, 0x01, 0xC8, 0x50, 0x5B, 0xFF, 0xC9, 0x75, 0xF7, 0x0F, 0x05});
  expect_exact_budgets(guest, 502);
}

TEST_F(TranslatorTest, LinkedBlocksDoNotReturnToTheDispatcher) {
  guest.code(
      {0xB9, 0x40, 0x42, 0x0F, 0, 0xFF, 0xC9, 0x75, 0xFC, 0x0F, 0x05});  // mov ecx,1000000; L: dec ecx; jnz L; syscall
  EXPECT_EQ(guest.run(10'000'000).retired, 2'000'002u);
  EXPECT_LT(guest.cpu->statistics().dispatches, 20u);
}

// The end of a window runs in blocks that count each instruction; generated code goes there by itself.
TEST_F(TranslatorTest, AWindowIsOneEntryIntoGeneratedCode) {
  guest.code({0x48, 0xFF, 0xC0, 0x48, 0x39, 0xC8, 0x75, 0xF8});  // L: inc rax; cmp rax,rcx; jne L
  guest.context[Gpr::rcx] = ~0ull;
  for (u64 budget = 100; budget < 104; ++budget) (void)guest.run(budget);  // translates
  const u64 before = guest.cpu->statistics().dispatches, counted = guest.context[Gpr::rax];
  for (u64 n = 0; n < 300; ++n) {
    const Exit exit = guest.run(100 + n % 7);
    EXPECT_EQ(exit.reason, ExitReason::budget);
    EXPECT_EQ(exit.retired, 100 + n % 7);
  }
  EXPECT_EQ(guest.cpu->statistics().dispatches - before, 300u);
  const u64 retired = 300 * 100 + (300 / 7) * 21 + 0 + 1 + 2 + 3 + 4 + 5;
  EXPECT_NEAR(static_cast<double>(guest.context[Gpr::rax] - counted), static_cast<double>(retired) / 3, 1.0);
}

TEST_F(TranslatorTest, IndirectJumpsAndReturnsUseTheJumpCache) {
  // mov ecx,1000; L: call F; dec ecx; jnz L; syscall; ...; F: lea rax,[rip+1]; jmp rax; ret (at +8)
  guest.code({0xB9, 0xE8, 3, 0, 0, 0xE8, 0x16, 0, 0, 0, 0xFF, 0xC9, 0x75, 0xF7, 0x0F, 0x05});
  guest.code({0x48, 0x8D, 0x05, 2, 0, 0, 0, 0xFF, 0xE0, 0xC3}, kCode + 0x20);
  const Exit exit = guest.run();
  EXPECT_EQ(exit.reason, ExitReason::system_call);
  EXPECT_EQ(exit.retired, 2u + 6 * 1000);
  EXPECT_LT(guest.cpu->statistics().dispatches, 40u);
}

TEST_F(TranslatorTest, ALoopAcrossPagesStaysInGeneratedCode) {
  // page 0: mov ecx,1000; jmp page1.  page 1: dec ecx; jnz page2; syscall.  page 2: jmp page1
  guest.code({0xB9, 0xE8, 3, 0, 0, 0xE9, 0xF6, 0x0F, 0, 0});
  guest.code({0xFF, 0xC9, 0x0F, 0x85, 0xF8, 0x0F, 0, 0, 0x0F, 0x05}, kCode + 0x1000);
  guest.code({0xE9, 0xFB, 0xEF, 0xFF, 0xFF}, kCode + 0x2000);
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_LT(guest.cpu->statistics().dispatches, 20u);
}

TEST_F(TranslatorTest, FlagsThatNobodyReadsAreStillTrueAtAFault) {
  // add al,1 (its flags are overwritten by the next add); mov rbx,[rdi]; add eax,1
  guest.code({0x04, 1, 0x48, 0x8B, 0x1F, 0x83, 0xC0, 1, 0x0F, 0x05});
  guest.context[Gpr::rax] = 0x7F;
  guest.context[Gpr::rdi] = 0x6000'0000;
  expect_exception(guest.run(), Vector::page_fault, kCode + 2, page_fault::kUser);
  EXPECT_EQ(guest.context.rflags & kStatusFlags, 0x890u);  // OF SF AF of 0x7F + 1
}

TEST_F(TranslatorTest, AFaultInTheNextBlockShowsTheFlagsThatNobodyReads) {
  const std::vector<u8> operations[] = {
      {0x48, 0x39, 0xD1},                          // cmp rcx,rdx
      {0x80, 0xF9, 0x7F},                          // cmp cl,0x7F
      {0x66, 0x41, 0x81, 0xFE, 0x34, 0x12},        // cmp r14w,0x1234
      {0x45, 0x84, 0xC9},                          // test r9b,r9b
      {0x40, 0x38, 0xF7},                          // cmp dil,sil
      {0xF7, 0xC1, 0x78, 0x56, 0x34, 0x82},        // test ecx,0x82345678
      {0x48, 0x81, 0xC3, 0x78, 0x56, 0x34, 0x92},  // add rbx,-0x6DCBA988
      {0x29, 0xD1},                                // sub ecx,edx
      {0x00, 0xCA},                                // add dl,cl
      {0x81, 0xE7, 0xFF, 0, 0, 0},                 // and edi,0xFF
      {0x49, 0xF7, 0xDD},                          // neg r13
      {0x66, 0x41, 0x31, 0xF4},                    // xor r12w,si
      {0x4C, 0x39, 0xD1},                          // cmp rcx,r10
  };
  for (const std::vector<u8>& operation : operations) {
    // operation; jmp next; next: mov rax,[0x500000]; xor eax,eax; syscall
    std::vector<u8> code = operation;
    for (const int byte : {0xEB, 0x00, 0x48, 0x8B, 0x04, 0x25, 0, 0, 0x50, 0, 0x31, 0xC0, 0x0F, 0x05})
      code.push_back(static_cast<u8>(byte));
    guest.poke(kCode, code);
    u64 seed = 0x8000'0000'7FFF'FF80;
    for (const int n : {0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      guest.context.gpr[static_cast<std::size_t>(n)] = seed;
    }
    guest.context.rip = kCode;
    const GuestContext start = guest.context;
    ASSERT_EQ(guest.run(1).retired, 1u);
    const GuestContext after = guest.context;
    for (int n = 0; n < 3; ++n) {  // translated, linked, known
      guest.context = start;
      expect_exception(guest.run(), Vector::page_fault, kCode + operation.size() + 2, page_fault::kUser);
      EXPECT_EQ(guest.context.rflags, after.rflags | kRflagsResume) << "operation " << &operation - operations;
      EXPECT_EQ(guest.context.gpr, after.gpr) << "operation " << &operation - operations;
    }
  }
}

// The registers that the flags could be made from are gone before the fault.
TEST_F(TranslatorTest, AFaultShowsFlagsWhoseOperandsHaveChanged) {
  const std::vector<u8> operations[] = {
      {0x48, 0x39, 0xD1},                    // cmp rcx,rdx
      {0x66, 0x41, 0x39, 0xD6},              // cmp r14w,dx
      {0x45, 0x84, 0xC9},                    // test r9b,r9b
      {0x40, 0x84, 0xF7},                    // test dil,sil
      {0x81, 0xF9, 0x78, 0x56, 0x34, 0x82},  // cmp ecx,0x82345678
      {0x48, 0x01, 0xD3},                    // add rbx,rdx
      {0x29, 0xD1},                          // sub ecx,edx
      {0x28, 0xCA},                          // sub dl,cl
      {0x66, 0x41, 0x31, 0xF4},              // xor r12w,si
      {0x49, 0xF7, 0xDD},                    // neg r13
      {0x48, 0xC1, 0xE1, 0x05},              // shl rcx,5
      {0xD1, 0xEA},                          // shr edx,1
      {0x66, 0xC1, 0xFB, 0x03},              // sar bx,3
      {0xC0, 0xEA, 0x04},                    // shr dl,4
      {0x49, 0xC1, 0xF8, 0x3F},              // sar r8,63
      {0x48, 0x39, 0xE1},                    // cmp rcx,rsp
  };
  constexpr u8 kChanged[] = {1, 2, 3, 6, 7, 8, 9, 12, 13, 14};
  for (const std::vector<u8>& operation : operations) {
    for (int shape = 0; shape < 8; ++shape) {
      // operation; [jmp next; next:] [mov rax,[rbp];] mov reg,reg number...; [push rax;] mov rax,[0x500000]; xor
      // eax,eax; syscall
      std::vector<u8> code = operation;
      u64 before_fault = 1;
      const auto add = [&](std::initializer_list<int> bytes) {
        for (const int byte : bytes) code.push_back(static_cast<u8>(byte));
        ++before_fault;
      };
      if ((shape & 1) != 0) add({0xEB, 0x00});
      if ((shape & 2) != 0) add({0x48, 0x8B, 0x45, 0x00});
      for (const u8 reg : kChanged) add({reg >= 8 ? 0x41 : 0x40, 0xB8 + (reg & 7), reg, 0, 0, 0});
      if ((shape & 4) != 0) add({0x50});
      const Va fault_at = kCode + code.size();
      add({0x48, 0x8B, 0x04, 0x25, 0, 0, 0x50, 0, 0x31, 0xC0, 0x0F, 0x05});
      guest.poke(kCode, code);
      u64 seed = 0x8000'0000'7FFF'FF80;
      for (const u8 reg : kChanged) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        guest.context.gpr[reg] = seed;
      }
      guest.context[Gpr::rsp] = guest.context[Gpr::rbp] = kData + 512;
      guest.context.rip = kCode;
      const GuestContext start = guest.context;
      for (u64 n = 1; n < before_fault; ++n) ASSERT_EQ(guest.run(1).retired, 1u);
      const GuestContext after = guest.context;
      for (int n = 0; n < 3; ++n) {  // translated, linked, known
        guest.context = start;
        expect_exception(guest.run(), Vector::page_fault, fault_at, page_fault::kUser);
        EXPECT_EQ(guest.context.rflags, after.rflags | kRflagsResume)
            << "operation " << &operation - operations << " shape " << shape;
        EXPECT_EQ(guest.context.gpr, after.gpr) << "operation " << &operation - operations << " shape " << shape;
      }
    }
  }
}

TEST_F(TranslatorTest, FlagsThatARotateLeavesAloneAreSeenByAFault) {
  // cmp rcx,rdx; rol ebx,3; [nop;] mov rax,[0x500000]; xor eax,eax; syscall
  for (const bool nop : {false, true}) {
    std::vector<u8> code{0x48, 0x39, 0xD1, 0xC1, 0xC3, 0x03};
    if (nop) code.push_back(0x90);
    for (const int byte : {0x48, 0x8B, 0x04, 0x25, 0, 0, 0x50, 0, 0x31, 0xC0, 0x0F, 0x05})
      code.push_back(static_cast<u8>(byte));
    guest.poke(kCode, code);
    for (const u64 value : {0ull, 5ull, 0x8000'0000'0000'0000ull}) {
      guest.context.rip = kCode;
      guest.context[Gpr::rcx] = value;
      guest.context[Gpr::rdx] = 5;
      guest.context[Gpr::rbx] = 0x2000'0000;
      const GuestContext start = guest.context;
      ASSERT_EQ(guest.run(2).retired, 2u);
      const u64 flags = guest.context.rflags;
      guest.context = start;
      EXPECT_EQ(guest.run().reason, ExitReason::exception);
      EXPECT_EQ(guest.context.rflags, flags | kRflagsResume) << value;
    }
  }
}

TEST_F(TranslatorTest, AFullCodeCacheIsEmptiedAndTheProgramGoesOn) {
  GuestMachine small({.code_cache_bytes = 1u << 20});
  // 2,400 blocks would fit, but not together with as many that begin one byte later.
  std::vector<u8> code(3 * kPageSize, 0x90);
  for (std::size_t n = 0; n + 8 < code.size(); n += 5) {
    code[n] = 0x48, code[n + 1] = 0x8B, code[n + 2] = 0x07, code[n + 3] = 0xEB,
    code[n + 4] = 0x00;  // mov rax,[rdi]; jmp next
  }
  code[code.size() - 2] = 0x0F;
  code[code.size() - 1] = 0x05;
  small.poke(kCode, std::span(code).first(kPageSize));
  for (u64 page = 1; page < 3; ++page)
    small.poke(kCode + page * kPageSize, std::span(code).subspan(page * kPageSize, kPageSize));
  small.context[Gpr::rdi] = kData;
  const GuestContext start = small.context;
  for (const u64 slice : {1'000'000ull, 3ull, 7ull, 17ull, 33ull}) {
    small.context = start;
    Exit exit = small.run(slice);
    while (exit.reason == ExitReason::budget) exit = small.run(slice);
    EXPECT_EQ(exit.reason, ExitReason::system_call);
  }
  for (u64 n = 0; n + 64 < code.size(); n += 5) {
    small.context = start;
    small.context.rip = kCode + n + 1;
    EXPECT_EQ(small.run(12).retired, 12u);
  }
  EXPECT_GT(small.cpu->statistics().cache_flushes, 0u);
}

TEST_F(TranslatorTest, RepeatedStringsCountIterationsAndStopBetweenThem) {
  guest.code({0xF3, 0x48, 0xAB, 0x0F, 0x05});  // rep stosq
  guest.context[Gpr::rdi] = kData + 16;
  guest.context[Gpr::rcx] = 1000;
  guest.context[Gpr::rax] = 0x0102'0304'0506'0708;
  Exit exit = guest.run(10);
  EXPECT_EQ(exit.reason, ExitReason::budget);
  EXPECT_EQ(exit.retired, 10u);
  EXPECT_EQ(guest.context[Gpr::rcx], 990u);
  EXPECT_EQ(guest.context[Gpr::rdi], kData + 16 + 80);
  EXPECT_EQ(guest.context.rip, kCode);
  EXPECT_EQ(guest.peek(kData + 16 + 80), 0u);
  exit = guest.run();
  EXPECT_EQ(exit.retired, 991u);
  EXPECT_EQ(guest.peek(kData + 16 + 7992), 0x0102'0304'0506'0708u);
  EXPECT_EQ(guest.peek(kData + 16 + 8000), 0u);
}

}  // namespace
}  // namespace vitrine::cpu::test
