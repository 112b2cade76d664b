// Blocks of hot code that go on at conditional jumps, and what becomes of those that took the wrong way.
#include <cstring>

#include "translator_fixture.h"

namespace vitrine::cpu::test {
namespace {

// The parameter: so many NOPs in front, which decide whether a block goes on behind the jumps of the code or at their
// targets (HotPages::follow_half).
class LongBlocks : public ::testing::TestWithParam<u64> {
 protected:
  void SetUp() override {
    if (!host_supports_translator()) GTEST_SKIP() << "the host lacks x86-64-v3";
  }
  void code(std::vector<u8> bytes) {
    bytes.insert(bytes.begin(), GetParam(), 0x90);
    guest_.poke(kCode, bytes);
  }
  // mov ecx,`rounds`; L: add rax,rcx; test ecx,`mask`; jz over; add rbx,1; over: dec ecx; jnz L; syscall
  void counting(u32 rounds, u32 mask) {
    std::vector<u8> bytes{0xB9, 0, 0, 0, 0, 0x48, 0x01, 0xC8, 0xF7, 0xC1, 0, 0, 0, 0, 0x74, 0x04,
                          0x48, 0x83, 0xC3, 0x01, 0xFF, 0xC9, 0x75, 0xED, 0x0F, 0x05};
    std::memcpy(bytes.data() + 1, &rounds, sizeof rounds);
    std::memcpy(bytes.data() + 10, &mask, sizeof mask);
    code(bytes);
  }
  Exit run_from_start(u64 budget) {
    guest_.context.rip = kCode;
    return guest_.run(budget);
  }
  u64 turned() { return guest_.cpu->statistics().turned; }
  GuestMachine guest_{BackendKind::hot_translator};
};

TEST_P(LongBlocks, EveryBudgetStopsAfterExactlySoManyInstructions) {
  counting(100, 1);
  expect_exact_budgets(guest_, GetParam() + 1 + 100 * 5 + 50 + 1);
}

TEST_P(LongBlocks, EndWhereBothWaysAreOftenTaken) {
  counting(100'000, 1);
  EXPECT_EQ(run_from_start(10'000'000).retired, GetParam() + 1 + 100'000 * 5 + 50'000 + 1);
  EXPECT_GE(turned(), GetParam() == 0 ? 1u : 0u) << "at the targets, the loop comes to blocks that end there anyway";
  EXPECT_LE(turned(), 4u) << "two jumps, two ways each";
  const TranslatorStatistics before = guest_.cpu->statistics();
  EXPECT_EQ(run_from_start(10'000'000).reason, ExitReason::system_call);
  EXPECT_EQ(turned(), before.turned);
  EXPECT_LT(guest_.cpu->statistics().dispatches - before.dispatches, 20u);
}

TEST_P(LongBlocks, KeepAWayThatIsSeldomLeft) {
  counting(1'000'000, 0xFFFF);
  EXPECT_EQ(run_from_start(10'000'000).reason, ExitReason::system_call);
  const u64 before = turned();
  for (int n = 0; n < 20; ++n) EXPECT_EQ(run_from_start(10'000'000).reason, ExitReason::system_call);
  EXPECT_EQ(turned(), before) << "left 300 times";
}

TEST_P(LongBlocks, AFaultBehindAJumpBackIsAtItsInstruction) {
  // jmp B; A: mov rax,[rdi]; B: jmp A
  code({0xEB, 0x03, 0x48, 0x8B, 0x07, 0xEB, 0xFB});
  guest_.context[Gpr::rdi] = 0x1234;
  const Exit exit = guest_.run();
  EXPECT_EQ(exit.reason, ExitReason::exception);
  EXPECT_EQ(exit.vector, Vector::page_fault);
  EXPECT_EQ(exit.retired, GetParam() + 2);
  EXPECT_EQ(guest_.context.rip, kCode + GetParam() + 2);
}

TEST_P(LongBlocks, FlagsAreTrueOnEitherWay) {
  // mov eax,`n`; cmp eax,1; jb over; mov rbx,[rdi]; over: lahf; syscall
  for (const u8 n : {0, 1, 2}) {
    code({0xB8, n, 0, 0, 0, 0x83, 0xF8, 0x01, 0x72, 0x03, 0x48, 0x8B, 0x1F, 0x9F, 0x0F, 0x05});
    guest_.context[Gpr::rdi] = kData;
    EXPECT_EQ(run_from_start(1000).reason, ExitReason::system_call);
    const u64 flags = guest_.context[Gpr::rax] >> 8 & 0xFF;
    EXPECT_EQ((flags & 1) != 0, n < 1) << "CF";
    EXPECT_EQ((flags & 0x40) != 0, n == 1) << "ZF";
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, LongBlocks, ::testing::Values(0, 1));

}  // namespace
}  // namespace vitrine::cpu::test
