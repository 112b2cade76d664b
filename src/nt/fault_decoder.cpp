#include "nt/fault_decoder.h"

#include <array>
#include <optional>

namespace vitrine::nt {
namespace {

constexpr u32 kLongestInstruction = 15;
constexpr u32 kMaximumPrefixes = 14;

// The bytes of one instruction, with its prefixes taken off.
struct Instruction {
  std::array<u8, kLongestInstruction + 1> bytes{};
  u32 length = 0;    // bytes that could be read
  u32 position = 0;  // of the opcode, later of what comes next
  u8 rex = 0;
  u8 segment = 0;  // 0x64, 0x65 or 0
  bool operand16 = false;
  bool address32 = false;

  [[nodiscard]] u8 peek() const { return position < length ? bytes[position] : 0; }
  u8 next() { return position < length ? bytes[position++] : 0; }
  i32 next_i32() {
    u32 value = 0;
    for (u32 i = 0; i < 4; ++i) value |= static_cast<u32>(next()) << (8 * i);
    return static_cast<i32>(value);
  }
};

std::optional<Instruction> fetch(mm::AddressSpace& space, Va rip) {
  Instruction i;
  u64 done = 0;
  (void)space.read(rip, std::as_writable_bytes(std::span(i.bytes).first(kLongestInstruction)), &done);
  i.length = static_cast<u32>(done);
  if (i.length == 0) return std::nullopt;
  for (u32 count = 0; count < kMaximumPrefixes; ++count) {
    const u8 byte = i.peek();
    if (byte == 0x66)
      i.operand16 = true;
    else if (byte == 0x67)
      i.address32 = true;
    else if (byte == 0x64 || byte == 0x65)
      i.segment = byte;
    else if (byte != 0x2E && byte != 0x36 && byte != 0x3E && byte != 0x26 && byte != 0xF0 && byte != 0xF2 &&
             byte != 0xF3)
      break;
    ++i.position;
  }
  if ((i.peek() & 0xF0) == 0x40) i.rex = i.next();
  return i;
}

// Address of the memory operand whose ModRM byte is `modrm`; consumes SIB and displacement. [SDM vol. 2A 2.1.5]
Va effective_address(Instruction& i, const cpu::GuestContext& registers, u8 modrm, Va rip) {
  const u8 mod = modrm >> 6;
  u8 rm = modrm & 7;
  Va address = 0;
  bool rip_relative = false;
  if (rm == 4) {
    const u8 sib = i.next();
    const u8 index = static_cast<u8>((sib >> 3 & 7) | (i.rex & 2) << 2);
    if (index != 4) address += registers.gpr[index] << (sib >> 6);
    rm = sib & 7;
    if (rm == 5 && mod == 0)
      address += static_cast<u64>(static_cast<i64>(i.next_i32()));
    else
      address += registers.gpr[rm | (i.rex & 1) << 3];
  } else if (rm == 5 && mod == 0) {
    rip_relative = true;
  } else {
    address += registers.gpr[rm | (i.rex & 1) << 3];
  }
  if (mod == 1) address += static_cast<u64>(static_cast<i64>(static_cast<i8>(i.next())));
  if (mod == 2 || rip_relative) address += static_cast<u64>(static_cast<i64>(i.next_i32()));
  if (rip_relative) address += rip + i.position;  // DIV and IDIV have no immediate: the instruction ends here
  if (i.address32) address &= 0xFFFF'FFFF;
  if (i.segment == 0x64) address += registers.fs_base;
  if (i.segment == 0x65) address += registers.gs_base;
  return address;
}

}  // namespace

bool divides_by_zero(mm::AddressSpace& space, const cpu::GuestContext& registers) {
  auto i = fetch(space, registers.rip);
  if (!i) return false;
  const u8 opcode = i->next();
  if (opcode != 0xF6 && opcode != 0xF7) return false;
  const u8 modrm = i->next();
  if ((modrm >> 3 & 7) < 6) return false;  // /6 DIV, /7 IDIV
  const u32 bytes = opcode == 0xF6 ? 1 : (i->rex & 8) != 0 ? 8 : i->operand16 ? 2 : 4;
  u64 divisor = 0;
  if (modrm >> 6 == 3) {
    const u8 number = static_cast<u8>((modrm & 7) | (i->rex & 1) << 3);
    const bool high_byte = bytes == 1 && i->rex == 0 && number >= 4;  // AH CH DH BH
    divisor = high_byte ? registers.gpr[number - 4] >> 8 : registers.gpr[number];
    if (bytes < 8) divisor &= (1ull << (8 * bytes)) - 1;
  } else {
    const Va address = effective_address(*i, registers, modrm, registers.rip);
    if (!is_success(space.read(address, std::as_writable_bytes(std::span(&divisor, 1)).first(bytes)))) return false;
  }
  return divisor == 0;
}

bool is_privileged_instruction(mm::AddressSpace& space, const cpu::GuestContext& registers) {
  auto i = fetch(space, registers.rip);
  if (!i) return false;
  const u8 opcode = i->next();
  if (opcode == 0xF4 || opcode == 0xFA || opcode == 0xFB) return true;                        // HLT CLI STI
  if (opcode >= 0x6C && opcode <= 0x6F) return true;                                          // INS OUTS
  if ((opcode >= 0xE4 && opcode <= 0xE7) || (opcode >= 0xEC && opcode <= 0xEF)) return true;  // IN OUT
  if (opcode != 0x0F) return false;
  const u8 second = i->next();
  const u8 extension = i->peek() >> 3 & 7;
  const bool memory_operand = i->peek() < 0xC0;
  switch (second) {
    case 0x00:
      return extension == 2 || extension == 3;  // LLDT LTR
    case 0x01:
      return (memory_operand && (extension == 2 || extension == 3)) || extension >= 6;  // LGDT LIDT LMSW INVLPG SWAPGS
    case 0x06:
    case 0x08:
    case 0x09:  // CLTS INVD WBINVD
    case 0x20:
    case 0x21:
    case 0x22:
    case 0x23:  // MOV to and from CR and DR
    case 0x30:
    case 0x32:
    case 0x33:
    case 0x35:
      return true;  // WRMSR RDMSR RDPMC SYSEXIT
    default:
      return false;
  }
}

}  // namespace vitrine::nt
