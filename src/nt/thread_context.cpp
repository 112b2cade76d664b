#include "nt/thread_context.h"

#include "ps/user_mode.h"

namespace vitrine::nt {
namespace {

// The initial CONTEXT of a thread that stands at the first instruction of LdrInitializeThunk; 0: it is past that.
Va initial_context(const ps::Thread& thread) {
  const Va thunk = thread.process->entry_points.ldr_initialize_thunk;
  if (thunk == 0 || thread.tcb.continuation || thread.registers().rip != thunk) return 0;
  return thread.registers()[cpu::Gpr::rcx];
}

// Makes the registers of a thread that never ran. Errors: unsuccessful (terminated), what writing to its stack gives.
Status make_registers(Call call, ps::Thread& thread) {
  const bool ended = thread.has_flag(ps::cross_thread_flags::kTerminated) || thread.process->exiting;
  if (ended && &thread != call.thread) return Status::unsuccessful;
  return thread.user != nullptr ? Status::success : call->processes.begin_user_mode(thread);
}

}  // namespace

Status get_thread_context(Call call, ps::Thread& target, Va context) {
  const auto flags = call.space().read_value<u32>(context + offsetof(abi::Context, context_flags));
  if (!flags) return flags.error();
  if ((*flags & abi::context_flags::kAmd64) == 0) return Status::invalid_parameter;
  VITRINE_TRY(make_registers(call, target));
  cpu::GuestContext registers = target.registers();
  if (const Va initial = initial_context(target)) {
    VITRINE_TRY(ps::read_user_context(*target.process->space, initial, registers));
  }
  return ps::write_user_context(call.space(), context, registers, *flags);
}

Status set_thread_context(Call call, ps::Thread& target, Va context) {
  VITRINE_TRY(make_registers(call, target));
  cpu::GuestContext registers = target.registers();
  const Va initial = initial_context(target);
  if (initial != 0) VITRINE_TRY(ps::read_user_context(*target.process->space, initial, registers));
  VITRINE_TRY(ps::read_user_context(call.space(), context, registers));
  if (initial != 0) {
    constexpr u32 kParts = abi::context_flags::kFull | abi::context_flags::kSegments;
    target.registers().debug = registers.debug;
    return ps::write_user_context(*target.process->space, initial, registers, kParts);
  }
  target.registers() = registers;
  if (&target == call.thread) target.user->registers_replaced = true;
  return Status::success;
}

}  // namespace vitrine::nt
