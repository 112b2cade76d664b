#include "cpu/translator/flag_recovery.h"

#include "cpu/translator/stubs.h"

namespace vitrine::cpu::translator {
namespace {

constexpr u32 kAll = 0xFFFF, kRsp = 1u << 4;

// A general register operand that the host holds in a register; -1 otherwise.
int resident(const ZydisDecodedOperand& operand, bool narrow) {
  if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) return -1;
  const RegisterName name = general_register(operand.reg.value);
  if (name.number < 0 || name.high8 || (!narrow && name.bytes < 4)) return -1;
  return host_register(name.number) >= 0 ? name.number : -1;
}

bool touches_memory(const Instruction& instruction) {
  return (instruction.has_memory && instruction.form != Form::lea && instruction.form != Form::nop) ||
         instruction.form == Form::push || instruction.form == Form::pop;
}

}  // namespace

u32 written_registers(const Instruction& instruction) {
  u32 written = 0;
  switch (instruction.form) {
    case Form::nop:
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

FlagRecovery flag_recovery(const Instruction& instruction, u32* inputs) {
  if (instruction.form != Form::plain || instruction.z.operand_count_visible == 0) return FlagRecovery::none;
  const ZydisDecodedOperand* const operands = instruction.operands.data();
  const ZydisMnemonic mnemonic = instruction.mnemonic();
  const int to = resident(operands[0], mnemonic == ZYDIS_MNEMONIC_CMP || mnemonic == ZYDIS_MNEMONIC_TEST);
  if (to < 0) return FlagRecovery::none;
  *inputs = 1u << to;
  const bool immediate = operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
      return FlagRecovery::test_result;
    case ZYDIS_MNEMONIC_NEG:
      return FlagRecovery::undo_redo;
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_TEST:
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_SUB:
      break;
    default:
      return FlagRecovery::none;
  }
  const bool repeat = mnemonic == ZYDIS_MNEMONIC_CMP || mnemonic == ZYDIS_MNEMONIC_TEST;
  if (!immediate) {
    const int from = resident(operands[1], repeat);
    if (from < 0 || (from == to && !repeat)) return FlagRecovery::none;
    *inputs |= 1u << from;
  }
  return repeat ? FlagRecovery::repeat : FlagRecovery::undo_redo;
}

bool may_lose_flags(std::span<const Instruction> block, u32 writer, u32 access) {
  u32 inputs = 0;
  if (flag_recovery(block[writer], &inputs) == FlagRecovery::none) return false;
  u32 written = 0;
  for (u32 n = writer + 1; n < block.size(); ++n) {
    const Instruction& instruction = block[n];
    if (n >= access) {
      switch (instruction.form) {
        case Form::plain:
        case Form::nop:
        case Form::lea:
        case Form::push:
        case Form::pop:
          break;
        default:
          return false;  // may leave the block
      }
      if (instruction.x87 || instruction.simd_float || instruction.reads_flags()) return false;
      if (touches_memory(instruction) && (written & inputs) != 0) return false;
      if (instruction.full_flag_writer) return true;
      if (instruction.flags_written != 0) return false;
    }
    written |= written_registers(instruction);
  }
  return false;
}

}  // namespace vitrine::cpu::translator
