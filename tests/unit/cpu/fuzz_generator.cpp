#include "fuzz_generator.h"

#include <algorithm>
#include <cstring>

namespace vitrine::cpu::test {
namespace {
using translator::DecodeResult;
using translator::Form;
using translator::Instruction;
constexpr u32 kArithmetic = 0x8D5;
constexpr int kRsp = 4, kRbp = 5;
}  // namespace

void FuzzGenerator::random_bytes(std::vector<u8>& out) {
  out.clear();
  const u64 kind = below(100);
  const auto prefix = [&](bool mandatory) {
    if (below(4) == 0) out.push_back(0x66);
    if (mandatory && below(3) == 0) out.push_back(below(2) != 0 ? 0xF2 : 0xF3);
    if (below(20) == 0) out.push_back(0x67);
    if (below(12) == 0) out.push_back(0xF0);
    if (below(2) == 0) out.push_back(static_cast<u8>(0x40 | below(16)));
  };
  if (kind < 65) {
    prefix(kind >= 30);
    if (kind >= 30) out.push_back(0x0F);
    if (kind >= 54) out.push_back(kind < 61 ? 0x38 : 0x3A);
  } else {
    out.push_back(0xC4);
    out.push_back(static_cast<u8>(below(8) << 5 | (1 + below(3))));
    out.push_back(static_cast<u8>(next()));
  }
  while (out.size() < 15) out.push_back(static_cast<u8>(next()));
  if (below(2) == 0) {  // short displacement or register forms more often than chance has it
    for (std::size_t n = 3; n < 7; ++n)
      if (below(3) == 0) out[n] |= 0xC0;
  }
}

void FuzzGenerator::append(FuzzProgram& program, std::span<const u8> bytes) {
  program.code.insert(program.code.end(), bytes.begin(), bytes.end());
}

void FuzzGenerator::move_immediate(FuzzProgram& program, int reg, u64 value) {
  u8 bytes[10] = {static_cast<u8>(0x48 | (reg >= 8 ? 1 : 0)), static_cast<u8>(0xB8 | (reg & 7))};
  std::memcpy(bytes + 2, &value, 8);
  append(program, bytes);
}

void FuzzGenerator::define_flags(FuzzProgram& program) {
  constexpr u8 kCompare[] = {0x39, 0xC8};  // cmp eax, ecx
  append(program, kCompare);
  program.undefined_flags = 0;
}

bool FuzzGenerator::acceptable(const Instruction& instruction) const {
  const auto& z = instruction.z;
  if ((z.attributes & (ZYDIS_ATTRIB_HAS_SEGMENT_FS | ZYDIS_ATTRIB_HAS_SEGMENT_GS)) != 0) return false;
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_FLDCW:
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FLDENV:
      return false;
    case ZYDIS_MNEMONIC_POP:
      if (instruction.has_memory) return false;
      break;
    default:
      break;
  }
  // PREFETCHW of a register: no operation on one vendor's processors, #UD on the other's.
  if (instruction.form == Form::nop && z.opcode == 0x0D && z.raw.modrm.mod == 3) return false;
  switch (instruction.form) {
    case Form::plain:
    case Form::nop:
    case Form::lea:
    case Form::push:
    case Form::pop:
    case Form::leave:
    case Form::divide:
    case Form::string:
      return true;
    case Form::helper:
      switch (instruction.mnemonic()) {
        case ZYDIS_MNEMONIC_VMASKMOVPS:
        case ZYDIS_MNEMONIC_VMASKMOVPD:
        case ZYDIS_MNEMONIC_VPMASKMOVD:
        case ZYDIS_MNEMONIC_VPMASKMOVQ:
        case ZYDIS_MNEMONIC_BT:
        case ZYDIS_MNEMONIC_BTS:
        case ZYDIS_MNEMONIC_BTR:
        case ZYDIS_MNEMONIC_BTC:
          return true;
        default:
          return false;
      }
    default:
      return false;
  }
}

// Stack, string and divide instructions need registers of their own.
bool FuzzGenerator::set_up_special(FuzzProgram& program, const Instruction& instruction) {
  const u64 middle = data_ + data_bytes_ / 2;
  switch (instruction.form) {
    case Form::push:
    case Form::pop:
      move_immediate(program, kRsp, middle + below(2048));
      return true;
    case Form::leave:
      move_immediate(program, kRbp, middle + below(2048));
      return true;
    case Form::string:
      move_immediate(program, 6, middle + below(4096));
      move_immediate(program, 7, middle - below(4096));
      move_immediate(program, 1, below(24));
      return true;
    case Form::divide: {
      if (instruction.operands[0].type != ZYDIS_OPERAND_TYPE_REGISTER) return false;
      const auto name = translator::general_register(instruction.operands[0].reg.value);
      if (name.number == 0 || name.number == 2) return false;
      move_immediate(program, 0, below(100));
      move_immediate(program, 2, 0);
      move_immediate(program, name.number, 0x0101'0101'0101'0101ull * (1 + below(100)));
      return true;
    }
    default:
      return true;
  }
}

bool FuzzGenerator::set_up_memory(FuzzProgram& program, Instruction& instruction, std::vector<u8>& bytes) {
  const translator::MemoryOperand& memory = instruction.memory;
  // A push needs RSP for itself.
  if (instruction.form == Form::push && (memory.base == kRsp || memory.index == kRsp)) return false;
  const u64 size = std::max<u64>(instruction.memory_size, 1);
  u64 target = data_ + 256 + below(data_bytes_ - 1024);
  if (below(6) == 0) target = data_ + kPageSize * (1 + below(data_bytes_ / kPageSize - 2)) - 1 - below(size + 8);
  if (instruction.memory_aligned || (instruction.z.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0)
    target &= ~(std::max<u64>(size, 16) - 1);
  if (instruction.z.mnemonic == ZYDIS_MNEMONIC_CLFLUSH) target &= ~63ull;
  if (instruction.form == Form::helper && instruction.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
    const auto offset = translator::general_register(instruction.operands[1].reg.value);
    if (offset.number >= 0) {  // a bit string: a small offset, in a register that is not part of the address
      if (offset.number == memory.base || offset.number == memory.index) return false;
      move_immediate(program, offset.number, below(3000) - 1500);
    }
  }
  if (memory.base < 0 && memory.index < 0) {
    if (instruction.z.raw.disp.size != 32 && instruction.z.raw.disp.size != 64) return false;
    bool relative = false;
    for (u8 n = 0; n < instruction.z.operand_count_visible; ++n) {
      if (instruction.operands[n].type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
      const ZydisRegister base = instruction.operands[n].mem.base;
      relative |= base == ZYDIS_REGISTER_RIP || base == ZYDIS_REGISTER_EIP;
    }
    const Va next = code_ + program.code.size() + instruction.z.length;
    const u64 value = relative ? target - next : target;
    std::memcpy(bytes.data() + instruction.z.raw.disp.offset, &value, instruction.z.raw.disp.size / 8);
    return true;
  }
  if (memory.address32 && (memory.base < 0 || memory.index == memory.base))
    return false;  // the sums below are 64 bits wide
  u64 index = 0;
  if (memory.index >= 0 && memory.index != memory.base) {
    index = memory.address32 ? below(1 << 20) : next();
    if (memory.base < 0) {  // [index * scale + disp32]
      if (instruction.memory_aligned || (instruction.z.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0) return false;
      index = (target - static_cast<u64>(memory.disp)) >> memory.scale;
      if ((index << memory.scale) + static_cast<u64>(memory.disp) + size > data_ + data_bytes_ - 64) return false;
    }
    move_immediate(program, memory.index, index);
  }
  if (memory.base >= 0) {
    u64 base = target - static_cast<u64>(memory.disp) - (index << memory.scale);
    if (memory.index == memory.base) {
      const u64 factor = 1 + (1ull << memory.scale);
      base = (target - static_cast<u64>(memory.disp)) / factor;
      if (static_cast<i64>(target - static_cast<u64>(memory.disp)) < 0 ||
          base * factor + static_cast<u64>(memory.disp) < data_ + 64)
        return false;
      if (instruction.memory_aligned || (instruction.z.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0) return false;
    }
    move_immediate(program, memory.base, memory.address32 ? base & 0xFFFF'FFFF : base);
  }
  return true;
}

bool FuzzGenerator::add_random(FuzzProgram& program) {
  std::vector<u8> bytes;
  random_bytes(bytes);
  Instruction instruction;
  if (decoder_.decode(bytes, code_, instruction) != DecodeResult::ok || !acceptable(instruction)) return false;
  FuzzProgram changed = program;
  if ((instruction.flags_read & program.undefined_flags) != 0) define_flags(changed);
  if (!set_up_special(changed, instruction)) return false;
  const bool uses = instruction.has_memory && instruction.form != Form::nop && instruction.form != Form::lea &&
                    instruction.form != Form::string;
  if (uses && !set_up_memory(changed, instruction, bytes)) return false;
  append(changed, std::span(bytes).first(instruction.z.length));
  if (instruction.z.cpu_flags != nullptr) {
    const auto* flags = instruction.z.cpu_flags;
    changed.undefined_flags &=
        ~((flags->modified | flags->set_0 | flags->set_1) & (instruction.full_flag_writer ? kArithmetic : 0));
    changed.undefined_flags |= flags->undefined & kArithmetic;
  }
  if (instruction.form == Form::divide) changed.undefined_flags = kArithmetic;
  program = std::move(changed);
  return true;
}

// A call whose return address is dropped, or one of
//   a jump, conditional or not, over some of the instructions that follow,
//   JMP first; second: ...; JMP end; first: ...; Jcc second; end:
void FuzzGenerator::add_jump(FuzzProgram& program) {
  constexpr u8 kJump = 0xEB, kJumpIf = 0x70;
  define_flags(program);
  if (below(4) == 0) {
    move_immediate(program, kRsp, data_ + data_bytes_ / 2 + below(2048));
    constexpr u8 kCallNext[] = {0xE8, 0, 0, 0, 0};
    append(program, kCallNext);
    return;
  }
  FuzzProgram changed;
  changed.code = program.code;
  const auto condition = static_cast<u8>(kJumpIf | below(16));
  const auto jump = [&](u8 opcode) {  // the place of its displacement
    changed.code.insert(changed.code.end(), {opcode, 0});
    return changed.code.size() - 1;
  };
  bool fits = true;
  const auto lead = [&](std::size_t displacement, std::size_t target) {
    const auto distance = static_cast<i64>(target) - static_cast<i64>(displacement + 1);
    fits &= distance == static_cast<i8>(distance);
    changed.code[displacement] = static_cast<u8>(distance);
  };
  const auto some = [&] {
    for (u64 n = 1 + below(2); n > 0;)
      if (add_random(changed)) --n;
  };
  if (below(3) != 0) {
    const std::size_t over = jump(below(4) == 0 ? kJump : condition);
    some();
    lead(over, changed.code.size());
  } else {
    const std::size_t to_first = jump(kJump), second = changed.code.size();
    some();
    const std::size_t to_end = jump(kJump);
    program.undefined_flags |= changed.undefined_flags;
    lead(to_first, changed.code.size());
    some();
    define_flags(changed);
    lead(jump(condition), second);
    lead(to_end, changed.code.size());
  }
  program.undefined_flags |= changed.undefined_flags;
  if (fits) program.code = std::move(changed.code);
}

FuzzProgram FuzzGenerator::generate(u32 instructions) {
  FuzzProgram program;
  program.undefined_flags = 0;
  for (u32 n = 0; n < instructions;) {
    if (below(10) == 0) {
      add_jump(program);
      ++n;
    } else if (add_random(program)) {
      ++n;
    }
  }
  return program;
}

}  // namespace vitrine::cpu::test
