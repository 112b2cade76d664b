// The fixture of the translator's tests: a guest, and what to expect of its exits.
#pragma once

#include <gtest/gtest.h>

#include "guest_machine.h"

namespace vitrine::cpu::test {

inline constexpr Va kCode = GuestMachine::kCode, kData = GuestMachine::kData;
inline constexpr u64 kStatusFlags = 0x8D5;

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

}  // namespace vitrine::cpu::test
