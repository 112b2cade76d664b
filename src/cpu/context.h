// GuestContext: every register that a guest thread can see, as plain data. It travels with each run: a back end loads
// it on entry and stores it on exit, so between runs it is the whole truth, and switching threads is handing over
// another one. FP and vector state is the hardware's XSAVE image (standard format), which CONTEXT.FltSave copies bit
// for bit.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "base/types.h"

namespace vitrine::cpu {

enum class Gpr : u8 { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 };

inline constexpr u64 kUserRflagsMask = 0x0004'0DD5;  // CF PF AF ZF SF TF DF OF AC: what user mode may set (no IF, IOPL)
inline constexpr u64 kRflagsFixed = 0x202;           // bit 1 always, IF on
inline constexpr u32 kMxcsrReset = 0x1F80;
inline constexpr u16 kFpcwWindows = 0x027F;  // NT: 53-bit precision, all masked [seen in Wine 8.0's user mode]

struct alignas(64) GuestContext {
  std::array<u64, 16> gpr{};  // indexed by Gpr
  u64 rip = 0;
  u64 rflags = kRflagsFixed;
  u64 fs_base = 0;
  u64 gs_base = 0;
  std::array<u64, 6> debug{};  // DR0-DR3, DR6, DR7
  // 0..511 FXSAVE image (x87, MXCSR at 24, XMM at 160); 512..575 XSAVE header; 576..831 upper halves of YMM0-15.
  alignas(64) std::array<std::byte, 832> xsave{};
  // What AVX-512 adds, once the thread has run where it is on request: K0-K7, upper halves of ZMM0-15, ZMM16-31, as
  // XSAVE lays them in a row (64, 512 and 1024 bytes). Empty: all zero.
  std::vector<std::byte> avx512;

  GuestContext();

  u64& operator[](Gpr r) { return gpr[static_cast<u8>(r)]; }
  const u64& operator[](Gpr r) const { return gpr[static_cast<u8>(r)]; }
  [[nodiscard]] u32 mxcsr() const;
  void set_mxcsr(u32 value);  // undefined bits are dropped, so that loading it can never fault the host
  [[nodiscard]] u16 fpcw() const;
  void set_fpcw(u16 value);
};

}  // namespace vitrine::cpu
