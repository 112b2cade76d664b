#include "cpu/translator/decoder.h"

#include <algorithm>
#include <cstring>

#include "cpu/translator/flag_recovery.h"
#include "cpu/translator/frame.h"

namespace vitrine::cpu::translator {
namespace {

constexpr auto list_general_registers() {
  std::array<RegisterName, ZYDIS_REGISTER_MAX_VALUE + 1> names{};
  const auto list = [&](int first, int last, int number, bool high8, u8 bytes) {
    for (int reg = first; reg <= last; ++reg)
      names[static_cast<std::size_t>(reg)] = {static_cast<i8>(number + reg - first), high8, bytes};
  };
  list(ZYDIS_REGISTER_AL, ZYDIS_REGISTER_BL, 0, false, 1);
  list(ZYDIS_REGISTER_AH, ZYDIS_REGISTER_BH, 0, true, 1);
  list(ZYDIS_REGISTER_SPL, ZYDIS_REGISTER_R15B, 4, false, 1);
  list(ZYDIS_REGISTER_AX, ZYDIS_REGISTER_R15W, 0, false, 2);
  list(ZYDIS_REGISTER_EAX, ZYDIS_REGISTER_R15D, 0, false, 4);
  list(ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_R15, 0, false, 8);
  return names;
}
constexpr auto kGeneralRegisters = list_general_registers();

// Shifts and rotates leave the flags alone when the (masked) count is zero.
bool count_may_be_zero(const Instruction& instruction) {
  if (!is_shift(instruction.mnemonic())) return false;
  const u8 opcode = instruction.z.opcode;
  if (instruction.z.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (opcode == 0xD0 || opcode == 0xD1)) return false;
  if (instruction.z.raw.imm[0].size == 0) return true;
  return (instruction.z.raw.imm[0].value.u & 0x1F) == 0;
}

void note_flags(Instruction& out) {
  const ZydisAccessedFlags* flags = out.z.cpu_flags;
  if (flags == nullptr) return;
  out.flags_read = flags->tested & kArithmeticFlags;
  out.flags_written = (flags->modified | flags->set_0 | flags->set_1 | flags->undefined) & kArithmeticFlags;
  out.full_flag_writer = out.flags_written == kArithmeticFlags && !count_may_be_zero(out);
}

void note_memory(Instruction& out, const ZydisDecodedOperand& operand) {
  const ZydisDecodedOperandMem& mem = operand.mem;
  out.has_memory = true;
  // CLFLUSH looks at the byte that it is given and takes the line around it (SDM vol. 2A).
  out.memory_size = out.mnemonic() == ZYDIS_MNEMONIC_CLFLUSH ? 1 : static_cast<u16>(operand.size / 8);
  out.memory_written = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
  if (operand.element_type >= ZYDIS_ELEMENT_TYPE_FLOAT16) out.simd_float = true;
  MemoryOperand& memory = out.memory;
  memory = MemoryOperand{};
  memory.disp = mem.disp.has_displacement ? mem.disp.value : 0;
  memory.address32 = out.z.address_width == 32;
  // Without a base register whatever REX.B says (SDM vol. 2A table 2-3); Zydis 4.0 names R13 when the address size is
  // 32.
  const bool no_base =
      (out.z.attributes & ZYDIS_ATTRIB_HAS_SIB) != 0 && out.z.raw.modrm.mod == 0 && out.z.raw.sib.base == 5;
  if (no_base) memory.disp = out.z.raw.disp.value;
  if (mem.base == ZYDIS_REGISTER_RIP || mem.base == ZYDIS_REGISTER_EIP) {
    memory.disp += static_cast<i64>(out.next());
    if (memory.address32) memory.disp &= 0xFFFF'FFFF;
  } else if (mem.base != ZYDIS_REGISTER_NONE && !no_base) {
    memory.base = general_register(mem.base).number;
  }
  if (mem.index != ZYDIS_REGISTER_NONE) {
    memory.index = general_register(mem.index).number;
    memory.scale = static_cast<u8>(mem.scale == 8 ? 3 : mem.scale == 4 ? 2 : mem.scale == 2 ? 1 : 0);
  }
  if (mem.segment == ZYDIS_REGISTER_FS) memory.segment = 'f';
  if (mem.segment == ZYDIS_REGISTER_GS) memory.segment = 'g';
  memory.stack = mem.segment == ZYDIS_REGISTER_SS;
}

// XLAT: only the prefixes matter, the registers are implied.
void note_implied_memory(Instruction& out) {
  for (u8 n = 0; n < out.z.operand_count; ++n) {
    if (out.operands[n].type == ZYDIS_OPERAND_TYPE_MEMORY && !out.has_memory) note_memory(out, out.operands[n]);
  }
}

bool is_vector_register(ZydisRegister reg) {
  const ZydisRegisterClass kind = ZydisRegisterGetClass(reg);
  return kind == ZYDIS_REGCLASS_XMM || kind == ZYDIS_REGCLASS_YMM || kind == ZYDIS_REGCLASS_ZMM;
}

void note_register(Instruction& out, const ZydisDecodedOperand& operand) {
  const ZydisRegisterClass kind = ZydisRegisterGetClass(operand.reg.value);
  if (kind == ZYDIS_REGCLASS_MMX || kind == ZYDIS_REGCLASS_X87) out.x87 = true;
  if (is_vector_register(operand.reg.value) && operand.element_type >= ZYDIS_ELEMENT_TYPE_FLOAT16)
    out.simd_float = true;
}

// The control instructions that do not look for a pending exception (SDM vol. 1, 8.3.12).
bool is_no_wait(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_FNINIT:
    case ZYDIS_MNEMONIC_FNCLEX:
    case ZYDIS_MNEMONIC_FNSTCW:
    case ZYDIS_MNEMONIC_FNSTSW:
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FNSAVE:
      return true;
    default:
      return false;
  }
}

void note_x87(Instruction& out) {
  switch (out.z.meta.isa_set) {
    case ZYDIS_ISA_SET_X87:
    case ZYDIS_ISA_SET_FCMOV:
    case ZYDIS_ISA_SET_SSE3X87:
    case ZYDIS_ISA_SET_PENTIUMMMX:
    case ZYDIS_ISA_SET_SSE2MMX:
    case ZYDIS_ISA_SET_SSSE3MMX:
      out.x87 = true;
      break;
    default:
      break;
  }
  if (out.z.meta.category == ZYDIS_CATEGORY_X87_ALU || out.z.meta.category == ZYDIS_CATEGORY_FCMOV) out.x87 = true;
  if (!out.x87) return;
  out.x87_waits = !is_no_wait(out.mnemonic());
  out.simd_float = true;
  const u8 opcode = out.z.opcode;
  const bool escape = out.z.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && opcode >= 0xD8 && opcode <= 0xDF;
  switch (out.mnemonic()) {  // control instructions leave FIP alone (SDM vol. 1, 8.1.8)
    case ZYDIS_MNEMONIC_FNINIT:
    case ZYDIS_MNEMONIC_FNCLEX:
    case ZYDIS_MNEMONIC_FLDCW:
    case ZYDIS_MNEMONIC_FNSTCW:
    case ZYDIS_MNEMONIC_FNSTSW:
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FLDENV:
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_FWAIT:
      out.x87_address = false;
      break;
    default:
      out.x87_address = escape;
      break;
  }
}

// BSF, BSR and the like leave the destination alone for some sources.
bool may_keep_destination(ZydisMnemonic mnemonic) {
  return mnemonic == ZYDIS_MNEMONIC_BSF || mnemonic == ZYDIS_MNEMONIC_BSR;
}

// The field of the encoding that names a register operand; false: none does.
bool field_of(const ZydisDecodedOperand& operand, EncodedRegister::Field& field) {
  switch (operand.encoding) {
    case ZYDIS_OPERAND_ENCODING_MODRM_REG:
      field = EncodedRegister::Field::reg;
      return true;
    case ZYDIS_OPERAND_ENCODING_MODRM_RM:
      field = EncodedRegister::Field::rm;
      return true;
    case ZYDIS_OPERAND_ENCODING_NDSNDD:
      field = EncodedRegister::Field::vvvv;
      return true;
    case ZYDIS_OPERAND_ENCODING_OPCODE:
      field = EncodedRegister::Field::opcode;
      return true;
    default:
      return false;
  }
}

// The registers in the fields of the encoding.
void note_encoded_registers(Instruction& out) {
  out.register_count = 0;
  out.high8 = out.opcode_register = false;
  out.encoded = 0;
  for (u8 n = 0; n < out.z.operand_count_visible; ++n) {
    const ZydisDecodedOperand& operand = out.operands[n];
    if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
    const RegisterName name = general_register(operand.reg.value);
    if (operand.visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT) out.high8 |= name.high8;
    EncodedRegister encoded{name.number, {}, false, false};
    if (!field_of(operand, encoded.field)) continue;
    if (encoded.field == EncodedRegister::Field::opcode) out.opcode_register = true;
    if (name.number < 0 || name.high8) continue;
    encoded.written = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    // What keeps a part of its old value is read, too.
    const bool keeps = encoded.written && (name.bytes < 4 || may_keep_destination(out.mnemonic()) ||
                                           (operand.actions & ZYDIS_OPERAND_ACTION_CONDWRITE) != 0);
    encoded.read = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0 || keeps;
    out.registers[out.register_count++] = encoded;
    out.encoded = static_cast<u16>(out.encoded | 1u << name.number);
  }
}

}  // namespace

bool is_shift(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD:
      return true;
    default:
      return false;
  }
}

RegisterName general_register(ZydisRegister reg) { return kGeneralRegisters[static_cast<std::size_t>(reg)]; }

Decoder::Decoder(bool avx512) : avx512_(avx512) {
  ZydisDecoderInit(&zydis_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

DecodeResult Decoder::decode(std::span<const u8> code, Va rip, Instruction& out) const {
  ZydisDecoderContext decoding;
  const ZyanStatus status = ZydisDecoderDecodeInstruction(&zydis_, &decoding, code.data(), code.size(), &out.z);
  if (status == ZYDIS_STATUS_NO_MORE_DATA) return DecodeResult::truncated;
  if (!ZYAN_SUCCESS(status)) return DecodeResult::invalid;
  const auto decode_operands = [&](u8 count) {
    return ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&zydis_, &decoding, &out.z, out.operands.data(), count));
  };
  if (!decode_operands(out.z.operand_count_visible)) return DecodeResult::invalid;
  out.rip = rip;
  std::memcpy(out.bytes.data(), code.data(), out.z.length);
  out.x87 = out.x87_address = out.x87_waits = out.simd_float = out.full_flag_writer = false;
  out.flags_read = out.flags_written = 0;
  out.has_memory = out.memory_written = out.memory_aligned = false;
  out.memory = {};
  for (u8 n = 0; n < out.z.operand_count_visible; ++n) {
    const ZydisDecodedOperand& operand = out.operands[n];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) note_register(out, operand);
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && !out.has_memory) note_memory(out, operand);
  }
  // Zydis 4.0 calls their elements integers.
  if (out.mnemonic() == ZYDIS_MNEMONIC_ROUNDSS || out.mnemonic() == ZYDIS_MNEMONIC_ROUNDSD) out.simd_float = true;
  note_x87(out);
  note_flags(out);
  out.form = classify(out, avx512_);
  if (out.form == Form::helper || out.form == Form::string) {  // C++ executes them with their implied operands
    if (!decode_operands(out.z.operand_count)) return DecodeResult::invalid;
    if (out.mnemonic() == ZYDIS_MNEMONIC_XLAT) note_implied_memory(out);
  }
  out.memory_aligned = out.has_memory && requires_alignment(out);
  note_encoded_registers(out);
  out.written = static_cast<u16>(written_registers(out));
  switch (out.form) {
    case Form::plain:
    case Form::nop:
    case Form::lea:
    case Form::push:
    case Form::pop:
    case Form::push_flags:
    case Form::leave:
    case Form::direction:
    case Form::divide:
    case Form::helper:
    case Form::masked:
      out.ends_block = false;
      break;
    case Form::string:
      out.ends_block =
          (out.z.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0;
      break;
    default:
      out.ends_block = true;
      break;
  }
  return DecodeResult::ok;
}

}  // namespace vitrine::cpu::translator
