// Runs guest code natively in this process, for comparison with the translator: same bytes, same addresses, same
// register state. However it ends, at its breakpoint or at a fault, the signal frame has the whole state.
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
  u64 entry = 0;
  std::array<u64, 5> padding{};
  alignas(64) std::array<u8, 512> fxsave{};
  std::array<std::array<u8, 32>, 16> ymm{};
  alignas(64) std::array<u8, 512> host_fxsave{};
};

// What ended the code: the vector, and where.
struct NativeEnd {
  u64 vector = 0;
  u64 error_code = 0;
  u64 fault_address = 0;
  u64 rip = 0;
  bool operator==(const NativeEnd&) const = default;
};

class NativeRunner {
 public:
  static constexpr u64 kCode = 0x2000'0000, kCodeBytes = 0x4000, kData = 0x2010'0000, kDataBytes = 0x8000;
  // For faults: a writable page, none, a read-only one, a writable one, none.
  static constexpr u64 kEdge = 0x2020'0000, kEdgeBytes = 0x5000, kEdgeReadOnly = kEdge + 0x2000;
  static constexpr u64 kGsBase = kData + 0x1000;

  NativeRunner();
  ~NativeRunner();
  NativeRunner(const NativeRunner&) = delete;
  NativeRunner& operator=(const NativeRunner&) = delete;
  // False: the host would not give the fixed addresses.
  [[nodiscard]] bool usable() const { return usable_; }
  [[nodiscard]] std::span<u8> data() { return {reinterpret_cast<u8*>(kData), kDataBytes}; }
  [[nodiscard]] static bool edge_present(u64 offset) { return offset / 0x1000 != 1 && offset / 0x1000 != 4; }
  // The whole edge; pages that are not there must not be touched, the read-only one never changes.
  [[nodiscard]] u8* edge() { return reinterpret_cast<u8*>(kEdge); }
  // Runs `code` at `at`, with a breakpoint after it, until the first exception.
  NativeEnd run(std::span<const u8> code, u64 at, NativeState& state);

 private:
  void build_trampoline();
  bool usable_ = false;
  void* trampoline_ = nullptr;
  void* signal_stack_ = nullptr;
};

}  // namespace vitrine::cpu::test
