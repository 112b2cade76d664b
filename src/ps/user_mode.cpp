#include "ps/user_mode.h"

#include <algorithm>
#include <cstring>

#include "ps/context_transfer.h"
#include "ps/process.h"

namespace vitrine::ps {
namespace {

// XSTATE as CONTEXT_EX points to it: the XSAVE header and the upper halves of YMM0-15. [winnt.h: XSAVE_AREA_HEADER,
// XSAVE_AREA]
struct ExtendedState {
  u64 mask;
  u64 compaction_mask;
  std::array<u64, 6> reserved;
  std::array<std::byte, 256> ymm_high;
};
static_assert(sizeof(ExtendedState) == 0x140);
constexpr u64 kAvxBit = 4;                   // of `mask`
constexpr std::size_t kYmmHighOffset = 576;  // in GuestContext::xsave
constexpr u32 kXstateOnly = abi::context_flags::kXstate & ~abi::context_flags::kAmd64;
constexpr u32 kTrapFlag = 0x100;

bool uses_upper_halves(const cpu::GuestContext& registers) {
  return std::ranges::any_of(std::span(registers.xsave).subspan(kYmmHighOffset),
                             [](std::byte b) { return b != std::byte{}; });
}

ExtendedState extended_state(const cpu::GuestContext& registers) {
  ExtendedState state{};
  state.mask = uses_upper_halves(registers) ? kAvxBit : 0;
  std::memcpy(state.ymm_high.data(), registers.xsave.data() + kYmmHighOffset, state.ymm_high.size());
  return state;
}

void load_extended(const ExtendedState& state, cpu::GuestContext& registers) {
  std::byte* upper = registers.xsave.data() + kYmmHighOffset;
  if ((state.mask & kAvxBit) != 0) {
    std::memcpy(upper, state.ymm_high.data(), state.ymm_high.size());
  } else {
    std::memset(upper, 0, state.ymm_high.size());  // XRSTOR: a clear bit means the initial state
  }
}

// Where the extended part of the CONTEXT at `va` is. Errors: access_violation, invalid_parameter.
Result<Va> extended_address(mm::AddressSpace& space, Va va) {
  const Va ex_va = va + sizeof(abi::Context);
  const auto ex = space.read_value<abi::ContextEx>(ex_va);
  if (!ex) return Failure(ex.error());
  // NT accepts a part above CONTEXT_EX, at most as long as the processor's state.
  constexpr i32 kFarthest = 0x1000;
  if (ex->xstate.offset < static_cast<i32>(sizeof(abi::ContextEx)) || ex->xstate.offset > kFarthest ||
      ex->xstate.length < sizeof(ExtendedState)) {
    return Failure(Status::invalid_parameter);
  }
  return ex_va + static_cast<u64>(ex->xstate.offset);
}

}  // namespace

Status enter_user_exception(Thread& thread, const abi::ExceptionRecord& record) {
  const Va dispatcher = thread.process->entry_points.user_exception_dispatcher;
  if (dispatcher == 0) return Status::unhandled_exception;
  cpu::GuestContext& registers = thread.registers();
  mm::AddressSpace& space = *thread.process->space;
  // The upper halves come along when they are in use, as XSAVE's own tracking would say.
  const bool extended = uses_upper_halves(registers);
  Va top = registers[cpu::Gpr::rsp];
  Va extended_va = 0;
  if (extended) top = extended_va = align_down(top - sizeof(ExtendedState), 64);
  const Va frame_va = align_down(top - sizeof(abi::ExceptionFrame), 16);
  if (frame_va > registers[cpu::Gpr::rsp]) return Status::access_violation;  // wrapped

  abi::ExceptionFrame frame{};
  store_context(registers, abi::context_flags::kAll, frame.context);
  const auto context_bytes = static_cast<i32>(sizeof(abi::Context));
  frame.context_ex.legacy = {-context_bytes, sizeof(abi::Context)};
  frame.context_ex.all = {-context_bytes, sizeof(abi::Context) + sizeof(abi::ContextEx)};
  if (extended) {
    frame.context.context_flags |= kXstateOnly;
    const Va ex_va = frame_va + offsetof(abi::ExceptionFrame, context_ex);
    frame.context_ex.xstate = {static_cast<i32>(extended_va - ex_va), sizeof(ExtendedState)};
    frame.context_ex.all.length = static_cast<u32>(extended_va + sizeof(ExtendedState) - frame_va);
    VITRINE_TRY(space.write_value(extended_va, extended_state(registers)));
  }
  frame.record = record;
  VITRINE_TRY(space.write_value(frame_va, frame));
  registers.rip = dispatcher;
  registers[cpu::Gpr::rsp] = frame_va;
  registers.rflags &= ~u64{kTrapFlag};
  return Status::success;
}

Status enter_user_apc(Thread& thread, const ke::UserApcCall& call) {
  const Va dispatcher = thread.process->entry_points.user_apc_dispatcher;
  if (dispatcher == 0) return Status::unhandled_exception;
  cpu::GuestContext& registers = thread.registers();
  const Va frame_va = align_down(registers[cpu::Gpr::rsp] - sizeof(abi::ApcFrame), 16);
  if (frame_va > registers[cpu::Gpr::rsp]) return Status::access_violation;
  abi::ApcFrame frame{};
  frame.function = call.normal_routine;
  // A user APC comes at the end of a service, where the upper halves of YMM are the caller's to lose [x64 calling
  // convention].
  store_context(registers, abi::context_flags::kAll, frame.context);
  VITRINE_TRY(thread.process->space->write_value(frame_va, frame));
  registers.rip = dispatcher;
  registers[cpu::Gpr::rsp] = frame_va - 8;  // as if called
  registers[cpu::Gpr::rcx] = frame_va + offsetof(abi::ApcFrame, context);
  registers[cpu::Gpr::rdx] = call.arguments[0];
  registers[cpu::Gpr::r8] = call.arguments[1];
  registers[cpu::Gpr::r9] = call.arguments[2];
  return Status::success;
}

Status write_user_context(mm::AddressSpace& space, Va va, const cpu::GuestContext& registers, u32 flags) {
  auto context = space.read_value<abi::Context>(va);
  if (!context) return context.error();
  store_context(registers, flags, *context);
  if ((flags & kXstateOnly) != 0) {
    const auto extended_va = extended_address(space, va);
    if (!extended_va) return extended_va.error();
    VITRINE_TRY(space.write_value(*extended_va, extended_state(registers)));
  }
  return space.write_value(va, *context);
}

Status read_user_context(mm::AddressSpace& space, Va va, cpu::GuestContext& registers) {
  const auto context = space.read_value<abi::Context>(va);
  if (!context) return context.error();
  if ((context->context_flags & abi::context_flags::kAmd64) == 0) return Status::invalid_parameter;
  if ((context->context_flags & kXstateOnly) != 0) {
    // A CONTEXT that was copied without what follows it keeps the flag; then there is nothing to load.
    const auto extended_va = extended_address(space, va);
    if (extended_va) {
      const auto state = space.read_value<ExtendedState>(*extended_va);
      if (state) load_extended(*state, registers);
    }
  }
  load_context(*context, registers);
  return Status::success;
}

}  // namespace vitrine::ps
