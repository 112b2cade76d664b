#include "nt/exception_dispatch.h"

#include <algorithm>
#include <span>

#include "nt/fault_decoder.h"
#include "ps/user_mode.h"
#include "service_machine.h"

namespace vitrine::nt::test {
namespace {

using cpu::Gpr;
constexpr Va kDispatcher = 0x5555'0000, kApcDispatcher = 0x6666'0000;

class Exceptions : public testing::Test {
 protected:
  Exceptions() {
    m.process->entry_points.user_exception_dispatcher = kDispatcher;
    m.process->entry_points.user_apc_dispatcher = kApcDispatcher;
    registers().rip = code();
    registers()[Gpr::rsp] = m.scratch + 0xF008;
  }
  ServiceMachine m;
  cpu::GuestContext& registers() { return m.thread->registers(); }
  Va code() const { return m.scratch + 0x1000; }
  void assemble(std::initializer_list<u8> bytes) {
    Va va = code();
    for (u8 byte : bytes) m.write(va++, byte);
  }
  void raise(cpu::Vector vector, u32 error = 0) {
    dispatch_cpu_exception(*m.executive, *m.thread, {cpu::ExitReason::exception, vector, error, 0, 0});
  }
  abi::ExceptionRecord record() {
    return m.read<abi::ExceptionRecord>(registers()[Gpr::rsp] + offsetof(abi::ExceptionFrame, record));
  }
  abi::Context context() { return m.read<abi::Context>(registers()[Gpr::rsp]); }
  Status code_of() { return Status{record().code}; }
};

TEST_F(Exceptions, TheFrameIsAlignedAndHoldsTheFaultingState) {
  registers()[Gpr::rbx] = 0x1234;
  registers().set_mxcsr(0x1FA0);
  raise(cpu::Vector::invalid_opcode);
  EXPECT_EQ(registers().rip, kDispatcher);
  EXPECT_EQ(registers()[Gpr::rsp] % 16, 0u);
  EXPECT_EQ(code_of(), Status::illegal_instruction);
  EXPECT_EQ(record().address, code());
  EXPECT_EQ(context().rip, code());
  EXPECT_EQ(context().gpr[3], 0x1234u);
  EXPECT_EQ(context().gpr[4], m.scratch + 0xF008);
  EXPECT_EQ(context().seg_cs, abi::kUserCs);
  EXPECT_EQ(context().mx_csr, 0x1FA0u);
}

TEST_F(Exceptions, ABreakpointIsReportedAtItsOwnAddress) {
  registers().rip = code() + 1;
  raise(cpu::Vector::breakpoint);
  EXPECT_EQ(code_of(), Status::breakpoint);
  EXPECT_EQ(record().address, code());
  EXPECT_EQ(context().rip, code());
  EXPECT_EQ(record().parameter_count, 1u);
}

TEST_F(Exceptions, ADivisionIsToldFromAnOverflowByItsOperand) {
  assemble({0x48, 0xF7, 0xFB});  // idiv rbx
  registers()[Gpr::rbx] = 0;
  raise(cpu::Vector::divide_error);
  EXPECT_EQ(code_of(), Status::integer_divide_by_zero);
  registers().rip = code();
  registers()[Gpr::rbx] = ~0ull;
  raise(cpu::Vector::divide_error);
  EXPECT_EQ(code_of(), Status::integer_overflow);
}

TEST_F(Exceptions, ADivisorInMemoryIsFound) {
  m.write(m.scratch + 0x2010, u32{0});
  registers()[Gpr::rbx] = m.scratch;
  registers()[Gpr::rsi] = 2;
  assemble({0xF7, 0xB4, 0xF3, 0x00, 0x20, 0x00, 0x00});  // div dword [rbx+rsi*8+0x2000]
  EXPECT_TRUE(divides_by_zero(*m.process->space, registers()));
  m.write(m.scratch + 0x2010, u32{7});
  EXPECT_FALSE(divides_by_zero(*m.process->space, registers()));
  m.write(code() + 6 + 0x100, u32{0});
  assemble({0xF7, 0x35, 0x00, 0x01, 0x00, 0x00});  // div dword [rip+0x100]
  EXPECT_TRUE(divides_by_zero(*m.process->space, registers()));
  assemble({0xF6, 0xF4});  // div ah
  registers()[Gpr::rax] = 0x00FF;
  EXPECT_TRUE(divides_by_zero(*m.process->space, registers()));
}

TEST_F(Exceptions, AProtectionFaultIsAPrivilegedInstructionOrAnAccessNowhere) {
  assemble({0xF4});  // hlt
  raise(cpu::Vector::general_protection);
  EXPECT_EQ(code_of(), Status::privileged_instruction);
  registers().rip = code();
  assemble({0x48, 0x8B, 0x00});  // mov rax, [rax]
  raise(cpu::Vector::general_protection);
  EXPECT_EQ(code_of(), Status::access_violation);
  EXPECT_EQ(record().information[1], ~0ull);
}

TEST_F(Exceptions, APageFaultSaysHowAndWhere) {
  const cpu::Exit exit{cpu::ExitReason::exception, cpu::Vector::page_fault,
                       cpu::page_fault::kUser | cpu::page_fault::kWrite, 0x40, 0};
  dispatch_page_fault(*m.executive, *m.thread, exit, Status::access_violation);
  EXPECT_EQ(record().information[0], 1u);
  EXPECT_EQ(record().information[1], 0x40u);
  dispatch_page_fault(*m.executive, *m.thread, exit, Status::no_memory);
  EXPECT_EQ(code_of(), Status::in_page_error);
  EXPECT_EQ(record().information[2], static_cast<u32>(Status::no_memory));
}

TEST_F(Exceptions, SimdFaultsNameTheUnmaskedFlag) {
  registers().set_mxcsr((0x1F80 & ~(4u << 7)) | 4 | 1);  // zero divide unmasked; invalid also set but masked
  raise(cpu::Vector::simd_error);
  EXPECT_EQ(code_of(), Status::float_divide_by_zero);
}

TEST_F(Exceptions, ContinuingRestoresWhatTheExceptionSaved) {
  registers()[Gpr::r12] = 99;
  registers().xsave[576] = std::byte{0x5A};  // an upper half in use
  const cpu::GuestContext before = registers();
  raise(cpu::Vector::debug);
  registers()[Gpr::r12] = 0;
  registers().xsave[576] = std::byte{0};
  ASSERT_EQ(m.call("NtContinue", {registers()[Gpr::rsp], 0}), Status::success);
  EXPECT_EQ(registers().rip, before.rip);
  EXPECT_EQ(registers().gpr, before.gpr);
  EXPECT_EQ(registers().xsave[576], std::byte{0x5A});
  EXPECT_TRUE(m.thread->user->registers_replaced);
}

// Every byte of the extended state tells the register it belongs to; with AVX-512 if the thread has it.
void fill_extended(cpu::GuestContext& registers, bool avx512) {
  if (avx512) registers.avx512.resize(64 + 512 + 1024);
  u32 n = 1;
  for (std::byte& byte : std::span(registers.xsave).subspan(576)) byte = std::byte(n++ * 5);
  for (std::byte& byte : registers.avx512) byte = std::byte(n++ * 7);
}

// What both dispatchers of ntdll do first: the four words below the interrupted code's RSP are theirs.
void use_red_zone(ServiceMachine& m, Va rsp) {
  for (u64 n = 1; n <= 4; ++n) m.write(rsp - 8 * n, ~u64{0});
}

TEST_F(Exceptions, NeitherFrameLosesAVectorRegisterWhateverTheStacksAlignment) {
  for (const bool avx512 : {false, true}) {
    for (u64 misalignment = 0; misalignment < 64; misalignment += 8) {
      for (const bool apc : {false, true}) {
        registers()[Gpr::rsp] = m.scratch + 0xF000 + misalignment;
        fill_extended(registers(), avx512);
        const cpu::GuestContext before = registers();
        if (apc)
          ASSERT_EQ(ps::enter_user_apc(*m.thread, {0x7777'0000, {1, 2, 3}, false}), Status::success);
        else
          raise(cpu::Vector::debug);
        use_red_zone(m, before.gpr[4]);
        registers().xsave.fill(std::byte{0xEE});
        std::ranges::fill(registers().avx512, std::byte{0xEE});
        const Va context = registers()[Gpr::rsp] + (apc ? 8 + offsetof(abi::ApcFrame, context) : 0);
        ASSERT_EQ(m.call("NtContinue", {context, 0}), Status::success);
        EXPECT_TRUE(std::ranges::equal(std::span(registers().xsave).subspan(576), std::span(before.xsave).subspan(576)))
            << misalignment << apc;
        EXPECT_EQ(registers().avx512, before.avx512) << misalignment << apc;
      }
    }
  }
}

// XRSTOR's rule: a component that the image does not hold gets its initial state.
TEST_F(Exceptions, RegistersThatWereNotInUseAreNotAfterTheHandlerEither) {
  registers().avx512.resize(64 + 512 + 1024);
  registers().avx512[70] = std::byte{1};  // in ZMM_Hi256 alone
  const cpu::GuestContext before = registers();
  raise(cpu::Vector::debug);
  fill_extended(registers(), true);
  ASSERT_EQ(m.call("NtContinue", {registers()[Gpr::rsp], 0}), Status::success);
  EXPECT_EQ(registers().avx512, before.avx512);
  EXPECT_EQ(registers().xsave[600], std::byte{0});
}

TEST_F(Exceptions, AThreadWithoutAvx512GetsNoneFromAFrame) {
  raise(cpu::Vector::debug);
  const Va frame = registers()[Gpr::rsp], ex = frame + offsetof(abi::ExceptionFrame, context_ex);
  auto context_ex = m.read<abi::ContextEx>(ex);
  EXPECT_EQ(context_ex.xstate.length, 0x140u);
  context_ex.xstate.length = 0x880;
  m.write(ex, context_ex);
  m.write(ex + static_cast<u64>(context_ex.xstate.offset), u64{0xE4});
  ASSERT_EQ(m.call("NtContinue", {frame, 0}), Status::success);
  EXPECT_TRUE(registers().avx512.empty());
}

// A CONTEXT that was copied without what lies behind it keeps the flag: what is there by chance is no extended part.
TEST_F(Exceptions, WhatIsNoContextExIsLeftAlone) {
  raise(cpu::Vector::debug);
  const Va copy = m.scratch + 0x3000;
  m.write(copy, context());
  m.write(copy + sizeof(abi::Context), abi::ContextEx{{0, 0}, {-8, 0x4D0}, {0x40, 0x140}, 0});
  fill_extended(registers(), false);
  const auto before = registers().xsave[700];
  ASSERT_EQ(m.call("NtContinue", {copy, 0}), Status::success);
  EXPECT_EQ(registers().xsave[700], before);
}

TEST_F(Exceptions, AThreadsExtendedContextHoldsTheComponentsThatWereAskedFor) {
  fill_extended(registers(), true);
  const Va va = m.scratch + 0x3000, ex = va + sizeof(abi::Context), image = ex + 0x40;
  const auto ask = [&](u32 length, u64 mask) {
    abi::Context context{};
    context.context_flags = abi::context_flags::kXstate;
    m.write(va, context);
    m.write(ex, abi::ContextEx{{-0x4D0, 0}, {-0x4D0, 0x4D0}, {0x40, length}, 0});
    for (u64 at = 0; at < 0x880; at += 8) m.write(image + at, u64{0xAA});
    m.write(image, mask);
    return ps::write_user_context(*m.process->space, va, registers(), context.context_flags);
  };
  ASSERT_EQ(ask(0x880, 4 | 1u << 7), Status::success);
  EXPECT_EQ(m.read<u64>(image), 4 | 1u << 7);
  EXPECT_EQ(m.read<std::byte>(image + 0x40 + 9), registers().xsave[576 + 9]);
  EXPECT_EQ(m.read<u64>(image + 0x240), 0xAAu);  // masks were not asked for
  EXPECT_EQ(m.read<std::byte>(image + 0x480 + 1023), registers().avx512.back());
  ASSERT_EQ(ask(0x140, 0xE4), Status::success);  // no room for more than AVX
  EXPECT_EQ(m.read<u64>(image), 4u);
  EXPECT_EQ(m.read<u64>(image + 0x240), 0xAAu);
  EXPECT_EQ(ask(0x3F, 4), Status::invalid_parameter);
}

TEST_F(Exceptions, AFrameThatCannotBeWrittenEndsTheProcessWithTheCode) {
  registers()[Gpr::rsp] = 0x100;
  raise(cpu::Vector::invalid_opcode);
  EXPECT_EQ(m.process->exit_status, Status::illegal_instruction);
  EXPECT_NE(m.notices.find("ILLEGAL_INSTRUCTION"), std::string::npos);
}

TEST_F(Exceptions, FastFailAndTheSecondChanceEndTheProcess) {
  assemble({0xCD, 0x29});
  registers().rip = code() + 2;
  raise(cpu::Vector::software_interrupt, 0x29);
  EXPECT_EQ(m.process->exit_status, Status::stack_buffer_overrun);
}

TEST_F(Exceptions, AnInterruptThatUserModeMayNotRaiseIsAnAccessViolationAtIt) {
  assemble({0xCD, 0x80});
  registers().rip = code() + 2;
  raise(cpu::Vector::software_interrupt, 0x80);
  EXPECT_EQ(code_of(), Status::access_violation);
  EXPECT_EQ(context().rip, code());
}

TEST_F(Exceptions, AnApcFrameReturnsThroughItsContext) {
  registers()[Gpr::rax] = 0xC0;
  const cpu::GuestContext before = registers();
  ASSERT_EQ(ps::enter_user_apc(*m.thread, {0x7777'0000, {1, 2, 3}, false}), Status::success);
  EXPECT_EQ(registers().rip, kApcDispatcher);
  EXPECT_EQ(registers()[Gpr::rsp] % 16, 8u);
  const Va frame = registers()[Gpr::rsp] + 8;
  EXPECT_EQ(m.read<Va>(frame + 0x20), 0x7777'0000u);
  EXPECT_EQ(registers()[Gpr::rcx], frame + 0x30);
  EXPECT_EQ(registers()[Gpr::r9], 3u);
  ASSERT_EQ(m.call("NtContinue", {frame + 0x30, 0}), Status::success);
  EXPECT_EQ(registers().gpr, before.gpr);
  EXPECT_EQ(registers().rip, before.rip);
}

TEST_F(Exceptions, ARaisedExceptionStartsFromTheGivenContext) {
  const Va given = m.scratch + 0x4000, record_va = m.scratch + 0x5000;
  abi::Context raised{};
  raised.context_flags = abi::context_flags::kControl;
  raised.rip = 0x4242;
  raised.gpr[4] = m.scratch + 0xE000;
  m.write(given, raised);
  abi::ExceptionRecord own{};
  own.code = 0xE06D7363;
  m.write(record_va, own);
  ASSERT_EQ(m.call("NtRaiseException", {record_va, given, 1}), Status::success);
  EXPECT_EQ(record().code, 0xE06D7363u);
  EXPECT_EQ(context().rip, 0x4242u);
  own.parameter_count = 16;
  m.write(record_va, own);
  EXPECT_EQ(m.call("NtRaiseException", {record_va, given, 1}), Status::invalid_parameter);
}

}  // namespace
}  // namespace vitrine::nt::test
