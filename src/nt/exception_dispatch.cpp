#include "nt/exception_dispatch.h"

#include <fmt/format.h>

#include <cstring>
#include <initializer_list>

#include "nt/fault_decoder.h"
#include "ps/user_mode.h"

namespace vitrine::nt {
namespace {

constexpr u32 kTrapFlag = 0x100;
constexpr std::size_t kFswOffset = 2;  // in the FXSAVE image

abi::ExceptionRecord make_record(Status code, Va address, std::initializer_list<u64> information = {}) {
  abi::ExceptionRecord record{};
  record.code = static_cast<u32>(code);
  record.address = address;
  for (u64 value : information) record.information[record.parameter_count++] = value;
  return record;
}

void trace_exception(Executive& executive, const ps::Thread& thread, const abi::ExceptionRecord& record,
                     Chance chance) {
  const u32 processor = executive.kernel.executing_processor();
  executive.trace.record({executive.machine.clock(processor).value,
                          trace::EventType::exception,
                          static_cast<u16>(processor),
                          thread.id,
                          {record.code, record.address, static_cast<u64>(chance), record.information[1]}});
}

// NT: nobody handled it: ZwTerminateProcess(NtCurrentProcess(), ExceptionCode). [WI5 ch. 3 "Unhandled Exceptions"]
void end_process(Executive& executive, ps::Thread& thread, const abi::ExceptionRecord& record) {
  const Status code{record.code};
  executive.notice(fmt::format("{} (process {}) ended by {} at {:#x}, thread {}", thread.process->short_name(),
                               thread.process->id, status_name(code), record.address, thread.id));
  (void)executive.processes.terminate_process(*thread.process, code, nullptr);
}

// #GP and its kin. NT cannot tell the address and says ~0. [seen: EXCEPTION_RECORDs of non-canonical accesses]
abi::ExceptionRecord protection_record(ps::Thread& thread) {
  const Va rip = thread.registers().rip;
  if (is_privileged_instruction(*thread.process->space, thread.registers())) {
    return make_record(Status::privileged_instruction, rip);
  }
  return make_record(Status::access_violation, rip, {0, ~0ull});
}

// The most severe unmasked flag, in the order in which the hardware ranks them. `flags` as in FSW and MXCSR: bit 0
// invalid, 1 denormal, 2 zero divide, 3 overflow, 4 underflow, 5 precision.
Status float_status(u32 flags) {
  if ((flags & 0x01) != 0) return Status::float_invalid_operation;
  if ((flags & 0x04) != 0) return Status::float_divide_by_zero;
  if ((flags & 0x02) != 0) return Status::float_denormal_operand;
  if ((flags & 0x08) != 0) return Status::float_overflow;
  if ((flags & 0x10) != 0) return Status::float_underflow;
  return Status::float_inexact_result;
}

abi::ExceptionRecord x87_record(const cpu::GuestContext& registers) {
  constexpr u32 kStackFault = 0x40;
  u16 fsw;
  std::memcpy(&fsw, registers.xsave.data() + kFswOffset, sizeof fsw);
  const u32 unmasked = fsw & ~registers.fpcw() & 0x3F;
  Status code = float_status(unmasked);
  if (code == Status::float_invalid_operation && (fsw & kStackFault) != 0) code = Status::float_stack_check;
  return make_record(code, registers.rip, {0});
}

abi::ExceptionRecord simd_record(const cpu::GuestContext& registers) {
  const u32 mxcsr = registers.mxcsr();
  const u32 masks = mxcsr >> 7 & 0x3F;
  return make_record(float_status(mxcsr & ~masks & 0x3F), registers.rip, {0, mxcsr});
}

// RIP of an INT n: the exit may stand at it or behind it, depending on how the back end met it.
Va software_interrupt_address(ps::Thread& thread, u8 number) {
  const Va rip = thread.registers().rip;
  const auto bytes = thread.process->space->read_value<std::array<u8, 2>>(rip);
  if (bytes && (*bytes)[0] == 0xCD && (*bytes)[1] == number) return rip;
  return rip - 2;
}

void dispatch_software_interrupt(Executive& executive, ps::Thread& thread, u8 number) {
  constexpr u8 kFastFail = 0x29, kDebugService = 0x2D;
  constexpr u8 kBreakpoint = 3, kOverflow = 4;
  cpu::GuestContext& registers = thread.registers();
  const Va address = software_interrupt_address(thread, number);
  const Va next = address + 2;
  switch (number) {
    case kFastFail: {
      // NT 6.2: __fastfail: no handler sees it; the code in RCX tells why. [learn.microsoft.com: __fastfail]
      abi::ExceptionRecord record = make_record(Status::stack_buffer_overrun, address, {registers[cpu::Gpr::rcx]});
      record.flags = abi::kExceptionNoncontinuable;
      registers.rip = address;
      return dispatch_exception(executive, thread, record, Chance::second);
    }
    case kDebugService:
      registers.rip = next;
      return dispatch_exception(executive, thread, make_record(Status::breakpoint, next, {registers[cpu::Gpr::rax]}),
                                Chance::first);
    case kBreakpoint:
      registers.rip = next - 1;  // NT takes off one byte whichever form it was
      return dispatch_exception(executive, thread, make_record(Status::breakpoint, next - 1, {0}), Chance::first);
    case kOverflow:
      registers.rip = next;
      return dispatch_exception(executive, thread, make_record(Status::integer_overflow, next), Chance::first);
    default:
      // A gate that user mode may not use: a protection fault at the instruction. [SDM vol. 3A 6.12.1.2]
      registers.rip = address;
      return dispatch_exception(executive, thread, make_record(Status::access_violation, address, {0, ~0ull}),
                                Chance::first);
  }
}

}  // namespace

void dispatch_exception(Executive& executive, ps::Thread& thread, const abi::ExceptionRecord& record, Chance chance) {
  trace_exception(executive, thread, record, chance);
  if (chance == Chance::second) return end_process(executive, thread, record);
  Status status = ps::enter_user_exception(thread, record);
  if (status == Status::stack_overflow) {
    // NT: the frame itself hit the end of the stack: the program is told of that instead, in the room that is left now.
    abi::ExceptionRecord overflow = make_record(Status::stack_overflow, record.address);
    trace_exception(executive, thread, overflow, Chance::first);
    status = ps::enter_user_exception(thread, overflow);
  }
  if (is_success(status)) return;
  trace_exception(executive, thread, record, Chance::second);
  end_process(executive, thread, record);
}

void dispatch_cpu_exception(Executive& executive, ps::Thread& thread, const cpu::Exit& exit) {
  cpu::GuestContext& registers = thread.registers();
  abi::ExceptionRecord record{};
  switch (exit.vector) {
    case cpu::Vector::divide_error: {
      // NT decides by the operand: a quotient that does not fit is an overflow.
      const bool by_zero = divides_by_zero(*thread.process->space, registers);
      record = make_record(by_zero ? Status::integer_divide_by_zero : Status::integer_overflow, registers.rip);
      break;
    }
    case cpu::Vector::debug:
      registers.rflags &= ~u64{kTrapFlag};  // NT: the CONTEXT shows it clear
      record = make_record(Status::single_step, registers.rip);
      break;
    case cpu::Vector::breakpoint:
      // NT: CONTEXT.Rip and the address are those of the INT 3 itself.
      registers.rip -= 1;
      record = make_record(Status::breakpoint, registers.rip, {0});
      break;
    case cpu::Vector::overflow:
      record = make_record(Status::integer_overflow, registers.rip);
      break;
    case cpu::Vector::bound:
      record = make_record(Status::array_bounds_exceeded, registers.rip);
      break;
    case cpu::Vector::invalid_opcode:
      record = make_record(Status::illegal_instruction, registers.rip);
      break;
    case cpu::Vector::alignment_check:
      record = make_record(Status::datatype_misalignment, registers.rip);
      break;
    case cpu::Vector::x87_error:
      record = x87_record(registers);
      break;
    case cpu::Vector::simd_error:
      record = simd_record(registers);
      break;
    case cpu::Vector::software_interrupt:
      return dispatch_software_interrupt(executive, thread, static_cast<u8>(exit.error_code));
    case cpu::Vector::page_fault:
      return dispatch_page_fault(executive, thread, exit, Status::access_violation);
    case cpu::Vector::device_not_available:
    case cpu::Vector::double_fault:
    case cpu::Vector::stack_fault:
    case cpu::Vector::general_protection:
      record = protection_record(thread);
      break;
  }
  dispatch_exception(executive, thread, record, Chance::first);
}

void dispatch_page_fault(Executive& executive, ps::Thread& thread, const cpu::Exit& exit, Status status) {
  constexpr u64 kRead = 0, kWrite = 1, kExecute = 8;
  const u64 access = (exit.error_code & cpu::page_fault::kFetch) != 0   ? kExecute
                     : (exit.error_code & cpu::page_fault::kWrite) != 0 ? kWrite
                                                                        : kRead;
  const Va rip = thread.registers().rip;
  switch (status) {
    case Status::access_violation:
    case Status::guard_page_violation:
    case Status::stack_overflow:
      return dispatch_exception(executive, thread, make_record(status, rip, {access, exit.fault_address}),
                                Chance::first);
    default:
      // NT: whatever else went wrong on the way to the page is an in-page error that names it.
      return dispatch_exception(
          executive, thread,
          make_record(Status::in_page_error, rip, {access, exit.fault_address, static_cast<u32>(status)}),
          Chance::first);
  }
}

}  // namespace vitrine::nt
