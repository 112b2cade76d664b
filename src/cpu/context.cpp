#include "cpu/context.h"

#include <cstring>

namespace vitrine::cpu {
namespace {
// Offsets in the FXSAVE image (SDM vol. 1 table 10-2) and in the XSAVE header.
constexpr std::size_t kFcw = 0, kMxcsr = 24, kMxcsrMask = 28, kXstateBv = 512;
constexpr u32 kMxcsrDefined = 0xFFFF;
constexpr u64 kStateComponents = 7;  // x87, SSE, AVX: always all three in the image
}  // namespace

GuestContext::GuestContext() {
  set_fpcw(kFpcwWindows);
  set_mxcsr(kMxcsrReset);
  std::memcpy(xsave.data() + kMxcsrMask, &kMxcsrDefined, sizeof kMxcsrDefined);
  std::memcpy(xsave.data() + kXstateBv, &kStateComponents, sizeof kStateComponents);
}

u32 GuestContext::mxcsr() const {
  u32 value;
  std::memcpy(&value, xsave.data() + kMxcsr, sizeof value);
  return value;
}

void GuestContext::set_mxcsr(u32 value) {
  value &= kMxcsrDefined;
  std::memcpy(xsave.data() + kMxcsr, &value, sizeof value);
}

u16 GuestContext::fpcw() const {
  u16 value;
  std::memcpy(&value, xsave.data() + kFcw, sizeof value);
  return value;
}

void GuestContext::set_fpcw(u16 value) { std::memcpy(xsave.data() + kFcw, &value, sizeof value); }

}  // namespace vitrine::cpu
