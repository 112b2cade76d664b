// Code that changes under the translator: written through another address, taken away, given back, cut off by the end
// of a page. What was translated before must never run again.
#include "translator_fixture.h"

namespace vitrine::cpu::test {
namespace {

class CodeChangeTest : public TranslatorTest {
 protected:
  static constexpr Va kNext = kCode + kPageSize;
  // jmp to the next page; there: inc rax; jmp back.
  void loop_over_two_pages() {
    guest.code({0xE9, 0xFB, 0x0F, 0x00, 0x00});
    guest.code({0x48, 0xFF, 0xC0, 0xE9, 0xF8, 0xEF, 0xFF, 0xFF}, kNext);
    EXPECT_EQ(guest.run(3000).reason, ExitReason::budget);
  }
};

TEST_F(CodeChangeTest, APageThatLosesExecutionFaultsAlthoughItIsTranslatedAndLinked) {
  loop_over_two_pages();
  guest.protect(kNext, pte::kNoExecute, 0);
  Exit exit = guest.run(3000);
  expect_exception(exit, Vector::page_fault, kNext, page_fault::kProtection | page_fault::kUser | page_fault::kFetch);
  EXPECT_EQ(exit.fault_address, kNext);
  guest.protect(kNext, 0, pte::kNoExecute);
  exit = guest.run(3000);
  EXPECT_EQ(exit.reason, ExitReason::budget);
  EXPECT_EQ(exit.retired, 3000u);
}

TEST_F(CodeChangeTest, APageThatGoesAwayFaultsAsNotPresent) {
  loop_over_two_pages();
  guest.protect(kNext, 0, pte::kPresent);
  expect_exception(guest.run(3000), Vector::page_fault, kNext, page_fault::kUser | page_fault::kFetch);
}

TEST_F(CodeChangeTest, CodeWrittenThroughAnotherMappingRunsAsWritten) {
  constexpr Va kAlias = 0x5000'0000;
  guest.tables.map(kAlias);
  *guest.tables.entry(kAlias, false) = pte::frame(*guest.tables.entry(kNext, false)).address() | pte::kPresent |
                                       pte::kWrite | pte::kUser | pte::kNoExecute;
  // call the next page; mov byte [rdi], 0xCB; call again; int3. There: inc eax; ret.
  guest.code({0xE8, 0xFB, 0x0F, 0x00, 0x00, 0xC6, 0x07, 0xCB, 0xE8, 0xF3, 0x0F, 0x00, 0x00, 0xCC});
  guest.code({0xFF, 0xC0, 0xC3}, kNext);
  guest.context[Gpr::rdi] = kAlias + 1;  // inc eax becomes dec ebx
  guest.context[Gpr::rbx] = 10;
  expect_exception(guest.run(), Vector::breakpoint, kCode + 14);
  EXPECT_EQ(guest.context[Gpr::rax], 1u);
  EXPECT_EQ(guest.context[Gpr::rbx], 9u);
}

TEST_F(CodeChangeTest, EachWriteOfGeneratedCodeTakesEffect) {
  // loop: mov [rdi], cl; call next page; dec ecx; jnz loop; int3. There: add eax, imm8 (written); ret.
  guest.code({0x88, 0x0F, 0xE8, 0xF9, 0x0F, 0x00, 0x00, 0xFF, 0xC9, 0x75, 0xF5, 0xCC});
  guest.code({0x83, 0xC0, 0x00, 0xC3}, kNext);
  guest.context[Gpr::rdi] = kNext + 2;
  guest.context[Gpr::rcx] = 100;
  expect_exception(guest.run(), Vector::breakpoint, kCode + 12);
  EXPECT_EQ(guest.context[Gpr::rax], 5050u);
}

TEST_F(CodeChangeTest, TheSecondHalfOfAnInstructionAcrossPagesMayFaultOrChange) {
  constexpr Va kAt = kNext - 2;  // mov eax, imm32 with its last three bytes on the next page
  guest.code({0xB8, 0x11, 0x22, 0x33, 0x44, 0xCC}, kAt);
  guest.context.rip = kAt;
  (void)guest.run();
  EXPECT_EQ(guest.context[Gpr::rax], 0x4433'2211u);
  guest.protect(kNext, pte::kNoExecute, 0);
  guest.context.rip = kAt;
  const Exit exit = guest.run();
  expect_exception(exit, Vector::page_fault, kAt, page_fault::kProtection | page_fault::kUser | page_fault::kFetch);
  EXPECT_EQ(exit.fault_address, kNext) << "the byte that cannot be fetched, not the instruction";
  guest.protect(kNext, 0, pte::kNoExecute);
  guest.code({0x66}, kNext);
  guest.context.rip = kAt;
  (void)guest.run();
  EXPECT_EQ(guest.context[Gpr::rax], 0x4433'6611u);
}

TEST_F(CodeChangeTest, AnInstructionThatEndsWithItsPageDoesNotNeedTheNext) {
  guest.code({0xFF, 0xC0}, kNext - 2);  // inc eax
  guest.protect(kNext, 0, pte::kPresent);
  guest.context.rip = kNext - 2;
  expect_exception(guest.run(), Vector::page_fault, kNext, page_fault::kUser | page_fault::kFetch);
  EXPECT_EQ(guest.context[Gpr::rax], 1u);
}

TEST_F(CodeChangeTest, AJumpOutOfTheCanonicalAddressesIsGeneralProtection) {
  guest.code({0xFF, 0xE0});  // jmp rax
  for (const Va target : {0x0000'8000'0000'0000ull, 0xFFFF'7FFF'FFFF'FFFFull, 0x1234'5678'9ABC'DEF0ull}) {
    guest.context.rip = kCode;
    guest.context[Gpr::rax] = target;
    const Exit exit = guest.run();
    EXPECT_EQ(exit.vector, Vector::general_protection);
    EXPECT_EQ(exit.error_code, 0u);
  }
}

}  // namespace
}  // namespace vitrine::cpu::test
