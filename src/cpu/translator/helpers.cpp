#include "cpu/translator/helpers.h"

#include <bit>

namespace vitrine::cpu::translator {
namespace {

constexpr u64 kCarry = 1;

u64& gpr(Frame& frame, Gpr reg) { return frame.gpr[static_cast<u8>(reg)]; }

// Entered with a null instruction: DIV or IDIV whose quotient may not fit (SDM vol. 2A).
template <typename Wide, typename SignedWide>
bool quotient_fits(Wide dividend, Wide divisor, bool is_signed, unsigned bits) {
  if (divisor == 0) return false;
  if (!is_signed) return (dividend / divisor) >> bits == 0;
  const auto value = static_cast<SignedWide>(dividend), by = static_cast<SignedWide>(divisor);
  constexpr SignedWide kLowest = static_cast<SignedWide>(Wide{1} << (sizeof(Wide) * 8 - 1));
  if (by == -1 && value == kLowest) return false;
  const SignedWide quotient = value / by;
  const SignedWide limit = SignedWide{1} << (bits - 1);
  return quotient >= -limit && quotient < limit;
}

HelperResult check_divide(Runtime& runtime, const Site& site) {
  Frame& frame = runtime.frame();
  const u64 rax = gpr(frame, Gpr::rax), rdx = gpr(frame, Gpr::rdx), divisor = frame.scratch1;
  const bool is_signed = site.write;
  bool fits = false;
  switch (site.size) {
    case 1: {
      const auto by = is_signed ? static_cast<u64>(static_cast<i8>(divisor)) : static_cast<u8>(divisor);
      const auto value = is_signed ? static_cast<u64>(static_cast<i16>(rax)) : static_cast<u16>(rax);
      fits = quotient_fits<u64, i64>(value, by, is_signed, 8);
      break;
    }
    case 2: {
      const u32 value = static_cast<u32>((rdx & 0xFFFF) << 16 | (rax & 0xFFFF));
      const auto by = is_signed ? static_cast<u64>(static_cast<i16>(divisor)) : static_cast<u16>(divisor);
      fits = quotient_fits<u64, i64>(is_signed ? static_cast<u64>(static_cast<i32>(value)) : value, by, is_signed, 16);
      break;
    }
    case 4: {
      const u64 value = rdx << 32 | (rax & 0xFFFF'FFFF);
      const auto by = is_signed ? static_cast<u64>(static_cast<i32>(divisor)) : static_cast<u32>(divisor);
      fits = quotient_fits<u64, i64>(value, by, is_signed, 32);
      break;
    }
    default: {
      using Wide = unsigned __int128;
      using SignedWide = __int128;
      const Wide by = is_signed ? static_cast<Wide>(static_cast<SignedWide>(static_cast<i64>(divisor))) : divisor;
      fits = quotient_fits<Wide, SignedWide>(static_cast<Wide>(rdx) << 64 | rax, by, is_signed, 64);
      break;
    }
  }
  return fits ? HelperResult::next : runtime.raise(Vector::divide_error);
}

HelperResult do_random(Runtime& runtime, const Instruction& instruction) {
  Frame& frame = runtime.frame();
  write_register(frame, instruction.operands[0].reg.value, runtime.identity().random(runtime.processor()));
  set_flags(frame, kCarry);  // always ready
  return HelperResult::next;
}

HelperResult do_time_stamp(Runtime& runtime, const Site& site) {
  Frame& frame = runtime.frame();
  const u64 now = runtime.identity().time_stamp(runtime.processor(), runtime.retired_before(site));
  gpr(frame, Gpr::rax) = now & 0xFFFF'FFFF;
  gpr(frame, Gpr::rdx) = now >> 32;
  if (site.instruction->mnemonic() == ZYDIS_MNEMONIC_RDTSCP) gpr(frame, Gpr::rcx) = runtime.processor();
  return HelperResult::next;
}

HelperResult do_cpuid(Runtime& runtime) {
  Frame& frame = runtime.frame();
  const auto result =
      runtime.identity().cpuid(static_cast<u32>(gpr(frame, Gpr::rax)), static_cast<u32>(gpr(frame, Gpr::rcx)));
  gpr(frame, Gpr::rax) = result.eax;
  gpr(frame, Gpr::rbx) = result.ebx;
  gpr(frame, Gpr::rcx) = result.ecx;
  gpr(frame, Gpr::rdx) = result.edx;
  return HelperResult::next;
}

HelperResult do_push_flags(Runtime& runtime, const Instruction& instruction) {
  Frame& frame = runtime.frame();
  const u64 bytes = instruction.z.operand_width == 16 ? 2 : 8;
  const u64 value = runtime.rflags();
  if (!runtime.write(gpr(frame, Gpr::rsp) - bytes, &value, bytes, true)) return HelperResult::fault;
  gpr(frame, Gpr::rsp) -= bytes;
  return HelperResult::next;
}

HelperResult do_pop_flags(Runtime& runtime, const Instruction& instruction) {
  Frame& frame = runtime.frame();
  const u64 bytes = instruction.z.operand_width == 16 ? 2 : 8;
  u64 value = runtime.rflags();
  if (!runtime.read(gpr(frame, Gpr::rsp), &value, bytes, true)) return HelperResult::fault;
  gpr(frame, Gpr::rsp) += bytes;
  runtime.set_rflags(value);
  if ((value & kFlagTrap) == 0) return HelperResult::next;
  runtime.set_helper_rip(instruction.next());  // the next instruction is single-stepped
  return HelperResult::leave;
}

// LEAVE with a 16-bit operand: the stack pointer is still all of RBP.
HelperResult do_leave16(Runtime& runtime) {
  Frame& frame = runtime.frame();
  const u64 rbp = gpr(frame, Gpr::rbp);
  u16 saved;
  if (!runtime.read(rbp, &saved, 2, true)) return HelperResult::fault;
  gpr(frame, Gpr::rsp) = rbp + 2;
  write_register(frame, ZYDIS_REGISTER_BP, saved);
  return HelperResult::next;
}

// Its accesses in the order in which it makes them: each push may be what a later read of the display finds. They are
// made once without effect, so that a fault leaves the memory as it was, and then in earnest.
HelperResult do_enter(Runtime& runtime, const Instruction& instruction) {
  Frame& frame = runtime.frame();
  const u64 size = instruction.operands[0].imm.value.u & 0xFFFF, level = instruction.operands[1].imm.value.u & 31;
  const u64 bytes = instruction.z.operand_width / 8;
  const u64 rsp = gpr(frame, Gpr::rsp), rbp = gpr(frame, Gpr::rbp), new_rbp = rsp - bytes;
  Va top = rsp;
  const auto push = [&](u64 value, bool in_earnest) {
    top -= bytes;
    return in_earnest ? runtime.write(top, &value, bytes, true) : runtime.may_write(top, bytes, true);
  };
  for (const bool in_earnest : {false, true}) {
    top = rsp;
    if (!push(rbp, in_earnest)) return HelperResult::fault;
    for (u64 n = 1; n < level; ++n) {
      u64 link = 0;
      if (!runtime.read(rbp - bytes * n, &link, bytes, true) || !push(link, in_earnest)) return HelperResult::fault;
    }
    if (level > 0 && !push(new_rbp, in_earnest)) return HelperResult::fault;
    // SDM vol. 2A, ENTER: it faults if a write at the final stack pointer would.
    if (!runtime.may_write(top - size, 1, true)) return HelperResult::fault;
  }
  if (bytes == 2)
    write_register(frame, ZYDIS_REGISTER_BP, new_rbp);
  else
    gpr(frame, Gpr::rbp) = new_rbp;
  gpr(frame, Gpr::rsp) = top - size;
  return HelperResult::next;
}

// BT, BTS, BTR, BTC with a register offset reach outside their operand (SDM vol. 2A, BT).
HelperResult do_bit_string(Runtime& runtime, const Instruction& instruction) {
  Frame& frame = runtime.frame();
  const u64 bytes = instruction.memory_size, bits = bytes * 8;
  const u64 raw = read_register(frame, instruction.operands[1].reg.value);
  const i64 offset = bytes == 8 ? static_cast<i64>(raw) : bytes == 4 ? static_cast<i32>(raw) : static_cast<i16>(raw);
  const i64 unit = offset >> std::countr_zero(bits);
  Va at = effective_address(frame, instruction.memory) + static_cast<u64>(unit) * bytes;
  const u64 mask = 1ull << (static_cast<u64>(offset) & (bits - 1));
  u64 value = 0;
  const bool writes = instruction.mnemonic() != ZYDIS_MNEMONIC_BT;
  // A read-modify-write faults as a write.
  if (writes && !runtime.may_write(at, bytes, instruction.memory.stack)) return HelperResult::fault;
  if (!runtime.read(at, &value, bytes, instruction.memory.stack)) return HelperResult::fault;
  const bool was = (value & mask) != 0;
  if (instruction.mnemonic() == ZYDIS_MNEMONIC_BTS) value |= mask;
  if (instruction.mnemonic() == ZYDIS_MNEMONIC_BTR) value &= ~mask;
  if (instruction.mnemonic() == ZYDIS_MNEMONIC_BTC) value ^= mask;
  if (writes && !runtime.write(at, &value, bytes, instruction.memory.stack)) return HelperResult::fault;
  set_flags(frame, (unpack_flags(frame.flags) & ~kCarry) | (was ? kCarry : 0));
  return HelperResult::next;
}

HelperResult do_xlat(Runtime& runtime, const Instruction& instruction) {
  Frame& frame = runtime.frame();
  MemoryOperand table = instruction.memory;
  table.base = static_cast<i8>(Gpr::rbx);
  table.index = -1;
  Va at = effective_address(frame, table) + (gpr(frame, Gpr::rax) & 0xFF);
  if (table.address32 && table.segment == 0) at &= 0xFFFF'FFFF;
  u8 value;
  if (!runtime.read(at, &value, 1)) return HelperResult::fault;
  write_register(frame, ZYDIS_REGISTER_AL, value);
  return HelperResult::next;
}

HelperResult do_one_string_step(Runtime& runtime, const Instruction& instruction) {
  const StringResult result = execute_string(runtime, instruction, 1);
  return result.fault ? HelperResult::fault : HelperResult::next;
}

}  // namespace

u64 read_register(const Frame& frame, ZydisRegister reg) {
  const RegisterName name = general_register(reg);
  const u64 value = frame.gpr[static_cast<std::size_t>(name.number)];
  if (name.high8) return (value >> 8) & 0xFF;
  return name.bytes == 8 ? value : value & ((1ull << (8 * name.bytes)) - 1);
}

void write_register(Frame& frame, ZydisRegister reg, u64 value) {
  const RegisterName name = general_register(reg);
  u64& target = frame.gpr[static_cast<std::size_t>(name.number)];
  if (name.high8)
    target = (target & ~0xFF00ull) | (value & 0xFF) << 8;
  else if (name.bytes == 8)
    target = value;
  else if (name.bytes == 4)
    target = value & 0xFFFF'FFFF;
  else if (name.bytes == 2)
    target = (target & ~0xFFFFull) | (value & 0xFFFF);
  else
    target = (target & ~0xFFull) | (value & 0xFF);
}

void set_flags(Frame& frame, u64 arithmetic_flags) { frame.flags = pack_flags(arithmetic_flags); }

Va effective_address(const Frame& frame, const MemoryOperand& operand) {
  u64 address = static_cast<u64>(operand.disp);
  if (operand.base >= 0) address += frame.gpr[static_cast<std::size_t>(operand.base)];
  if (operand.index >= 0) address += frame.gpr[static_cast<std::size_t>(operand.index)] << operand.scale;
  if (operand.address32) address &= 0xFFFF'FFFF;
  if (operand.segment == 'f') address += frame.fs_base;
  if (operand.segment == 'g') address += frame.gs_base;
  return address;
}

HelperResult execute_helper(Runtime& runtime, const Site& site) {
  if (site.instruction == nullptr) return check_divide(runtime, site);
  const Instruction& instruction = *site.instruction;
  if (instruction.x87_waits && runtime.x87_error_pending()) return runtime.raise(Vector::x87_error);
  if (instruction.form == Form::string) return do_one_string_step(runtime, instruction);
  if (instruction.form == Form::push_flags) return do_push_flags(runtime, instruction);
  if (instruction.z.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX) return execute_avx512(runtime, site);
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_CPUID:
      return do_cpuid(runtime);
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
      return do_time_stamp(runtime, site);
    case ZYDIS_MNEMONIC_RDRAND:
    case ZYDIS_MNEMONIC_RDSEED:
      return do_random(runtime, instruction);
    case ZYDIS_MNEMONIC_XGETBV:
      if (static_cast<u32>(gpr(runtime.frame(), Gpr::rcx)) != 0) return runtime.raise(Vector::general_protection);
      gpr(runtime.frame(), Gpr::rax) = runtime.state_components();
      gpr(runtime.frame(), Gpr::rdx) = 0;
      return HelperResult::next;
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFQ:
      return do_pop_flags(runtime, instruction);
    case ZYDIS_MNEMONIC_LEAVE:
      return do_leave16(runtime);
    case ZYDIS_MNEMONIC_ENTER:
      return do_enter(runtime, instruction);
    case ZYDIS_MNEMONIC_XLAT:
      return do_xlat(runtime, instruction);
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:
      return do_bit_string(runtime, instruction);
    default:
      break;
  }
  if (const HelperResult result = execute_segment(runtime, instruction); result != HelperResult::not_mine)
    return result;
  if (const HelperResult result = execute_state(runtime, instruction); result != HelperResult::not_mine) return result;
  const HelperResult result = execute_vector(runtime, instruction);
  const bool vex = instruction.z.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
  if (vex && result == HelperResult::next) clear_zmm_high(runtime.frame(), instruction);
  return result;
}

}  // namespace vitrine::cpu::translator
