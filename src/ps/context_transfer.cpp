#include "ps/context_transfer.h"

#include <cstring>

namespace vitrine::ps {
namespace {

constexpr u32 kAmd64 = abi::context_flags::kAmd64;
constexpr std::size_t kFxsaveBytes = 512;
constexpr std::size_t kMxcsrOffset = 24;
constexpr u32 kRsp = static_cast<u32>(cpu::Gpr::rsp);

// NT: what of the flags a context may set: no AC, no NT; RF lets a debugger go on over a breakpoint. [ROS]
constexpr u64 kSettableFlags = 0x21'0DD5;
// NT: what of DR6 and DR7: no global enable bits, no general detect. [ROS]
constexpr u64 kDr6Legal = 0xE00F, kDr7Legal = 0xFFFF'0355;

constexpr u64 kKernelHalf = 1ull << 47;

// NT: a breakpoint on a kernel address is dropped. [ROS]
u64 user_breakpoint(u64 address) { return address < kKernelHalf ? address : 0; }

bool asks_for(u32 flags, u32 part) { return (flags & part & ~kAmd64) != 0; }

}  // namespace

void store_context(const cpu::GuestContext& registers, u32 flags, abi::Context& out) {
  out.context_flags = flags;
  if (asks_for(flags, abi::context_flags::kControl)) {
    out.seg_cs = abi::kUserCs;
    out.seg_ss = abi::kUserDs;
    out.eflags = static_cast<u32>(registers.rflags);
    out.gpr[kRsp] = registers.gpr[kRsp];
    out.rip = registers.rip;
  }
  if (asks_for(flags, abi::context_flags::kInteger)) {
    for (u32 i = 0; i < 16; ++i) {
      if (i != kRsp) out.gpr[i] = registers.gpr[i];
    }
  }
  if (asks_for(flags, abi::context_flags::kSegments)) {
    out.seg_ds = out.seg_es = out.seg_gs = abi::kUserDs;
    out.seg_fs = abi::kUserFs;
  }
  if (asks_for(flags, abi::context_flags::kFloatingPoint)) {
    std::memcpy(out.flt_save.data(), registers.xsave.data(), kFxsaveBytes);
    out.mx_csr = registers.mxcsr();
  }
  if (asks_for(flags, abi::context_flags::kDebugRegisters)) {
    out.dr0 = registers.debug[0];
    out.dr1 = registers.debug[1];
    out.dr2 = registers.debug[2];
    out.dr3 = registers.debug[3];
    out.dr6 = registers.debug[4];
    out.dr7 = registers.debug[5];
  }
}

void load_context(const abi::Context& in, cpu::GuestContext& registers) {
  const u32 flags = in.context_flags;
  if ((flags & kAmd64) == 0) return;
  if (asks_for(flags, abi::context_flags::kControl)) {
    registers.rflags = (in.eflags & kSettableFlags) | cpu::kRflagsFixed;
    registers.gpr[kRsp] = in.gpr[kRsp];
    registers.rip = in.rip;
  }
  if (asks_for(flags, abi::context_flags::kInteger)) {
    for (u32 i = 0; i < 16; ++i) {
      if (i != kRsp) registers.gpr[i] = in.gpr[i];
    }
  }
  if (asks_for(flags, abi::context_flags::kFloatingPoint)) {
    std::memcpy(registers.xsave.data(), in.flt_save.data(), kFxsaveBytes);
    // NT: the MXCSR that counts is the one in FltSave; both are written on capture. [seen in CONTEXT records]
    u32 mxcsr;
    std::memcpy(&mxcsr, in.flt_save.data() + kMxcsrOffset, sizeof mxcsr);
    registers.set_mxcsr(mxcsr);
  }
  if (asks_for(flags, abi::context_flags::kDebugRegisters)) {
    registers.debug = {user_breakpoint(in.dr0), user_breakpoint(in.dr1), user_breakpoint(in.dr2),
                       user_breakpoint(in.dr3), in.dr6 & kDr6Legal,      in.dr7 & kDr7Legal};
  }
}

}  // namespace vitrine::ps
