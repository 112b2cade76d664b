#include "ps/context_transfer.h"

#include <gtest/gtest.h>

namespace vitrine::ps {
namespace {

namespace flags = abi::context_flags;

cpu::GuestContext numbered() {
  cpu::GuestContext registers;
  for (u32 i = 0; i < 16; ++i) registers.gpr[i] = 0x1000 + i;
  registers.rip = 0x7000;
  registers.rflags = 0x246;
  registers.set_mxcsr(0x1F80);
  return registers;
}

TEST(ContextTransfer, ControlHoldsRipRspFlagsAndSelectorsOnly) {
  abi::Context out{};
  store_context(numbered(), flags::kControl, out);
  EXPECT_EQ(out.rip, 0x7000u);
  EXPECT_EQ(out.gpr[4], 0x1004u);
  EXPECT_EQ(out.eflags, 0x246u);
  EXPECT_EQ(out.seg_cs, 0x33);
  EXPECT_EQ(out.gpr[0], 0u);
  EXPECT_EQ(out.gpr[5], 0u);
}

TEST(ContextTransfer, IntegerHoldsEveryGeneralRegisterButRsp) {
  abi::Context out{};
  store_context(numbered(), flags::kInteger, out);
  for (u32 i = 0; i < 16; ++i) EXPECT_EQ(out.gpr[i], i == 4 ? 0 : 0x1000 + i) << i;
  EXPECT_EQ(out.rip, 0u);
}

TEST(ContextTransfer, LoadingKeepsWhatTheFlagsDoNotName) {
  cpu::GuestContext registers = numbered();
  abi::Context in{};
  in.context_flags = flags::kControl;
  in.rip = 0x9000;
  in.gpr[4] = 0x5000;
  in.gpr[0] = 0xBAD;
  load_context(in, registers);
  EXPECT_EQ(registers.rip, 0x9000u);
  EXPECT_EQ(registers.gpr[4], 0x5000u);
  EXPECT_EQ(registers.gpr[0], 0x1000u);
}

TEST(ContextTransfer, AGuestCannotSetPrivilegedFlagsOrUndefinedMxcsrBits) {
  cpu::GuestContext registers = numbered();
  abi::Context in{};
  in.context_flags = flags::kAll;
  in.eflags = 0xFFFF'FFFF;
  in.flt_save.fill(std::byte{0xFF});
  load_context(in, registers);
  EXPECT_EQ(registers.rflags & 0x3000, 0u) << "IOPL";
  EXPECT_EQ(registers.rflags & 0x20000, 0u) << "virtual-8086";
  EXPECT_EQ(registers.rflags & 0x202, 0x202u);
  EXPECT_EQ(registers.mxcsr() & ~0xFFFFu, 0u);
}

TEST(ContextTransfer, AGuestCannotWatchTheKernelOrSetGlobalBreakpoints) {
  cpu::GuestContext registers;
  abi::Context in{};
  in.context_flags = flags::kDebugRegisters;
  in.dr0 = 0x1234;
  in.dr1 = 0xFFFF'8000'0000'1000;
  in.dr6 = in.dr7 = ~0ull;
  load_context(in, registers);
  EXPECT_EQ(registers.debug, (std::array<u64, 6>{0x1234, 0, 0, 0, 0xE00F, 0xFFFF'0355}));
}

TEST(ContextTransfer, WithoutTheArchitectureBitNothingIsLoaded) {
  cpu::GuestContext registers = numbered();
  abi::Context in{};
  in.context_flags = 0x1;
  in.rip = 0x9000;
  load_context(in, registers);
  EXPECT_EQ(registers.rip, 0x7000u);
}

}  // namespace
}  // namespace vitrine::ps
