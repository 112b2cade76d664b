// Identity: what the virtual processor says of itself, the same on every host: an x86-64-v3 processor (up to AVX2, FMA, BMI2,
// AES, PCLMULQDQ, RDRAND; AVX-512 only on request, no TSX, no hypervisor leaf), its time stamp counter driven by the virtual clock, its
// random numbers by the seed. Owns the random streams; refuses nothing: an unknown leaf reads as the highest basic leaf
// does on Intel processors [SDM vol. 2A, CPUID].
//
// CPUID does not know which processor asks, so the APIC id reads 0 on all of them; Windows programs ask
// GetCurrentProcessorNumber.
#pragma once

#include <vector>

#include "cpu/backend.h"
#include "hal/machine.h"
#include "sim/random.h"

namespace vitrine::hal {

class Identity final : public cpu::Identity {
 public:
  // `instruction_picoseconds`: the profile's price of one instruction. The machine must outlive this.
  // `avx512`: an x86-64-v4 processor.
  Identity(const Machine& machine, u64 instruction_picoseconds, bool avx512 = false);

  [[nodiscard]] CpuidResult cpuid(u32 leaf, u32 subleaf) const override;
  [[nodiscard]] u64 time_stamp(u32 processor, u64 retired_in_run) override;
  [[nodiscard]] u64 random(u32 processor) override;

 private:
  const Machine& machine_;
  u64 instruction_picoseconds_;
  bool avx512_;
  std::vector<sim::Random> random_;  // one stream per processor
};

}  // namespace vitrine::hal
