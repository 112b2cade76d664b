// Instructions that the translator treats specially, and the state that they touch.
#include <cstring>

#include "cpu/user_flags.h"
#include "translator_fixture.h"

namespace vitrine::cpu::test {
namespace {

TEST_F(TranslatorTest, SegmentOverridesAddTheBasesOfTheContext) {
  guest.code({0x65, 0x48, 0x8B, 0x04, 0x25, 0x30, 0, 0, 0, 0x64, 0x48, 0x8B, 0x1C, 0x0E, 0x0F,
              0x05});  // mov rax,gs:[0x30]; mov rbx,fs:[rsi+rcx]
  guest.context.gs_base = kData + 0x100;
  guest.context.fs_base = kData + 0x200;
  guest.context[Gpr::rsi] = 8;
  guest.context[Gpr::rcx] = 8;
  guest.store(kData + 0x130, 11);
  guest.store(kData + 0x210, 22);
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.context[Gpr::rax], 11u);
  EXPECT_EQ(guest.context[Gpr::rbx], 22u);
}

TEST_F(TranslatorTest, HighByteRegistersWorkWithMemoryAndReservedRegisters) {
  guest.code({0x8A, 0x26, 0x00, 0x2F, 0x0F, 0xB6, 0xE4, 0x88, 0xE7, 0x0F,
              0x05});  // mov ah,[rsi]; add [rdi],ch; movzx esp,ah; mov bh,ah
  guest.context[Gpr::rsi] = kData;
  guest.context[Gpr::rdi] = kData + 1;
  guest.context[Gpr::rcx] = 0x0300;
  guest.store(kData, 0x1142, 2);
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.context[Gpr::rax], 0x4200u);
  EXPECT_EQ(guest.context[Gpr::rsp], 0x42u);
  EXPECT_EQ(guest.context[Gpr::rbx], 0x4200u);
  EXPECT_EQ(guest.context[Gpr::rsi], kData);
  EXPECT_EQ(guest.peek(kData + 1, 1), 0x14u);
}

TEST_F(TranslatorTest, AnAddressWithoutBaseIgnoresTheBaseBitOfRex) {
  guest.code({0x67, 0x41, 0x8B, 0x04, 0xBD, 0, 0, 0x20, 0, 0x0F, 0x05});  // mov eax,[edi*4+0x200000], with REX.B
  guest.context[Gpr::rdi] = 2;
  guest.context[Gpr::r13] = 0x1000'0000;
  guest.store(kData + 8, 5);
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.context[Gpr::rax], 5u);
}

TEST_F(TranslatorTest, StackInstructionsOnTheStackPointerItself) {
  guest.code({0x54, 0x58, 0x50, 0x5C, 0x0F, 0x05});  // push rsp; pop rax; push rax; pop rsp
  const u64 rsp = guest.context[Gpr::rsp];
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.context[Gpr::rax], rsp);
  EXPECT_EQ(guest.context[Gpr::rsp], rsp);
  guest.code({0x8F, 0x04, 0x24, 0x0F, 0x05});  // pop [rsp]: the address uses the incremented RSP
  guest.context.rip = kCode;
  guest.store(rsp, 99);
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.peek(rsp + 8), 99u);
  EXPECT_EQ(guest.context[Gpr::rsp], rsp + 8);
}

TEST_F(TranslatorTest, CompareExchange16BytesNeedsAlignment) {
  guest.code({0xF0, 0x48, 0x0F, 0xC7, 0x0E, 0x0F, 0x05});  // lock cmpxchg16b [rsi]
  guest.context[Gpr::rsi] = kData;
  guest.context[Gpr::rbx] = 5;
  guest.context[Gpr::rcx] = 6;
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.peek(kData), 5u);
  EXPECT_EQ(guest.peek(kData + 8), 6u);
  EXPECT_EQ(guest.context.rflags & 0x40, 0x40u);
  guest.context.rip = kCode;
  guest.context[Gpr::rsi] = kData + 8;
  expect_exception(guest.run(), Vector::general_protection, kCode);
}

TEST_F(TranslatorTest, TheTrapFlagStopsAfterEachInstruction) {
  guest.code({0xFF, 0xC0, 0x48, 0x8B, 0x1F, 0x0F, 0x05});  // inc eax; mov rbx,[rdi]
  guest.context[Gpr::rdi] = kData;
  guest.context.rflags |= 0x100;
  Exit exit = guest.run();
  expect_exception(exit, Vector::debug, kCode + 2);
  EXPECT_EQ(exit.retired, 1u);
  EXPECT_EQ(guest.context.debug[4] & 0x4000, 0x4000u);
  EXPECT_EQ(guest.context.rflags & 0x100, 0x100u);
  expect_exception(guest.run(), Vector::debug, kCode + 5);
}

TEST_F(TranslatorTest, PopfThatSetsTheTrapFlagTrapsAfterTheNextInstruction) {
  guest.code(
      {0x9C, 0x48, 0x81, 0x0C, 0x24, 0, 1, 0, 0, 0x9D, 0x90, 0x90});  // pushf; or qword [rsp],0x100; popf; nop; nop
  const Exit exit = guest.run();
  expect_exception(exit, Vector::debug, kCode + 11);
  EXPECT_EQ(exit.retired, 4u);
}

TEST_F(TranslatorTest, PushfShowsTrueFlagsAndPopfMasksTheRest) {
  guest.code({0x83, 0xF8, 0, 0xFD, 0x9C, 0x58, 0x68, 0xFF, 0xFF, 0x3F, 0x7F, 0x9D, 0x9C, 0x5B, 0x0F,
              0x05});  // cmp eax,0; std; pushf; pop rax; push 0x7F3FFFFF; popf; ...
  Exit exit = guest.run();
  EXPECT_EQ(guest.context[Gpr::rax], 0x646u);
  while (exit.reason == ExitReason::exception && exit.vector == Vector::debug) {  // TF is among the bits
    guest.context.rflags &= ~0x100ull;
    exit = guest.run();
  }
  EXPECT_EQ(exit.reason, ExitReason::system_call);
  EXPECT_EQ(guest.context[Gpr::rbx] & ~0x100ull, (kPoppedRflags & ~0x100ull) | kRflagsFixed);
}

TEST_F(TranslatorTest, InterruptsAndRefusedInstructionsHaveTheirVectors) {
  guest.code({0xCC});
  expect_exception(guest.run(), Vector::breakpoint, kCode + 1);
  guest.code({0xCD, 0x29});
  guest.context.rip = kCode;
  expect_exception(guest.run(), Vector::software_interrupt, kCode + 2, 0x29);
  guest.code({0x0F, 0x0B});
  guest.context.rip = kCode;
  expect_exception(guest.run(), Vector::invalid_opcode, kCode);
  guest.code({0xF4});
  expect_exception(guest.run(), Vector::general_protection, kCode);
  guest.code({0x0F, 0x20, 0xC0});  // mov rax,cr0
  expect_exception(guest.run(), Vector::general_protection, kCode);
  EXPECT_TRUE(guest.cpu->unsupported().empty());
  guest.code({0xF3, 0x0F, 0xAE, 0xC0});  // rdfsbase eax
  expect_exception(guest.run(), Vector::invalid_opcode, kCode);
  ASSERT_EQ(guest.cpu->unsupported().size(), 1u);
  EXPECT_EQ(guest.cpu->unsupported()[0].mnemonic, "rdfsbase");
}

TEST_F(TranslatorTest, PauseEndsTheRunAfterItself) {
  guest.code({0x90, 0xF3, 0x90, 0x90});
  const Exit exit = guest.run();
  EXPECT_EQ(exit.reason, ExitReason::pause);
  EXPECT_EQ(exit.retired, 2u);
  EXPECT_EQ(guest.context.rip, kCode + 3);
}

TEST_F(TranslatorTest, AKickEndsTheNextRunBeforeItStarts) {
  guest.code({0xEB, 0xFE});
  guest.cpu->kick(0);
  const Exit exit = guest.run();
  EXPECT_EQ(exit.reason, ExitReason::kicked);
  EXPECT_EQ(exit.retired, 0u);
  EXPECT_EQ(guest.run(1000).reason, ExitReason::budget);
}

TEST_F(TranslatorTest, IdentityAnswersForTheProcessor) {
  guest.code(
      {0x0F, 0xA2, 0x89, 0xC6, 0x0F, 0x31, 0x0F, 0xC7, 0xF7, 0x0F, 0x05});  // cpuid; mov esi,eax; rdtsc; rdrand edi
  guest.context[Gpr::rax] = 7;
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.context[Gpr::rsi], 7u);
  EXPECT_EQ(guest.context[Gpr::rbx], 0x1111u);
  EXPECT_EQ(guest.context[Gpr::rax], 2u);  // two instructions before RDTSC in this run
  EXPECT_EQ(guest.context[Gpr::rdx], 1u);
  EXPECT_EQ(guest.context[Gpr::rdi], 0x89AB'CDEFu);
  EXPECT_EQ(guest.context.rflags & 1, 1u);
}

TEST_F(TranslatorTest, VectorStateTravelsWithTheContext) {
  guest.code(
      {0xC5, 0xFD, 0x6F, 0x07, 0xC5, 0xFD, 0xFE, 0xC8, 0x0F, 0x05});  // vmovdqa ymm0,[rdi]; vpaddd ymm1,ymm0,ymm0
  guest.context[Gpr::rdi] = kData;
  for (u64 n = 0; n < 32; n += 4) guest.store(kData + n, n, 4);
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  u32 low, high;
  std::memcpy(&low, guest.context.xsave.data() + 160 + 16 + 4, 4);
  std::memcpy(&high, guest.context.xsave.data() + 576 + 16 + 4, 4);
  EXPECT_EQ(low, 8u);
  EXPECT_EQ(high, 40u);
}

TEST_F(TranslatorTest, UnmaskedSimdExceptionsReachTheGuestPrecisely) {
  guest.code({0x83, 0xF8, 1, 0x0F, 0x5E, 0xC1, 0x0F, 0x05});  // cmp eax,1; divps xmm0,xmm1
  guest.context.set_mxcsr(kMxcsrReset & ~(1u << 9));          // ZM
  const u32 one = 0x3F80'0000;
  for (std::size_t n = 0; n < 4; ++n) std::memcpy(guest.context.xsave.data() + 160 + 4 * n, &one, 4);
  expect_exception(guest.run(), Vector::simd_error, kCode + 3);
  EXPECT_EQ(guest.context.rflags & kStatusFlags, 0x95u);
  EXPECT_EQ(guest.context.mxcsr() & 4, 4u);  // ZE
  guest.context.set_mxcsr(kMxcsrReset);
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
}

TEST_F(TranslatorTest, TheHostKeepsItsOwnFloatingPointControl) {
  guest.code({0x0F, 0xAE, 0x17, 0xD9, 0x6F, 4, 0x0F, 0x05});  // ldmxcsr [rdi]; fldcw [rdi+4]
  guest.context[Gpr::rdi] = kData;
  guest.store(kData, 0x7F80, 4);  // round to zero
  guest.store(kData + 4, 0x0C7F, 2);
  const u32 before = __builtin_ia32_stmxcsr();
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(__builtin_ia32_stmxcsr(), before);
  u16 control;
  asm volatile("fnstcw %0" : "=m"(control));
  EXPECT_EQ(control, 0x37F);
  EXPECT_EQ(guest.context.mxcsr(), 0x7F80u);
  EXPECT_EQ(guest.context.fpcw(), 0x0C7F);
  guest.store(kData, 0x1'0000, 4);
  guest.context.rip = kCode;
  expect_exception(guest.run(), Vector::general_protection, kCode);
}

TEST_F(TranslatorTest, ReservedMxcsrBitsFaultInTheVexFormToo) {
  guest.code({0xC5, 0xF8, 0xAE, 0x17, 0x0F, 0x05});  // vldmxcsr [rdi]
  guest.context[Gpr::rdi] = kData;
  guest.store(kData, 0x8000'1F80, 4);
  expect_exception(guest.run(), Vector::general_protection, kCode);
  guest.store(kData, 0x9F80, 4);
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.context.mxcsr(), 0x9F80u);
}

TEST_F(TranslatorTest, LaterInstructionsInReservedEncodingsDoNothingOrFault) {
  guest.code({0xF3, 0x48, 0x0F, 0x1E, 0xC8, 0x0F, 0x05});  // rdsspq rax: no shadow stack, so RAX stays
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.context[Gpr::rax], 0u);
  guest.code({0xC7, 0xF8, 0, 0, 0, 0});  // xbegin
  guest.context.rip = kCode;
  expect_exception(guest.run(), Vector::invalid_opcode, kCode);
  guest.code({0xC5, 0xF8, 0x84, 0, 0, 0, 0});  // jkzd k0, which only another processor has
  guest.context.rip = kCode;
  expect_exception(guest.run(), Vector::invalid_opcode, kCode);
}

TEST_F(TranslatorTest, TheTableOfXlatFollowsItsOwnPrefixesOnly) {
  guest.code({0xD7, 0x65, 0x8A, 0x0E, 0x0F, 0x05});     // xlat; mov cl,gs:[rsi]
  guest.code({0x65, 0xD7, 0x0F, 0x05}, kCode + 0x800);  // xlat gs:[rbx+al]
  guest.context[Gpr::rbx] = kData;
  guest.context[Gpr::rsi] = kData;
  guest.context[Gpr::rax] = 0x1103;
  guest.context.gs_base = 0x20;
  guest.store(kData + 3, 0x44, 1);
  guest.store(kData + 0x44 + 0x20, 0x55, 1);
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.context[Gpr::rax], 0x1144u);
  guest.context.rip = kCode + 0x800;
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.context[Gpr::rax], 0x1155u);
}

TEST_F(TranslatorTest, X87StateShowsGuestAddresses) {
  guest.code({0xD9, 0xE8, 0xDD, 0x17, 0xD9, 0x77, 0x10, 0x0F, 0xAE, 0x46, 0x40, 0x0F,
              0x05});  // fld1; fst qword [rdi]; fnstenv [rdi+16]; fxsave [rsi+64]
  guest.context[Gpr::rdi] = kData;
  guest.context[Gpr::rsi] = kData + 0x100;
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.peek(kData), 0x3FF0'0000'0000'0000u);
  EXPECT_EQ(guest.peek(kData + 16 + 12, 4), static_cast<u32>(kCode + 2));
  EXPECT_EQ(guest.peek(kData + 16 + 20, 4), kData);
  EXPECT_EQ(guest.peek(kData + 0x140 + 16, 4), kData);
}

TEST_F(TranslatorTest, ReciprocalEstimatesAreTheSameOnEveryHost) {
  guest.code({0x0F, 0x53, 0xC1, 0x0F, 0x52, 0xD1, 0x0F, 0x05});      // rcpps xmm0,xmm1; rsqrtps xmm2,xmm1
  const u32 inputs[4] = {0x4040'0000, 0, 0xC000'0000, 0x7F80'0000};  // 3, 0, -2, infinity
  std::memcpy(guest.context.xsave.data() + 160 + 16, inputs, 16);
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  u32 reciprocal[4], root[4];
  std::memcpy(reciprocal, guest.context.xsave.data() + 160, 16);
  std::memcpy(root, guest.context.xsave.data() + 160 + 32, 16);
  EXPECT_EQ(reciprocal[0], 0x3EAA'A800u);
  EXPECT_EQ(reciprocal[1], 0x7F80'0000u);
  EXPECT_EQ(reciprocal[2], 0xBF00'0000u);
  EXPECT_EQ(reciprocal[3], 0u);
  EXPECT_EQ(root[0], 0x3F13'C800u);
  EXPECT_EQ(root[2], 0xFFC0'0000u);
}

TEST_F(TranslatorTest, AGatherThatFaultsKeepsWhatItHas) {
  guest.code({0xC4, 0xE2, 0x69, 0x90, 0x04, 0x0F, 0x0F, 0x05});  // vpgatherdd xmm0,[rdi+xmm1],xmm2
  guest.context[Gpr::rdi] = kData;
  const u32 indices[4] = {0, 4, 0x1000'0000, 8}, mask[4] = {~0u, ~0u, ~0u, 0};
  std::memcpy(guest.context.xsave.data() + 160 + 16, indices, 16);
  std::memcpy(guest.context.xsave.data() + 160 + 32, mask, 16);
  guest.store(kData, 0x2222'2222'1111'1111);
  const Exit exit = guest.run();
  expect_exception(exit, Vector::page_fault, kCode, exit.error_code);
  u32 after[4], left[4];
  std::memcpy(after, guest.context.xsave.data() + 160, 16);
  std::memcpy(left, guest.context.xsave.data() + 160 + 32, 16);
  EXPECT_EQ(after[1], 0x2222'2222u);
  EXPECT_EQ(left[1], 0u);
  EXPECT_EQ(left[2], ~0u);
}

TEST_F(TranslatorTest, EnterAndLeaveBuildAFrame) {
  guest.code({0xC8, 0x20, 0, 0, 0xC9, 0x0F, 0x05});  // enter 32,0; leave
  guest.context[Gpr::rbp] = 0x1234;
  const u64 rsp = guest.context[Gpr::rsp];
  Exit exit = guest.run(1);
  EXPECT_EQ(exit.retired, 1u);
  EXPECT_EQ(guest.context[Gpr::rbp], rsp - 8);
  EXPECT_EQ(guest.context[Gpr::rsp], rsp - 8 - 32);
  guest.run();
  EXPECT_EQ(guest.context[Gpr::rsp], rsp);
  EXPECT_EQ(guest.context[Gpr::rbp], 0x1234u);
}

TEST_F(TranslatorTest, InterruptReturnLoadsTheWholeFrame) {
  guest.code({0x48, 0xCF});
  guest.code({0x0F, 0x05}, kCode + 0x40);
  const u64 rsp = guest.context[Gpr::rsp] -= 40;
  const u64 frame[5] = {kCode + 0x40, 0x33, 0x202 | 0x41, kData, 0x2B};
  for (u64 n = 0; n < 5; ++n) guest.store(rsp + 8 * n, frame[n]);
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.context[Gpr::rsp], kData);
  EXPECT_EQ(guest.context.rflags & kStatusFlags, 0x41u);
}

}  // namespace
}  // namespace vitrine::cpu::test
