// Is this KVM inside QEMU's emulation (tools/kvm-in-qemu), whose processor differs from real ones in a few ways?
#pragma once

#include <cpuid.h>

#include "base/types.h"

namespace vitrine::cpu::test {

inline bool emulated() {
  u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
  __cpuid(0x4000'0000, eax, ebx, ecx, edx);
  return ebx == 0x5447'4354;  // "TCGT"
}

}  // namespace vitrine::cpu::test
