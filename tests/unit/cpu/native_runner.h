// Runs guest code natively in this process, for comparison with the translator: same bytes, same addresses, same
// register state. The code must not fault, and must end at its last byte.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "base/types.h"

namespace vitrine::cpu::test {

struct alignas(64) NativeState {
  std::array<u64, 16> gpr{};
  u64 rflags = 0;
  u64 host_rsp = 0;
  std::array<u64, 6> padding{};
  alignas(64) std::array<u8, 512> fxsave{};
  std::array<std::array<u8, 32>, 16> ymm{};
  alignas(64) std::array<u8, 512> host_fxsave{};
  std::array<u8, 256> stack{};  // for the flags
};

class NativeRunner {
 public:
  static constexpr u64 kCode = 0x2000'0000, kCodeBytes = 0x4000, kData = 0x2010'0000, kDataBytes = 0x8000;

  NativeRunner();
  ~NativeRunner();
  // False: the host would not give the fixed addresses.
  [[nodiscard]] bool usable() const { return usable_; }
  [[nodiscard]] std::span<u8> data() { return {reinterpret_cast<u8*>(kData), kDataBytes}; }
  void run(std::span<const u8> code, u64 at, NativeState& state);

 private:
  void build_trampoline(NativeState& state);
  bool usable_ = false;
  void* trampoline_ = nullptr;
};

}  // namespace vitrine::cpu::test
