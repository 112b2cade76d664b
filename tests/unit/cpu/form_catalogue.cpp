#include "form_catalogue.h"

#include <fmt/format.h>

#include <set>

namespace vitrine::cpu::test {
namespace {
using translator::Decoder;
using translator::DecodeResult;
using translator::Form;
using translator::Instruction;

std::string operand_name(const ZydisDecodedOperand& operand) {
  switch (operand.type) {
    case ZYDIS_OPERAND_TYPE_REGISTER: {
      const ZydisRegister reg = operand.reg.value;
      const ZydisRegisterClass kind = ZydisRegisterGetClass(reg);
      const auto name = translator::general_register(reg);
      if (operand.visibility == ZYDIS_OPERAND_VISIBILITY_IMPLICIT) return ZydisRegisterGetString(reg);
      if (kind == ZYDIS_REGCLASS_SEGMENT) return ZydisRegisterGetString(reg);
      return fmt::format("r{}{}", operand.size, name.high8 ? "h" : name.number >= 0 ? "" : "v");
    }
    case ZYDIS_OPERAND_TYPE_MEMORY: {
      const char* kind = operand.mem.type == ZYDIS_MEMOP_TYPE_VSIB   ? "vm"
                         : operand.mem.type == ZYDIS_MEMOP_TYPE_AGEN ? "a"
                                                                     : "m";
      return fmt::format("{}{}", kind, operand.size);
    }
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
      return fmt::format("{}{}", operand.imm.is_relative != 0 ? "rel" : "imm", operand.size);
    default:
      return "ptr";
  }
}

// Encodings of one opcode: memory operands and register operands for each value of the ModRM byte's middle field.
void visit_opcode(Encoding encoding, bool all_registers, const auto& visit) {
  encoding.has_modrm = false;
  if (!visit(encoding)) return;
  encoding.has_modrm = true;
  for (u32 modrm = 0; modrm < 0x100; ++modrm) {
    const bool memory = modrm < 0x40, registers = modrm >= 0xC0;
    const u32 rm = modrm & 7;
    if (!(rm == 0 ? memory || registers : memory ? rm == 4 : registers && all_registers)) continue;
    encoding.modrm = static_cast<u8>(modrm);
    (void)visit(encoding);
  }
}

}  // namespace

std::vector<u8> encode(const Encoding& encoding, const FreeFields& fields) {
  std::vector<u8> out = fields.address_prefixes;
  out.insert(out.end(), encoding.prefixes.begin(), encoding.prefixes.end());
  if (encoding.vex) {
    out.push_back(0xC4);
    out.push_back(static_cast<u8>((~fields.rex & 7) << 5 | encoding.map));
    out.push_back(
        static_cast<u8>((encoding.w ? 0x80 : 0) | (fields.vvvv & 15) << 3 | (encoding.l ? 4 : 0) | encoding.pp));
  } else {
    const u8 rex = static_cast<u8>((encoding.w ? 8 : 0) | fields.rex);
    if (rex != 0) out.push_back(0x40 | rex);
    if (encoding.map != 0) out.push_back(0x0F);
    if (encoding.map >= 2) out.push_back(encoding.map == 2 ? 0x38 : 0x3A);
  }
  out.push_back(encoding.opcode);
  if (encoding.has_modrm) out.push_back(fields.modrm);
  if (fields.sib) out.push_back(*fields.sib);
  out.insert(out.end(), fields.tail.begin(), fields.tail.end());
  if (out.size() > ZYDIS_MAX_INSTRUCTION_LENGTH) out.resize(ZYDIS_MAX_INSTRUCTION_LENGTH);
  return out;
}

std::string form_name(const Instruction& instruction, const Encoding& encoding) {
  std::string name = ZydisMnemonicGetString(instruction.mnemonic());
  for (u8 n = 0; n < instruction.z.operand_count_visible; ++n)
    name += (n == 0 ? " " : ",") + operand_name(instruction.operands[n]);
  name += encoding.vex ? fmt::format(" (vex.{} {}", encoding.l ? 256 : 128, encoding.pp) : " (";
  for (u8 prefix : encoding.prefixes) name += fmt::format("{:02x} ", prefix);
  return name + fmt::format("{}{}:{:02x})", encoding.w ? "w" : "", encoding.map, encoding.opcode);
}

std::vector<CodeForm> list_forms(const Decoder& decoder) {
  std::vector<CodeForm> forms;
  std::set<std::string> seen;
  // True if the opcode has a ModRM byte.
  const auto visit = [&](const Encoding& encoding) {
    FreeFields fields;
    fields.modrm = encoding.modrm;
    fields.vvvv = encoding.vvvv;
    if (encoding.has_modrm && encoding.modrm < 0xC0 && (encoding.modrm & 7) == 4) fields.sib = u8{0x14};  // [rsp+rdx]
    std::vector<u8> bytes = encode(encoding, fields);
    bytes.resize(ZYDIS_MAX_INSTRUCTION_LENGTH);
    Instruction instruction;
    if (decoder.decode(bytes, 0x1'4000'0000, instruction) != DecodeResult::ok) return true;
    const bool modrm = (instruction.z.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0;
    if (modrm != encoding.has_modrm) return modrm;
    if (instruction.form == Form::refused || instruction.form == Form::invalid || instruction.form == Form::privileged)
      return modrm;
    std::string name = form_name(instruction, encoding);
    if (!seen.insert(name).second) return modrm;
    forms.push_back({std::move(name), encoding, instruction.mnemonic(), instruction.form, instruction.has_memory});
    return modrm;
  };
  const std::vector<std::vector<u8>> prefixes = {{},           {0x66},       {0xF2},       {0xF3},       {0xF0},
                                                 {0x66, 0xF2}, {0x66, 0xF3}, {0x66, 0xF0}, {0xF2, 0xF0}, {0xF3, 0xF0}};
  for (u32 map = 0; map < 4; ++map) {
    for (u32 opcode = 0; opcode < 0x100; ++opcode) {
      const bool is_prefix =
          map == 0 && ((opcode & 0xF0) == 0x40 || opcode == 0x0F || opcode == 0x66 || opcode == 0x67 ||
                       opcode == 0xF0 || opcode == 0xF2 || opcode == 0xF3 || opcode == 0xC4 || opcode == 0xC5 ||
                       opcode == 0x62 || (opcode & 0xE7) == 0x26 || opcode == 0x64 || opcode == 0x65);
      const bool is_map = map == 1 && (opcode == 0x38 || opcode == 0x3A);
      if (is_prefix || is_map) continue;
      for (const auto& set : prefixes) {
        for (const bool w : {false, true}) {
          Encoding encoding;
          encoding.prefixes = set, encoding.map = static_cast<u8>(map), encoding.opcode = static_cast<u8>(opcode),
          encoding.w = w;
          visit_opcode(encoding, map < 2, visit);
        }
      }
    }
  }
  for (u32 fields = 0; fields < 3 * 32 * 0x100; ++fields) {
    Encoding encoding;
    encoding.vex = true;
    encoding.opcode = static_cast<u8>(fields);
    const u32 rest = fields >> 8;
    encoding.map = static_cast<u8>(1 + rest / 32), encoding.pp = rest & 3, encoding.l = (rest & 4) != 0,
    encoding.w = (rest & 8) != 0;
    encoding.vvvv = (rest & 16) != 0 ? 0xF : 0xC;
    visit_opcode(encoding, false, visit);
  }
  return forms;
}

}  // namespace vitrine::cpu::test
