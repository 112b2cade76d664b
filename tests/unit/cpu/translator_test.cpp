#include "guest_machine.h"

namespace vitrine::cpu::test {
namespace {

class TranslatorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!host_supports_translator()) GTEST_SKIP() << "the host lacks x86-64-v3";
  }
  GuestMachine guest;
};

TEST_F(TranslatorTest, RunsToASystemCallAndReportsItsRegisters) {
  guest.code({0xB8, 0x34, 0x12, 0, 0, 0x48, 0x83, 0xC0, 0x01, 0x0F, 0x05});  // mov eax,0x1234; add rax,1; syscall
  const Exit exit = guest.run();
  EXPECT_EQ(exit.reason, ExitReason::system_call);
  EXPECT_EQ(exit.retired, 3u);
  EXPECT_EQ(guest.context[Gpr::rax], 0x1235u);
  EXPECT_EQ(guest.context.rip, GuestMachine::kCode + 11);
  EXPECT_EQ(guest.context[Gpr::rcx], guest.context.rip);
  EXPECT_EQ(guest.context[Gpr::r11], guest.context.rflags);
}

TEST_F(TranslatorTest, LoopsWithExactCounting) {
  // mov ecx,1000; L: add rax,rcx; dec ecx; jnz L; syscall
  guest.code({0xB9, 0xE8, 0x03, 0, 0, 0x48, 0x01, 0xC8, 0xFF, 0xC9, 0x75, 0xF9, 0x0F, 0x05});
  const Exit exit = guest.run();
  EXPECT_EQ(exit.reason, ExitReason::system_call);
  EXPECT_EQ(exit.retired, 1u + 3000 + 1);
  EXPECT_EQ(guest.context[Gpr::rax], 500500u);
}

}  // namespace
}  // namespace vitrine::cpu::test
