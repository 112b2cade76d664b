// One test per mechanism of the translator. The differential test covers the breadth of the instruction set.
#include <cstring>

#include "guest_machine.h"

namespace vitrine::cpu::test {
namespace {

constexpr Va kCode = GuestMachine::kCode, kData = GuestMachine::kData;
constexpr u64 kStatusFlags = 0x8D5;

class TranslatorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!host_supports_translator()) GTEST_SKIP() << "the host lacks x86-64-v3";
  }
  void expect_exception(const Exit& exit, Vector vector, Va rip, u32 error_code = 0) {
    EXPECT_EQ(exit.reason, ExitReason::exception);
    EXPECT_EQ(exit.vector, vector);
    EXPECT_EQ(exit.error_code, error_code);
    EXPECT_EQ(guest.context.rip, rip);
  }
  GuestMachine guest;
};

TEST_F(TranslatorTest, RunsToASystemCallAndReportsItsRegisters) {
  guest.code({0xB8, 0x34, 0x12, 0, 0, 0x48, 0x83, 0xC0, 0x01, 0x0F, 0x05});  // mov eax,0x1234; add rax,1; syscall
  const Exit exit = guest.run();
  EXPECT_EQ(exit.reason, ExitReason::system_call);
  EXPECT_EQ(exit.retired, 3u);
  EXPECT_EQ(guest.context[Gpr::rax], 0x1235u);
  EXPECT_EQ(guest.context.rip, kCode + 11);
  EXPECT_EQ(guest.context[Gpr::rcx], guest.context.rip);
  EXPECT_EQ(guest.context[Gpr::r11], guest.context.rflags);
}

TEST_F(TranslatorTest, EveryBudgetStopsAfterExactlySoManyInstructions) {
  // mov ecx,100; L: add rax,rcx; push rax; pop rbx; dec ecx; jnz L; syscall
  guest.code({0xB9, 100, 0, 0, 0, 0x48, 0x01, 0xC8, 0x50, 0x5B, 0xFF, 0xC9, 0x75, 0xF7, 0x0F, 0x05});
  const GuestContext start = guest.context;
  ASSERT_EQ(guest.run().retired, 502u);
  const GuestContext end = guest.context;
  for (u64 slice = 1; slice < 300; ++slice) {
    guest.context = start;
    u64 total = 0;
    for (Exit exit = guest.run(slice);; exit = guest.run(slice)) {
      total += exit.retired;
      if (exit.reason == ExitReason::system_call) break;
      ASSERT_EQ(exit.reason, ExitReason::budget);
      ASSERT_EQ(exit.retired, slice);
    }
    EXPECT_EQ(total, 502u);
    EXPECT_EQ(guest.context.gpr, end.gpr);
  }
}

TEST_F(TranslatorTest, LinkedBlocksDoNotReturnToTheDispatcher) {
  guest.code({0xB9, 0x40, 0x42, 0x0F, 0, 0xFF, 0xC9, 0x75, 0xFC, 0x0F, 0x05});  // mov ecx,1000000; L: dec ecx; jnz L; syscall
  EXPECT_EQ(guest.run(10'000'000).retired, 2'000'002u);
  EXPECT_LT(guest.cpu->statistics().dispatches, 20u);
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

TEST_F(TranslatorTest, APageFaultLeavesEverythingAsBeforeTheInstruction) {
  // mov eax,5; cmp eax,6 (CF, SF); mov [rdi],rax
  guest.code({0xB8, 5, 0, 0, 0, 0x83, 0xF8, 6, 0x48, 0x89, 0x07, 0x0F, 0x05});
  guest.context[Gpr::rdi] = 0x5000'0123;
  const Exit exit = guest.run();
  expect_exception(exit, Vector::page_fault, kCode + 8, page_fault::kUser | page_fault::kWrite);
  EXPECT_EQ(exit.fault_address, 0x5000'0123u);
  EXPECT_EQ(exit.retired, 2u);
  EXPECT_EQ(guest.context.rflags & kStatusFlags, 0x95u);  // CF PF AF SF of 5 - 6
  guest.tables.map(0x5000'0000);
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.peek(0x5000'0123), 5u);
}

TEST_F(TranslatorTest, FlagsThatNobodyReadsAreStillTrueAtAFault) {
  // add al,1 (its flags are overwritten by the next add); mov rbx,[rdi]; add eax,1
  guest.code({0x04, 1, 0x48, 0x8B, 0x1F, 0x83, 0xC0, 1, 0x0F, 0x05});
  guest.context[Gpr::rax] = 0x7F;
  guest.context[Gpr::rdi] = 0x6000'0000;
  expect_exception(guest.run(), Vector::page_fault, kCode + 2, page_fault::kUser);
  EXPECT_EQ(guest.context.rflags & kStatusFlags, 0x890u);  // OF SF AF of 0x7F + 1
}

TEST_F(TranslatorTest, WriteProtectionAndSupervisorPagesFaultWithTheProtectionBit) {
  guest.protect(kData, 0, pte::kWrite);
  guest.code({0x48, 0x8B, 0x07, 0x48, 0xFF, 0x07, 0x0F, 0x05});  // mov rax,[rdi]; inc qword [rdi]
  guest.context[Gpr::rdi] = kData;
  expect_exception(guest.run(), Vector::page_fault, kCode + 3, page_fault::kProtection | page_fault::kUser | page_fault::kWrite);
  guest.protect(kData, pte::kWrite, pte::kUser);
  expect_exception(guest.run(), Vector::page_fault, kCode + 3, page_fault::kProtection | page_fault::kUser | page_fault::kWrite);
  guest.protect(kData, pte::kUser, 0);
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
}

TEST_F(TranslatorTest, ExecutingDataFaultsAsAFetch) {
  guest.code({0xFF, 0xE0});  // jmp rax
  guest.context[Gpr::rax] = kData + 0x10;
  const Exit exit = guest.run();
  expect_exception(exit, Vector::page_fault, kData + 0x10, page_fault::kProtection | page_fault::kUser | page_fault::kFetch);
  EXPECT_EQ(exit.fault_address, kData + 0x10);
}

TEST_F(TranslatorTest, NonCanonicalAddressesAreGeneralProtectionOrStackFaults) {
  guest.code({0x48, 0x8B, 0x07});  // mov rax,[rdi]
  guest.context[Gpr::rdi] = 0x8000'0000'0000'0000;
  expect_exception(guest.run(), Vector::general_protection, kCode);
  guest.context[Gpr::rdi] = 0x0000'8000'0000'0000;
  expect_exception(guest.run(), Vector::general_protection, kCode);
  guest.context[Gpr::rdi] = 0xFFFF'8000'0000'0000;  // the kernel's half is canonical, but not ours
  expect_exception(guest.run(), Vector::page_fault, kCode, page_fault::kUser);
  guest.code({0x50});  // push rax
  guest.context[Gpr::rsp] = 0x4000'0000'0000'0000;
  expect_exception(guest.run(), Vector::stack_fault, kCode);
  EXPECT_EQ(guest.context[Gpr::rsp], 0x4000'0000'0000'0000u);
}

TEST_F(TranslatorTest, AnAccessAcrossPagesReachesBothFrames) {
  guest.code({0x48, 0x89, 0x07, 0x48, 0x8B, 0x1F, 0xF0, 0x48, 0x0F, 0xC1, 0x17, 0x0F, 0x05});  // mov [rdi],rax; mov rbx,[rdi]; lock xadd [rdi],rdx
  guest.context[Gpr::rdi] = kData + 0xFFD;
  guest.context[Gpr::rax] = 0x1122'3344'5566'7788;
  guest.context[Gpr::rdx] = 1;
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.context[Gpr::rbx], 0x1122'3344'5566'7788u);
  EXPECT_EQ(guest.context[Gpr::rdx], 0x1122'3344'5566'7788u);
  EXPECT_EQ(guest.peek(kData + 0xFFD), 0x1122'3344'5566'7789u);
}

TEST_F(TranslatorTest, AnAccessAcrossPagesFaultsOnTheSecondBeforeItTouchesTheFirst) {
  guest.code({0x48, 0x89, 0x07});
  const Va last = kData + GuestMachine::kDataPages * kPageSize;
  guest.context[Gpr::rdi] = last - 3;
  guest.context[Gpr::rax] = ~0ull;
  const Exit exit = guest.run();
  expect_exception(exit, Vector::page_fault, kCode, page_fault::kUser | page_fault::kWrite);
  EXPECT_EQ(exit.fault_address, last);
  EXPECT_EQ(guest.peek(last - 3, 3), 0u);
}

TEST_F(TranslatorTest, MisalignedVectorAccessesAreGeneralProtectionWhereTheInstructionSaysSo) {
  guest.code({0x0F, 0x28, 0x07});  // movaps xmm0,[rdi]
  guest.context[Gpr::rdi] = kData + 8;
  expect_exception(guest.run(), Vector::general_protection, kCode);
  guest.code({0x0F, 0x10, 0x07, 0xC5, 0xF8, 0x58, 0x0F, 0x0F, 0x05});  // movups; vaddps xmm1,xmm0,[rdi]
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
}

TEST_F(TranslatorTest, AccessedAndDirtyBitsAreSetAsTheHardwareSetsThem) {
  const auto bits = [&] { return *guest.tables.entry(kData, false) & (pte::kAccessed | pte::kDirty); };
  guest.code({0x8A, 0x07, 0x0F, 0x05});  // mov al,[rdi]
  guest.context[Gpr::rdi] = kData;
  EXPECT_EQ(bits(), 0u);
  guest.run();
  EXPECT_EQ(bits(), pte::kAccessed);
  guest.code({0x88, 0x07, 0x0F, 0x05});
  guest.context.rip = kCode;
  guest.run();
  EXPECT_EQ(bits(), pte::kAccessed | pte::kDirty);
  guest.protect(kData, 0, pte::kDirty);  // the kernel clears it and commits: the next write sets it again
  guest.context.rip = kCode;
  guest.run();
  EXPECT_EQ(bits(), pte::kAccessed | pte::kDirty);
}

TEST_F(TranslatorTest, ACommittedRemapIsSeenByTheNextRun) {
  guest.code({0x48, 0x8B, 0x07, 0x0F, 0x05});
  guest.context[Gpr::rdi] = kData;
  guest.store(kData, 1);
  guest.run();
  EXPECT_EQ(guest.context[Gpr::rax], 1u);
  const Pfn other = guest.tables.allocate();
  u64* entry = guest.tables.entry(kData, false);
  const PteEdit edit{nullptr, kData, *entry, (*entry & ~pte::kFrameMask) | other.address()};
  *entry = edit.new_entry;
  guest.store(kData, 2);
  guest.cpu->commit({&edit, 1});
  guest.context.rip = kCode;
  guest.run();
  EXPECT_EQ(guest.context[Gpr::rax], 2u);
}

TEST_F(TranslatorTest, ALargePageIsWalked) {
  const Va va = 0x4000'0000;
  (void)guest.tables.entry(va, true);
  Pfn table = guest.tables.root();
  for (int shift = 39; shift > 21; shift -= 9) table = pte::frame(reinterpret_cast<u64*>(guest.ram.page(table))[(va >> shift) & 511]);
  reinterpret_cast<u64*>(guest.ram.page(table))[(va >> 21) & 511] = (32ull << 20) | pte::kPresent | pte::kUser | pte::kWrite | pte::kLarge;
  guest.code({0x48, 0x89, 0x07, 0x0F, 0x05});
  guest.context[Gpr::rdi] = va + 0x12'3458;
  guest.context[Gpr::rax] = 77;
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(*reinterpret_cast<u64*>(guest.ram.base() + (32ull << 20) + 0x12'3458), 77u);
}

TEST_F(TranslatorTest, CodeThatTheKernelRewritesIsTranslatedAgain) {
  guest.code({0xB8, 1, 0, 0, 0, 0x0F, 0x05});
  guest.run();
  EXPECT_EQ(guest.context[Gpr::rax], 1u);
  guest.code({0xB8, 2, 0, 0, 0, 0x0F, 0x05});
  guest.context.rip = kCode;
  guest.run();
  EXPECT_EQ(guest.context[Gpr::rax], 2u);
}

TEST_F(TranslatorTest, ABlockThatRewritesItselfRunsItsNewCode) {
  // mov byte [rip+1],0x2A (the immediate of the next instruction); mov al,1; syscall
  guest.code({0xC6, 0x05, 0x01, 0, 0, 0, 0x2A, 0xB0, 0x01, 0x0F, 0x05});
  for (int n = 0; n < 3; ++n) {
    guest.code({0xC6, 0x05, 0x01, 0, 0, 0, 0x2A, 0xB0, 0x01, 0x0F, 0x05});
    guest.context.rip = kCode;
    const Exit exit = guest.run();
    EXPECT_EQ(exit.reason, ExitReason::system_call);
    EXPECT_EQ(exit.retired, 3u);
    EXPECT_EQ(guest.context[Gpr::rax] & 0xFF, 0x2Au);
  }
}

TEST_F(TranslatorTest, AStringInstructionThatRewritesCodeTakesEffect) {
  // mov edi,target; mov al,0x90; mov ecx,2; rep stosb; target: ud2 (becomes nop nop); syscall
  guest.code({0x48, 0x8D, 0x3D, 9, 0, 0, 0, 0xB0, 0x90, 0xB9, 2, 0, 0, 0, 0xF3, 0xAA, 0x0F, 0x0B, 0x0F, 0x05});
  guest.code({0x48, 0x8D, 0x3D, 9, 0, 0, 0, 0xB0, 0x90, 0xB9, 2, 0, 0, 0, 0xF3, 0xAA, 0x0F, 0x0B, 0x0F, 0x05});
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
}

TEST_F(TranslatorTest, AnInstructionAcrossPagesFetchesBoth) {
  const Va at = kCode + 0x1000 - 3;
  guest.code({0x48, 0xB8, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x0F, 0x05}, at);  // mov rax,imm64; syscall
  guest.context.rip = at;
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.context[Gpr::rax], 0x1122'3344'5566'7788u);
  guest.protect(kCode + 0x1000, pte::kNoExecute, 0);
  guest.context.rip = at;
  const Exit exit = guest.run();
  expect_exception(exit, Vector::page_fault, at, page_fault::kProtection | page_fault::kUser | page_fault::kFetch);
  EXPECT_EQ(exit.fault_address, kCode + 0x1000);
}

TEST_F(TranslatorTest, TwoSpacesWithOtherPagesAtTheSameAddressDoNotShareJumps) {
  // page 0 (shared): jmp page 1. Page 1 differs between the spaces.
  guest.code({0xE9, 0xFB, 0x0F, 0, 0});
  guest.code({0xB8, 1, 0, 0, 0, 0x0F, 0x05}, kCode + 0x1000);
  guest.run();
  EXPECT_EQ(guest.context[Gpr::rax], 1u);
  PageTables other_tables(guest.ram, 4096);
  *other_tables.entry(kCode, true) = *guest.tables.entry(kCode, false);
  const auto space = guest.cpu->create_space(other_tables.root());
  GuestContext context;
  context.rip = kCode;
  const Exit missing = guest.cpu->run(1, *space, context, 100);
  EXPECT_EQ(missing.reason, ExitReason::exception);
  EXPECT_EQ(missing.fault_address, kCode + 0x1000);
  const Pfn page = other_tables.map(kCode + 0x1000);
  constexpr u8 kOther[] = {0xB8, 2, 0, 0, 0, 0x0F, 0x05};
  std::memcpy(guest.ram.page(page), kOther, sizeof kOther);
  EXPECT_EQ(guest.cpu->run(1, *space, context, 100).reason, ExitReason::system_call);
  EXPECT_EQ(context[Gpr::rax], 2u);
}

TEST_F(TranslatorTest, AFullCodeCacheIsEmptiedAndTheProgramGoesOn) {
  GuestMachine small({.code_cache_bytes = 1u << 20});
  // 4,000 blocks of `jmp +0` would not fit together with their variants: run them from every offset.
  std::vector<u8> code(3 * kPageSize, 0x90);
  for (std::size_t n = 0; n + 8 < code.size(); n += 5) {
    code[n] = 0x48, code[n + 1] = 0x8B, code[n + 2] = 0x07, code[n + 3] = 0xEB, code[n + 4] = 0x00;  // mov rax,[rdi]; jmp next
  }
  code[code.size() - 2] = 0x0F;
  code[code.size() - 1] = 0x05;
  small.poke(kCode, std::span(code).first(kPageSize));
  for (u64 page = 1; page < 3; ++page) small.poke(kCode + page * kPageSize, std::span(code).subspan(page * kPageSize, kPageSize));
  small.context[Gpr::rdi] = kData;
  const GuestContext start = small.context;
  for (const u64 slice : {1'000'000ull, 3ull, 7ull, 17ull, 33ull}) {
    small.context = start;
    Exit exit = small.run(slice);
    while (exit.reason == ExitReason::budget) exit = small.run(slice);
    EXPECT_EQ(exit.reason, ExitReason::system_call);
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

TEST_F(TranslatorTest, ARepeatedStringFaultsAtTheIterationThatFails) {
  guest.code({0xF3, 0xA4, 0x0F, 0x05});  // rep movsb
  const Va end = kData + GuestMachine::kDataPages * kPageSize;
  guest.context[Gpr::rsi] = kData;
  guest.context[Gpr::rdi] = end - 100;
  guest.context[Gpr::rcx] = 300;
  const Exit exit = guest.run();
  expect_exception(exit, Vector::page_fault, kCode, page_fault::kUser | page_fault::kWrite);
  EXPECT_EQ(exit.fault_address, end);
  EXPECT_EQ(exit.retired, 100u);
  EXPECT_EQ(guest.context[Gpr::rcx], 200u);
  EXPECT_EQ(guest.context[Gpr::rsi], kData + 100);
  EXPECT_EQ(guest.context[Gpr::rdi], end);
}

TEST_F(TranslatorTest, AScanStopsAtTheFirstMatch) {
  guest.code({0xF2, 0xAE, 0x0F, 0x05});  // repne scasb
  guest.store(kData + 37, 0x55, 1);
  guest.context[Gpr::rdi] = kData;
  guest.context[Gpr::rcx] = 100;
  guest.context[Gpr::rax] = 0x55;
  EXPECT_EQ(guest.run().retired, 39u);
  EXPECT_EQ(guest.context[Gpr::rdi], kData + 38);
  EXPECT_EQ(guest.context.rflags & 0x40, 0x40u);
}

TEST_F(TranslatorTest, DivideErrorsArePreciseAndEdgeQuotientsFit) {
  guest.code({0x48, 0xF7, 0xF9, 0x0F, 0x05});  // idiv rcx
  guest.context[Gpr::rcx] = 0;
  expect_exception(guest.run(), Vector::divide_error, kCode);
  guest.context[Gpr::rax] = 1ull << 63;
  guest.context[Gpr::rdx] = ~0ull;
  guest.context[Gpr::rcx] = ~0ull;  // -2^63 / -1
  expect_exception(guest.run(), Vector::divide_error, kCode);
  EXPECT_EQ(guest.context[Gpr::rdx], ~0ull);
  guest.context[Gpr::rcx] = 1;
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.context[Gpr::rax], 1ull << 63);
  guest.code({0xF7, 0xF1, 0xF6, 0xF5, 0x66, 0xF7, 0xF9, 0x0F, 0x05});  // div ecx; div ch; idiv cx
  guest.context.rip = kCode;
  guest.context[Gpr::rdx] = 5;
  guest.context[Gpr::rcx] = 5;
  expect_exception(guest.run(), Vector::divide_error, kCode);
  guest.context[Gpr::rdx] = 4;
  guest.context[Gpr::rax] = 0xFFFF'FFFF;
  guest.context[Gpr::rcx] = 5;
  expect_exception(guest.run(), Vector::divide_error, kCode + 2);  // CH is 0
  EXPECT_EQ(guest.context[Gpr::rax], 0xFFFF'FFFFu);
}

TEST_F(TranslatorTest, SegmentOverridesAddTheBasesOfTheContext) {
  guest.code({0x65, 0x48, 0x8B, 0x04, 0x25, 0x30, 0, 0, 0, 0x64, 0x48, 0x8B, 0x1C, 0x0E, 0x0F, 0x05});  // mov rax,gs:[0x30]; mov rbx,fs:[rsi+rcx]
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

  guest.code({0x8A, 0x26, 0x00, 0x2F, 0x0F, 0xB6, 0xE4, 0x88, 0xE7, 0x0F, 0x05});  // mov ah,[rsi]; add [rdi],ch; movzx esp,ah; mov bh,ah
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
  guest.code({0x9C, 0x48, 0x81, 0x0C, 0x24, 0, 1, 0, 0, 0x9D, 0x90, 0x90});  // pushf; or qword [rsp],0x100; popf; nop; nop
  const Exit exit = guest.run();
  expect_exception(exit, Vector::debug, kCode + 11);
  EXPECT_EQ(exit.retired, 4u);
}

TEST_F(TranslatorTest, PushfShowsTrueFlagsAndPopfMasksTheRest) {
  guest.code({0x83, 0xF8, 0, 0xFD, 0x9C, 0x58, 0x68, 0xFF, 0xFF, 0x3F, 0x7F, 0x9D, 0x9C, 0x5B, 0x0F, 0x05});  // cmp eax,0; std; pushf; pop rax; push 0x7F3FFFFF; popf; ...
  Exit exit = guest.run();
  EXPECT_EQ(guest.context[Gpr::rax], 0x646u);
  while (exit.reason == ExitReason::exception && exit.vector == Vector::debug) {  // TF is among the bits
    guest.context.rflags &= ~0x100ull;
    exit = guest.run();
  }
  EXPECT_EQ(exit.reason, ExitReason::system_call);
  EXPECT_EQ(guest.context[Gpr::rbx] & ~0x100ull, (kUserRflagsMask & ~0x100ull) | kRflagsFixed);
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
  guest.code({0x0F, 0xA2, 0x89, 0xC6, 0x0F, 0x31, 0x0F, 0xC7, 0xF7, 0x0F, 0x05});  // cpuid; mov esi,eax; rdtsc; rdrand edi
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
  guest.code({0xC5, 0xFD, 0x6F, 0x07, 0xC5, 0xFD, 0xFE, 0xC8, 0x0F, 0x05});  // vmovdqa ymm0,[rdi]; vpaddd ymm1,ymm0,ymm0
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
  guest.context.set_mxcsr(kMxcsrReset & ~(1u << 9));           // ZM
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

TEST_F(TranslatorTest, X87StateShowsGuestAddresses) {
  guest.code({0xD9, 0xE8, 0xDD, 0x17, 0xD9, 0x77, 0x10, 0x0F, 0xAE, 0x46, 0x40, 0x0F, 0x05});  // fld1; fst qword [rdi]; fnstenv [rdi+16]; fxsave [rsi+64]
  guest.context[Gpr::rdi] = kData;
  guest.context[Gpr::rsi] = kData + 0x100;
  EXPECT_EQ(guest.run().reason, ExitReason::system_call);
  EXPECT_EQ(guest.peek(kData), 0x3FF0'0000'0000'0000u);
  EXPECT_EQ(guest.peek(kData + 16 + 12, 4), static_cast<u32>(kCode + 2));
  EXPECT_EQ(guest.peek(kData + 16 + 20, 4), kData);
  EXPECT_EQ(guest.peek(kData + 0x140 + 16, 4), kData);
}

TEST_F(TranslatorTest, ReciprocalEstimatesAreTheSameOnEveryHost) {
  guest.code({0x0F, 0x53, 0xC1, 0x0F, 0x52, 0xD1, 0x0F, 0x05});  // rcpps xmm0,xmm1; rsqrtps xmm2,xmm1
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
