// InstanceCheck: runs one instance of a form natively and translated, whole and in single steps, and says what differs
// at its end, be that its breakpoint or a fault. With VITRINE_FUZZ_ORACLE=kvm a guest under KVM takes the place of the
// native run, with VITRINE_FUZZ_GUEST=kvm that of the translated one.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "form_instance.h"

namespace vitrine::cpu::test {

class InstanceCheck {
 public:
  InstanceCheck();
  // Empty, or why nothing can be checked here.
  [[nodiscard]] std::string problem() const;
  // Empty if all is well.
  [[nodiscard]] std::string check(const Instance& instance);
  // How many native runs ended by which vector.
  [[nodiscard]] const std::map<u64, u64>& ends() const { return ends_; }
  // What was let pass because all this runs in QEMU's emulation, and how often.
  [[nodiscard]] const std::map<std::string, u64>& tolerated() const { return tolerated_; }

 private:
  [[nodiscard]] Exit run_guest(GuestTwin& twin, u64 slice);
  void poke(Va at, std::vector<u8> code);
  [[nodiscard]] std::string compare(GuestTwin& twin, const Instance& instance, const NativeState& native,
                                    const NativeEnd& end, u64 slice);
  [[nodiscard]] NativeEnd run_oracle(const Instance& instance, NativeState& state);
  [[nodiscard]] std::string compare_all(const Instance& instance, const NativeState& native, const NativeEnd& end);
  [[nodiscard]] std::string compare_fault(const Exit& exit, const NativeEnd& end) const;
  [[nodiscard]] bool tolerates(const Instance& instance, const Exit& exit, const NativeEnd& end);

  NativeRunner native_;
  std::unique_ptr<GuestTwin> oracle_;  // null: the host is the oracle
  std::string problem_;
  std::unique_ptr<GuestTwin> twin_;
  std::unique_ptr<GuestTwin> hot_;  // null: not compared
  bool single_steps_ = true;
  std::map<u64, u64> ends_;
  bool emulated_ = false;
  std::map<std::string, u64> tolerated_;
};

}  // namespace vitrine::cpu::test
