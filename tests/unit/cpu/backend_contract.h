// What the tests of the contract share: a guest on each back end, and what to expect of its exits. Tests of the KVM
// back end skip where the host has none.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "emulated.h"
#include "guest_machine.h"

namespace vitrine::cpu::test {

class BackendContract : public ::testing::TestWithParam<BackendKind> {
 protected:
  void SetUp() override {
    if (!host_supports_translator()) GTEST_SKIP() << "the host lacks x86-64-v3";
    if (GetParam() == BackendKind::kvm) {
      if (const std::string problem = kvm_problem(); !problem.empty()) GTEST_SKIP() << problem;
    }
    guest_.emplace(GetParam());
  }
  [[nodiscard]] GuestMachine& guest() { return *guest_; }
  // True: this cannot be tested here, for the reason that the comment beside it gives.
  [[nodiscard]] bool emulated_kvm() const { return GetParam() == BackendKind::kvm && emulated(); }
  [[nodiscard]] bool counts() const { return GetParam() != BackendKind::kvm; }
  void expect_retired(const Exit& exit, u64 count) const {
    if (counts()) EXPECT_EQ(exit.retired, count);
  }
  void expect_exception(const Exit& exit, Vector vector, Va rip, u32 error_code = 0) {
    EXPECT_EQ(exit.reason, ExitReason::exception);
    EXPECT_EQ(exit.vector, vector);
    EXPECT_EQ(exit.error_code, error_code);
    EXPECT_EQ(guest().context.rip, rip);
  }
  // From kCode to the system call that ends the code.
  void run_to_system_call() {
    guest().context.rip = GuestMachine::kCode;
    const Exit exit = guest().run();
    EXPECT_EQ(exit.reason, ExitReason::system_call) << "vector " << static_cast<int>(exit.vector);
  }

 private:
  std::optional<GuestMachine> guest_;
};

}  // namespace vitrine::cpu::test
