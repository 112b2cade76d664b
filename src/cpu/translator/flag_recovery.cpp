#include "cpu/translator/flag_recovery.h"

#include "cpu/translator/stubs.h"

namespace vitrine::cpu::translator {
namespace {

constexpr u32 kAll = 0xFFFF, kRsp = 1u << 4;

// A general register operand that the host holds in a register; -1 otherwise.
i8 resident(const ZydisDecodedOperand& operand) {
  if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) return -1;
  const RegisterName name = general_register(operand.reg.value);
  return name.number >= 0 && !name.high8 && host_register(name.number) >= 0 ? name.number : i8{-1};
}

bool touches_memory(const Instruction& instruction) {
  return (instruction.has_memory && instruction.form != Form::lea && instruction.form != Form::nop) ||
         instruction.form == Form::push || instruction.form == Form::pop;
}

}  // namespace

u32 written_registers(const Instruction& instruction) {
  u32 written = 0;
  if (instruction.is_direct_jump()) return 0;
  switch (instruction.form) {
    case Form::nop:
    case Form::jump_if:
      return 0;
    case Form::plain:
    case Form::lea:
      break;
    case Form::push:
      return kRsp;
    case Form::pop:
      written = kRsp;
      break;
    default:
      return kAll;
  }
  // Hidden operands are not decoded: whatever has any besides RFLAGS and MXCSR may write any register.
  const u32 hidden = instruction.z.operand_count - instruction.z.operand_count_visible;
  const u32 flags = (instruction.flags_read | instruction.flags_written) != 0 ? 1 : 0;
  const u32 mxcsr = instruction.simd_float && !instruction.x87 ? 1 : 0;
  if (instruction.form == Form::plain && hidden > flags + mxcsr) return kAll;
  for (u8 n = 0; n < instruction.z.operand_count_visible; ++n) {
    const ZydisDecodedOperand& operand = instruction.operands[n];
    if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
    if ((operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0) continue;
    const int guest = general_register(operand.reg.value).number;
    if (guest >= 0) written |= 1u << guest;
  }
  return written;
}

u64 FlagSource::packed() const {
  return static_cast<u64>(operation) | static_cast<u64>(bytes) << 4 | static_cast<u64>(to & 31) << 8 |
         static_cast<u64>(from & 31) << 16 | static_cast<u64>(static_cast<u32>(immediate)) << 24;
}

FlagSource flag_source(const Instruction& instruction) {
  using Operation = FlagSource::Operation;
  if (instruction.form != Form::plain || !instruction.full_flag_writer) return {};
  if (instruction.z.operand_count_visible == 0) return {};
  const ZydisDecodedOperand* const operands = instruction.operands.data();
  const i8 to = resident(operands[0]);
  if (to < 0) return {};
  FlagSource source{Operation::none, static_cast<u8>(operands[0].size / 8), to, -1, 0};
  bool keeps_operands = false;
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
      source.operation = Operation::test;
      source.from = to;
      return source;
    case ZYDIS_MNEMONIC_NEG:
      source.operation = Operation::negate;
      return source;
    case ZYDIS_MNEMONIC_CMP:
      source.operation = Operation::compare;
      keeps_operands = true;
      break;
    case ZYDIS_MNEMONIC_TEST:
      source.operation = Operation::test;
      keeps_operands = true;
      break;
    case ZYDIS_MNEMONIC_ADD:
      source.operation = Operation::add;
      break;
    case ZYDIS_MNEMONIC_SUB:
      source.operation = Operation::subtract;
      break;
    default:
      return {};
  }
  if (operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    source.immediate = static_cast<i32>(operands[1].imm.value.s);
    return source;
  }
  source.from = resident(operands[1]);
  return source.from < 0 || (source.from == to && !keeps_operands) ? FlagSource() : source;
}

bool flags_die_unseen(std::span<const Instruction> block, u32 from, u32 to) {
  for (u32 n = from; n < block.size() && n < to; ++n) {
    const Instruction& instruction = block[n];
    const bool known = instruction.form == Form::plain || instruction.form == Form::nop ||
                       instruction.form == Form::lea || instruction.is_direct_jump();
    if (!known || touches_memory(instruction)) return false;
    if (instruction.x87 || instruction.simd_float || instruction.reads_flags()) return false;
    if (instruction.full_flag_writer) return true;
  }
  return false;
}

bool may_lose_flags(std::span<const Instruction> block, u32 inputs, u32 access, bool left_anywhere) {
  u32 written = 0;
  for (const Instruction& instruction : block.subspan(access)) {
    switch (instruction.form) {
      case Form::plain:
      case Form::nop:
      case Form::lea:
      case Form::push:
      case Form::pop:
        break;
      default:
        if (!instruction.is_direct_jump()) return false;  // may leave the block
        break;
    }
    if (instruction.x87 || instruction.simd_float || instruction.reads_flags()) return false;
    if ((left_anywhere || touches_memory(instruction)) && (written & inputs) != 0) return false;
    if (instruction.full_flag_writer) return true;
    if (instruction.flags_written != 0) {
      if (left_anywhere) return false;
      const auto next = static_cast<u32>(&instruction - block.data()) + 1;
      return !touches_memory(instruction) && flags_die_unseen(block, next, static_cast<u32>(block.size()));
    }
    written |= instruction.written;
  }
  return false;
}

bool access_before_writer(std::span<const Instruction> block, u32 from) {
  for (const Instruction& instruction : block.subspan(from)) {
    if (touches_memory(instruction)) return true;
    if (instruction.full_flag_writer) return false;
  }
  return false;
}

bool gains_by_losing_flags(std::span<const Instruction> block) {
  return access_before_writer(block, 0) && may_lose_flags(block, 0, 0, false);
}

FlagSource kept_shift(std::span<const Instruction> block, u32 at) {
  using Operation = FlagSource::Operation;
  const Instruction& instruction = block[at];
  if (instruction.form != Form::plain || !instruction.full_flag_writer || instruction.z.operand_count_visible == 0)
    return {};
  FlagSource source;
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_SHL:
      source.operation = Operation::shift_left;
      break;
    case ZYDIS_MNEMONIC_SHR:
      source.operation = Operation::shift_right;
      break;
    case ZYDIS_MNEMONIC_SAR:
      source.operation = Operation::shift_arithmetic;
      break;
    default:
      return {};
  }
  source.to = resident(instruction.operands[0]);
  if (source.to < 0) return {};
  source.bytes = static_cast<u8>(instruction.operands[0].size / 8);
  source.immediate = instruction.z.raw.imm[0].size == 0 ? 1 : static_cast<i32>(instruction.z.raw.imm[0].value.u & 0xFF);
  source.to_kept = true;
  const bool pays = access_before_writer(block, at + 1) && may_lose_flags(block, 0, at + 1, false);
  return pays ? source : FlagSource();
}

}  // namespace vitrine::cpu::translator
