#include "ps/user_mode.h"

#include <algorithm>
#include <array>

#include "ps/context_transfer.h"
#include "ps/extended_state.h"
#include "ps/process.h"

namespace vitrine::ps {
namespace {

constexpr u32 kXstateOnly = abi::context_flags::kXstate & ~abi::context_flags::kAmd64;
constexpr u32 kTrapFlag = 0x100;
constexpr u64 kWholeState = ~u64{0};

using ExtendedBuffer = std::array<std::byte, kExtendedAvx512Bytes>;

// A frame for ntdll's dispatchers that ends below `top`: where it is, and its extended part above it.
struct FramePlace {
  Va frame, extended;
  std::size_t extended_bytes;
};

// Errors: access_violation (the address space ends before there is room).
template <typename Frame>
Result<FramePlace> place_frame(const cpu::GuestContext& registers) {
  // Both dispatchers store up to four words right below the interrupted code's RSP, so that the code's caller can be
  // found from them. [seen in Wine 8.0's user mode]
  constexpr u64 kDispatchersOwn = 0x20;
  const Va top = registers[cpu::Gpr::rsp];
  const std::size_t bytes = extended_bytes(registers);
  const Va extended = align_down(top - kDispatchersOwn - bytes, 64);
  const Va frame = align_down(extended - sizeof(Frame), 16);
  if (frame > top) return Failure(Status::access_violation);  // wrapped
  return FramePlace{frame, extended, bytes};
}

// What CONTEXT_EX says of the extended part at `extended`, from where the two are.
abi::ContextEx context_ex(Va ex, const FramePlace& place) {
  const auto context_bytes = static_cast<i32>(sizeof(abi::Context));
  const auto offset = static_cast<i32>(place.extended - ex);
  const auto length = static_cast<u32>(place.extended_bytes);
  return {.all = {-context_bytes, static_cast<u32>(sizeof(abi::Context)) + static_cast<u32>(offset) + length},
          .legacy = {-context_bytes, sizeof(abi::Context)},
          .xstate = {offset, length},
          .padding = 0};
}

Status write_extended(mm::AddressSpace& space, const cpu::GuestContext& registers, const FramePlace& place) {
  ExtendedBuffer buffer{};
  const std::span image = std::span(buffer).first(place.extended_bytes);
  store_extended(registers, kWholeState, image);
  return space.write(place.extended, image);
}

struct ExtendedPlace {
  Va va;
  std::size_t bytes;  // as much as there can be
};

// Where the extended part of the CONTEXT at `va` is. Errors: access_violation, invalid_parameter.
Result<ExtendedPlace> extended_place(mm::AddressSpace& space, Va va) {
  const Va ex_va = va + sizeof(abi::Context);
  const auto ex = space.read_value<abi::ContextEx>(ex_va);
  if (!ex) return Failure(ex.error());
  // NT accepts a part above CONTEXT_EX, at most as long as the processor's state.
  constexpr i32 kFarthest = 0x1000;
  if (ex->legacy.offset != -static_cast<i32>(sizeof(abi::Context)) ||
      ex->xstate.offset < static_cast<i32>(sizeof(abi::ContextEx)) || ex->xstate.offset > kFarthest ||
      ex->xstate.length < kExtendedHeaderBytes) {
    return Failure(Status::invalid_parameter);
  }
  return ExtendedPlace{ex_va + static_cast<u64>(ex->xstate.offset),
                       std::min<std::size_t>(ex->xstate.length, kExtendedAvx512Bytes)};
}

}  // namespace

Status enter_user_exception(Thread& thread, const abi::ExceptionRecord& record) {
  const Va dispatcher = thread.process->entry_points.user_exception_dispatcher;
  if (dispatcher == 0) return Status::unhandled_exception;
  cpu::GuestContext& registers = thread.registers();
  mm::AddressSpace& space = *thread.process->space;
  const auto place = place_frame<abi::ExceptionFrame>(registers);
  if (!place) return place.error();

  abi::ExceptionFrame frame{};
  store_context(registers, abi::context_flags::kAll, frame.context);
  frame.context.context_flags |= kXstateOnly;
  frame.context_ex = context_ex(place->frame + offsetof(abi::ExceptionFrame, context_ex), *place);
  frame.record = record;
  VITRINE_TRY(write_extended(space, registers, *place));
  VITRINE_TRY(space.write_value(place->frame, frame));
  registers.rip = dispatcher;
  registers[cpu::Gpr::rsp] = place->frame;
  registers.rflags &= ~u64{kTrapFlag};
  return Status::success;
}

Status enter_user_apc(Thread& thread, const ke::UserApcCall& call) {
  const Va dispatcher = thread.process->entry_points.user_apc_dispatcher;
  if (dispatcher == 0) return Status::unhandled_exception;
  cpu::GuestContext& registers = thread.registers();
  const auto place = place_frame<abi::ApcFrame>(registers);
  if (!place) return place.error();
  abi::ApcFrame frame{};
  frame.function = call.normal_routine;
  store_context(registers, abi::context_flags::kAll, frame.context);
  frame.context.context_flags |= kXstateOnly;
  frame.context_ex = context_ex(place->frame + offsetof(abi::ApcFrame, context_ex), *place);
  VITRINE_TRY(write_extended(*thread.process->space, registers, *place));
  VITRINE_TRY(thread.process->space->write_value(place->frame, frame));
  registers.rip = dispatcher;
  registers[cpu::Gpr::rsp] = place->frame - 8;  // as if called
  registers[cpu::Gpr::rcx] = place->frame + offsetof(abi::ApcFrame, context);
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
    const auto place = extended_place(space, va);
    if (!place) return place.error();
    ExtendedBuffer buffer;
    const std::span image = std::span(buffer).first(place->bytes);
    VITRINE_TRY(space.read(place->va, image));
    store_extended(registers, extended_mask(image), image);
    VITRINE_TRY(space.write(place->va, image));
  }
  return space.write_value(va, *context);
}

Status read_user_context(mm::AddressSpace& space, Va va, cpu::GuestContext& registers) {
  const auto context = space.read_value<abi::Context>(va);
  if (!context) return context.error();
  if ((context->context_flags & abi::context_flags::kAmd64) == 0) return Status::invalid_parameter;
  if ((context->context_flags & kXstateOnly) != 0) {
    // A CONTEXT that was copied without what follows it keeps the flag; then there is nothing to load.
    if (const auto place = extended_place(space, va)) {
      ExtendedBuffer buffer;
      const std::span image = std::span(buffer).first(place->bytes);
      if (is_success(space.read(place->va, image))) load_extended(image, registers);
    }
  }
  load_context(*context, registers);
  return Status::success;
}

}  // namespace vitrine::ps
