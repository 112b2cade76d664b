// What every back end owes the kernel, one test each: registers, traps, faults, identity, debugging, time. Each runs on
// the translator, and on KVM where the host has one.
#include <cstring>
#include <thread>

#include "backend_contract.h"
#include "cpu/user_flags.h"

namespace vitrine::cpu::test {
namespace {

constexpr Va kCode = GuestMachine::kCode, kData = GuestMachine::kData;
constexpr u64 kTrapFlag = 1u << 8;

std::string name_of(const ::testing::TestParamInfo<BackendKind>& info) {
  if (info.param == BackendKind::kvm) return "kvm";
  return info.param == BackendKind::translator ? "translator" : "hot_translator";
}
INSTANTIATE_TEST_SUITE_P(Backends, BackendContract,
                         ::testing::Values(BackendKind::translator, BackendKind::hot_translator, BackendKind::kvm),
                         name_of);

TEST_P(BackendContract, RunsToASystemCallAndReportsItsRegisters) {
  guest().code({0xB8, 0x34, 0x12, 0, 0, 0x48, 0x83, 0xC0, 0x01, 0x0F, 0x05});  // mov eax,0x1234; add rax,1; syscall
  const Exit exit = guest().run();
  EXPECT_EQ(exit.reason, ExitReason::system_call);
  expect_retired(exit, 3u);
  EXPECT_EQ(guest().context[Gpr::rax], 0x1235u);
  EXPECT_EQ(guest().context.rip, kCode + 11);
  EXPECT_EQ(guest().context[Gpr::rcx], guest().context.rip);
  EXPECT_EQ(guest().context[Gpr::r11], guest().context.rflags);
}

TEST_P(BackendContract, MisalignedVectorAccessesAreGeneralProtectionWhereTheInstructionSaysSo) {
  guest().code({0x0F, 0x28, 0x07});  // movaps xmm0,[rdi]
  guest().context[Gpr::rdi] = kData + 8;
  expect_exception(guest().run(), Vector::general_protection, kCode);
  guest().code({0x0F, 0x10, 0x07, 0xC5, 0xF8, 0x58, 0x0F, 0x0F, 0x05});  // movups; vaddps xmm1,xmm0,[rdi]
  EXPECT_EQ(guest().run().reason, ExitReason::system_call);
}

TEST_P(BackendContract, ARepeatedStringFaultsAtTheIterationThatFails) {
  guest().code({0xF3, 0xA4, 0x0F, 0x05});  // rep movsb
  const Va end = kData + GuestMachine::kDataPages * kPageSize;
  guest().context[Gpr::rsi] = kData;
  guest().context[Gpr::rdi] = end - 100;
  guest().context[Gpr::rcx] = 300;
  const Exit exit = guest().run();
  expect_exception(exit, Vector::page_fault, kCode, page_fault::kUser | page_fault::kWrite);
  EXPECT_EQ(exit.fault_address, end);
  expect_retired(exit, 100u);
  EXPECT_EQ(guest().context[Gpr::rcx], 200u);
  EXPECT_EQ(guest().context[Gpr::rsi], kData + 100);
  EXPECT_EQ(guest().context[Gpr::rdi], end);
}

TEST_P(BackendContract, AScanStopsAtTheFirstMatch) {
  guest().code({0xF2, 0xAE, 0x0F, 0x05});  // repne scasb
  guest().store(kData + 37, 0x55, 1);
  guest().context[Gpr::rdi] = kData;
  guest().context[Gpr::rcx] = 100;
  guest().context[Gpr::rax] = 0x55;
  expect_retired(guest().run(), 39u);
  EXPECT_EQ(guest().context[Gpr::rdi], kData + 38);
  EXPECT_EQ(guest().context.rflags & 0x40, 0x40u);
}

TEST_P(BackendContract, DivideErrorsArePreciseAndEdgeQuotientsFit) {
  guest().code({0x48, 0xF7, 0xF9, 0x0F, 0x05});  // idiv rcx
  guest().context[Gpr::rcx] = 0;
  expect_exception(guest().run(), Vector::divide_error, kCode);
  guest().context[Gpr::rax] = 1ull << 63;
  guest().context[Gpr::rdx] = ~0ull;
  guest().context[Gpr::rcx] = ~0ull;  // -2^63 / -1
  expect_exception(guest().run(), Vector::divide_error, kCode);
  EXPECT_EQ(guest().context[Gpr::rdx], ~0ull);
  guest().context[Gpr::rcx] = 1;
  EXPECT_EQ(guest().run().reason, ExitReason::system_call);
  EXPECT_EQ(guest().context[Gpr::rax], 1ull << 63);
  guest().code({0xF7, 0xF1, 0xF6, 0xF5, 0x66, 0xF7, 0xF9, 0x0F, 0x05});  // div ecx; div ch; idiv cx
  guest().context.rip = kCode;
  guest().context[Gpr::rdx] = 5;
  guest().context[Gpr::rcx] = 5;
  expect_exception(guest().run(), Vector::divide_error, kCode);
  guest().context[Gpr::rdx] = 4;
  guest().context[Gpr::rax] = 0xFFFF'FFFF;
  guest().context[Gpr::rcx] = 5;
  expect_exception(guest().run(), Vector::divide_error, kCode + 2);  // CH is 0
  EXPECT_EQ(guest().context[Gpr::rax], 0xFFFF'FFFFu);
}

TEST_P(BackendContract, TheRegistersOfTheContextAreTheGuests) {
  // add every register to itself but RSP; movups [rdi],xmm3 (RDI is made even by then); syscall
  std::vector<u8> code;
  for (u8 n = 0; n < 16; ++n) {
    if (n == 4) continue;
    const u8 rex = n < 8 ? 0x48 : 0x4D, modrm = static_cast<u8>(0xC0 | (n & 7) * 9);
    code.insert(code.end(), {rex, 0x01, modrm});
  }
  code.insert(code.end(), {0x0F, 0x05});
  guest().poke(kCode, code);
  for (u64 n = 0; n < 16; ++n) {
    if (n != 4) guest().context.gpr[n] = 1000 + n;
  }
  guest().context.rflags |= 0xC00;  // OF, DF
  const Va stack = guest().context[Gpr::rsp];
  run_to_system_call();
  for (u64 n = 0; n < 16; ++n) {
    if (n != 1 && n != 4 && n != 11) EXPECT_EQ(guest().context.gpr[n], 2 * (1000 + n)) << n;
  }
  EXPECT_EQ(guest().context[Gpr::rsp], stack);
  EXPECT_EQ(guest().context.rflags & 0x400, 0x400u);
  EXPECT_EQ(guest().context[Gpr::r11], guest().context.rflags);
}

TEST_P(BackendContract, VectorAndX87StateTravelWithTheContext) {
  // vaddpd ymm2,ymm2,ymm2; fld1; syscall
  guest().code({0xC5, 0xED, 0x58, 0xD2, 0xD9, 0xE8, 0x0F, 0x05});
  GuestContext& context = guest().context;
  const double values[4] = {1.5, -2.25, 1e100, 0.125};
  std::memcpy(context.xsave.data() + 160 + 32, values, 16);
  std::memcpy(context.xsave.data() + 576 + 32, values + 2, 16);
  GuestContext other;  // another thread, in between
  other.rip = kCode;
  run_to_system_call();
  (void)guest().backend->run(0, *guest().space, other, 1'000'000);
  const auto check = [](const GuestContext& at, double factor, const double* from) {
    double low[2], high[2];
    std::memcpy(low, at.xsave.data() + 160 + 32, 16);
    std::memcpy(high, at.xsave.data() + 576 + 32, 16);
    for (int n = 0; n < 2; ++n) {
      EXPECT_EQ(low[n], factor * from[n]);
      EXPECT_EQ(high[n], factor * from[2 + n]);
    }
  };
  check(context, 2, values);
  constexpr double kZero[4] = {};
  check(other, 1, kZero);
  run_to_system_call();
  check(context, 4, values);
  EXPECT_EQ(context.fpcw(), kFpcwWindows);
  EXPECT_EQ(context.mxcsr(), kMxcsrReset);
  u16 status;
  std::memcpy(&status, context.xsave.data() + 2, 2);
  EXPECT_EQ(status >> 11 & 7, 6);  // two values on the x87 stack
  constexpr u8 kOne[10] = {0, 0, 0, 0, 0, 0, 0, 0x80, 0xFF, 0x3F};
  EXPECT_EQ(std::memcmp(context.xsave.data() + 32, kOne, sizeof kOne), 0);
}

TEST_P(BackendContract, SegmentBasesAreTheContexts) {
  // mov rax,gs:[8]; mov rbx,fs:[16]; syscall
  guest().code({0x65, 0x48, 0x8B, 0x04, 0x25, 8, 0, 0, 0, 0x64, 0x48, 0x8B, 0x1C, 0x25, 16, 0, 0, 0, 0x0F, 0x05});
  guest().store(kData + 8, 71);
  guest().store(kData + 0x100 + 16, 72);
  guest().context.gs_base = kData;
  guest().context.fs_base = kData + 0x100;
  run_to_system_call();
  EXPECT_EQ(guest().context[Gpr::rax], 71u);
  EXPECT_EQ(guest().context[Gpr::rbx], 72u);
}

TEST_P(BackendContract, SoftwareInterruptsNameTheirNumberAndStandBehindTheInstruction) {
  for (const u8 number : {0, 1, 2, 4, 6, 8, 13, 14, 18, 31, 32, 0x29, 0x2C, 0x2D, 0x2E, 0x80, 255}) {
    guest().code({0xCD, number});
    guest().context.rip = kCode;
    expect_exception(guest().run(), Vector::software_interrupt, kCode + 2, number);
    EXPECT_EQ(guest().context.rflags & kRflagsResume, 0u);
  }
  for (const std::vector<u8>& code : {std::vector<u8>{0xCC}, std::vector<u8>{0xCD, 3}}) {
    guest().poke(kCode, code);
    guest().context.rip = kCode;
    expect_exception(guest().run(), Vector::breakpoint, kCode + code.size());
  }
  guest().code({0xF1});
  guest().context.rip = kCode;
  expect_exception(guest().run(), Vector::debug, kCode + 1);
}

TEST_P(BackendContract, WhatOnlyAKernelMayDoIsAGeneralProtectionFault) {
  const std::vector<u8> codes[] = {
      {0xF4},              // hlt
      {0xFA},              // cli
      {0xE4, 0x80},        // in al,0x80
      {0xEE},              // out dx,al
      {0x0F, 0x32},        // rdmsr
      {0x0F, 0x22, 0xD8},  // mov cr3,rax
      {0x0F, 0x01, 0x38},  // invlpg [rax]
      {0x0F, 0x20, 0xC0},  // mov rax,cr0
      {0x0F, 0x21, 0xC0},  // mov rax,dr0
      {0x0F, 0x09},        // wbinvd
      {0x8E, 0xD0},        // mov ss,ax: no such selector
  };
  for (const std::vector<u8>& code : codes) {
    guest().poke(kCode, code);
    guest().context.rip = kCode;
    guest().context[Gpr::rax] = 0xFFF8;
    const bool selector = code[0] == 0x8E;
    expect_exception(guest().run(), Vector::general_protection, kCode, selector ? 0xFFF8 : 0);
  }
}

TEST_P(BackendContract, UndefinedInstructionsAre) {
  const std::vector<u8> codes[] = {
      {0x0F, 0x0B},                          // ud2
      {0x62, 0xF1, 0x7C, 0x48, 0x58, 0xC1},  // vaddps zmm0,zmm0,zmm1
      {0x06},                                // push es: not in 64-bit mode
      {0x0F, 0xFF, 0xC0},                    // ud0
  };
  for (const std::vector<u8>& code : codes) {
    guest().poke(kCode, code);
    guest().context.rip = kCode;
    expect_exception(guest().run(), Vector::invalid_opcode, kCode);
  }
}

TEST_P(BackendContract, ExceptionsThatAGuestUnmaskedComeToIt) {
  if (!emulated_kvm()) {                           // QEMU raises none for SSE
    guest().code({0x0F, 0x5E, 0xC1, 0x0F, 0x05});  // divps xmm0,xmm1: 0/0
    guest().context.set_mxcsr(kMxcsrReset & ~0x80u);
    expect_exception(guest().run(), Vector::simd_error, kCode);
  }
  guest().context.set_mxcsr(kMxcsrReset);
  // fldz; fldz; fdivp; fwait
  guest().code({0xD9, 0xEE, 0xD9, 0xEE, 0xDE, 0xF9, 0x9B, 0x0F, 0x05});
  guest().context.rip = kCode;
  guest().context.set_fpcw(0x37E);
  expect_exception(guest().run(), Vector::x87_error, kCode + 6);
}

TEST_P(BackendContract, TheIdentityAnswersWhatTheProcessorIsAsked) {
  if (guest().kvm != nullptr && !guest().kvm->traps_identity()) GTEST_SKIP() << "this host's KVM cannot trap CPUID";
  guest().code({0x0F, 0xA2, 0x0F, 0x05});  // cpuid
  guest().context[Gpr::rax] = 0x1234'5678'0000'0007;
  guest().context[Gpr::rcx] = 0xFFFF'FFFF'0000'0002;
  run_to_system_call();
  EXPECT_EQ(guest().context[Gpr::rax], 7u);
  EXPECT_EQ(guest().context[Gpr::rbx], 0x1111u);
  EXPECT_EQ(guest().context[Gpr::rdx], 0x3333u);
  guest().code({0x0F, 0x31, 0x0F, 0x05});  // rdtsc
  guest().context[Gpr::rax] = guest().context[Gpr::rdx] = ~0ull;
  run_to_system_call();
  EXPECT_EQ(guest().context[Gpr::rdx], 1u);  // FakeIdentity's 0x1'0000'0000
  EXPECT_LT(guest().context[Gpr::rax], 1u << 24);
  guest().code({0x0F, 0x01, 0xF9, 0x89, 0xCB, 0x0F, 0x05});  // rdtscp; mov ebx,ecx
  run_to_system_call();
  EXPECT_EQ(guest().context[Gpr::rdx], 1u);
  EXPECT_EQ(guest().context[Gpr::rbx], 0u);  // processor 0
}

TEST_P(BackendContract, ASingleStepEndsAfterEachInstruction) {
  guest().code({0x90, 0x48, 0xFF, 0xC0, 0xEB, 0x01, 0x90, 0x0F, 0x05});  // nop; inc rax; jmp +1; nop; syscall
  guest().context[Gpr::rax] = 5;
  for (const u64 next : {1, 4, 7}) {
    guest().context.rflags |= kTrapFlag;
    guest().context.debug[4] = 0;
    expect_exception(guest().run(), Vector::debug, kCode + next);
    EXPECT_EQ(guest().context.debug[4], 1u << 14);
    EXPECT_EQ(guest().context.rflags & kTrapFlag, kTrapFlag);
  }
  EXPECT_EQ(guest().context[Gpr::rax], 6u);
}

TEST_P(BackendContract, BreakpointsOfTheContextAreMet) {
  if (emulated_kvm()) GTEST_SKIP() << "QEMU's virtualisation does not load breakpoints";
  // mov [rdi],eax; mov ebx,[rdi+8]; inc rcx; syscall
  guest().code({0x89, 0x07, 0x8B, 0x5F, 0x08, 0x48, 0xFF, 0xC1, 0x0F, 0x05});
  guest().context[Gpr::rdi] = kData;
  guest().context.debug = {kData, kData + 8, kCode + 5, 0, 0, 0};
  // 0: writes of 4 bytes; 1: reads and writes of 4; 2: execution
  guest().context.debug[5] = 0x15 | 0xDull << 16 | 0xFull << 20;
  expect_exception(guest().run(), Vector::debug, kCode + 2);
  EXPECT_EQ(guest().context.debug[4], 1u);
  expect_exception(guest().run(), Vector::debug, kCode + 5);
  EXPECT_EQ(guest().context.debug[4], 2u);
  expect_exception(guest().run(), Vector::debug, kCode + 5);  // before the instruction
  EXPECT_EQ(guest().context.debug[4], 4u);
  const u64 counted = guest().context[Gpr::rcx];
  guest().context.rflags |= kRflagsResume;
  EXPECT_EQ(guest().run().reason, ExitReason::system_call);
  EXPECT_EQ(guest().context[Gpr::rcx], guest().context.rip) << counted;
  // Another thread has none of them.
  guest().context.debug = {};
  run_to_system_call();
}

TEST_P(BackendContract, ABudgetEndsALoopThatDoesNotEnd) {
  guest().code({0x48, 0xFF, 0xC0, 0xEB, 0xFB});  // inc rax; jmp
  u64 last = 0;
  for (int n = 0; n < 20; ++n) {
    const Exit exit = guest().run(100'000);
    ASSERT_EQ(exit.reason, ExitReason::budget);
    EXPECT_EQ(exit.retired, 100'000u);
    EXPECT_GE(guest().context[Gpr::rax], last);
    last = guest().context[Gpr::rax];
  }
  EXPECT_GT(last, 0u);
}

TEST_P(BackendContract, AKickEndsTheRunAndIsNotLostBetweenRuns) {
  guest().code({0x48, 0xFF, 0xC0, 0xEB, 0xFB});
  guest().backend->kick(0);
  EXPECT_EQ(guest().run(1'000'000'000'000).reason, ExitReason::kicked);
  std::thread other([&] { guest().backend->kick(0); });
  Exit exit;
  do exit = guest().run(1'000'000'000'000);
  while (exit.reason == ExitReason::budget);
  other.join();
  EXPECT_EQ(exit.reason, ExitReason::kicked);
  EXPECT_EQ(guest().run(1000).reason, ExitReason::budget);
}

}  // namespace
}  // namespace vitrine::cpu::test
