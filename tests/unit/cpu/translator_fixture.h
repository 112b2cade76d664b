// The fixture of the translator's tests: a guest, and what to expect of its exits.
#pragma once

#include <gtest/gtest.h>

#include "guest_machine.h"

namespace vitrine::cpu::test {

inline constexpr Va kCode = GuestMachine::kCode, kData = GuestMachine::kData;
inline constexpr u64 kStatusFlags = 0x8D5;

// The program at the context's RIP makes a system call after `all` instructions, in whatever pieces it runs.
inline void expect_exact_budgets(GuestMachine& guest, u64 all) {
  const GuestContext start = guest.context;
  ASSERT_EQ(guest.run().retired, all);
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
    EXPECT_EQ(total, all);
    EXPECT_EQ(guest.context.gpr, end.gpr);
  }
}

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
