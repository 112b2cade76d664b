// The CPUID that KVM is told of. A guest whose CPUID is trapped never sees it; it still decides what KVM allows.
#pragma once

#include "cpu/backend.h"
#include "cpu/kvm/device.h"

namespace vitrine::cpu::kvm {

// `supported`: what the host's KVM offers.
[[nodiscard]] CpuidTable make_cpuid_table(const Identity& identity, const CpuidTable& supported);

}  // namespace vitrine::cpu::kvm
