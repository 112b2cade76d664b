#include "cpu/translator/decode_memo.h"

#include <cstring>
#include <memory>
#include <type_traits>

#include "cpu/translator/frame.h"

namespace vitrine::cpu::translator {
namespace {

constexpr u32 kLongestHead = 7;  // bytes; the eighth byte of the key is their number

// What a byte at the place of an opcode means (SDM vol. 2D, appendix A). Only a guess as far as heads are concerned:
// `keep` asks the full decoder where the head ends.
enum class Byte : u8 { opcode, opcode_modrm, prefix, rex, escape, vex2, vex3, other };

constexpr bool bit_of(const std::array<u32, 8>& bits, u32 n) { return (bits[n >> 5] >> (n & 31) & 1) != 0; }

// Opcodes of the first two maps that are followed by a ModRM byte, a bit for each.
constexpr std::array<u32, 8> kModrmPrimary = {0x0F0F'0F0F, 0x0F0F'0F0F, 0, 0xA08, 0x7FFF, 0, 0xFF0F'00C3, 0xC0C0'0000};
constexpr std::array<u32, 8> kModrmSecondary = {0xFFFF'200F, 0xFF0F,      0xFFFF'FFFF, 0xFF7F'FFFF,
                                                0xFFFF'0000, 0xFFFF'F838, 0xFFFF'00FF, 0xFFFF'FFFF};

constexpr std::array<Byte, 256> list_bytes() {
  std::array<Byte, 256> bytes{};
  for (u32 n = 0; n < 256; ++n) bytes[n] = bit_of(kModrmPrimary, n) ? Byte::opcode_modrm : Byte::opcode;
  for (const u32 n : {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3}) bytes[n] = Byte::prefix;
  for (u32 n = 0x40; n < 0x50; ++n) bytes[n] = Byte::rex;
  bytes[0x0F] = Byte::escape;
  bytes[0xC5] = Byte::vex2;
  bytes[0xC4] = Byte::vex3;
  bytes[0x62] = bytes[0x8F] = Byte::other;  // EVEX; XOP
  return bytes;
}
constexpr std::array<Byte, 256> kBytes = list_bytes();

// The number of bytes up to the opcode, and whether ModRM follows; 0 bytes: not for the memo.
struct Opcode {
  u32 bytes = 0;
  bool modrm = false;
};

Opcode after_escape(const u8* code, u32 at) {
  if (code[at] == 0x38 || code[at] == 0x3A) return {at + 2, true};
  return {at + 1, bit_of(kModrmSecondary, code[at])};
}

// Reads at most 7 bytes.
Opcode opcode_of(const u8* code) {
  u32 at = 0;
  while (kBytes[code[at]] == Byte::prefix) {
    if (++at == 3) return {};
  }
  if (kBytes[code[at]] == Byte::rex) ++at;
  switch (kBytes[code[at]]) {
    case Byte::opcode:
      return {at + 1, false};
    case Byte::opcode_modrm:
      return {at + 1, true};
    case Byte::escape:
      return after_escape(code, at + 1);
    case Byte::vex2:
      return {at + 3, bit_of(kModrmSecondary, code[at + 2])};
    case Byte::vex3:
      return {at + 4, (code[at + 1] & 31) != 1 || bit_of(kModrmSecondary, code[at + 3])};
    default:  // also a prefix after REX
      return {};
  }
}

// The head of the instruction in these eight bytes: its length in the upper byte, 0: not for the memo.
u64 head_of(const u8* code) {
  const Opcode opcode = opcode_of(code);
  u32 bytes = opcode.bytes;
  if (opcode.modrm) {
    if (bytes >= kLongestHead) return 0;
    const u8 modrm = code[bytes++];
    if (modrm < 0xC0 && (modrm & 7) == 4) ++bytes;
  }
  if (bytes == 0 || bytes > kLongestHead) return 0;
  u64 head;
  std::memcpy(&head, code, sizeof head);
  return (head & ((1ull << 8 * bytes) - 1)) | static_cast<u64>(bytes) << 56;
}

// A little-endian number of 0, 1, 2, 4 or 8 bytes.
u64 number_at(const u8* at, u8 bytes, bool is_signed) {
  u64 value = 0;
  std::memcpy(&value, at, bytes);
  const u32 unused = 64u - 8u * bytes;
  if (bytes == 0 || unused == 0 || !is_signed) return value;
  return static_cast<u64>(static_cast<i64>(value << unused) >> unused);
}

bool may_keep(Form form) {
  switch (form) {
    case Form::plain:
    case Form::nop:
    case Form::lea:
    case Form::jump:
    case Form::jump_if:
    case Form::jump_counted:
    case Form::call:
    case Form::ret:
    case Form::push:
    case Form::pop:
    case Form::leave:
    case Form::divide:
      return true;
    default:
      return false;
  }
}

}  // namespace

static_assert(std::is_trivially_copyable_v<Instruction> && std::is_standard_layout_v<Instruction>);

DecodeMemo::DecodeMemo(Arena& arena, bool avx512)
    : decoder_(avx512), slots_(static_cast<Slot*>(arena.allocate(kSlots * sizeof(Slot))), kSlots), entries_(arena) {
  std::uninitialized_value_construct(slots_.begin(), slots_.end());
}

DecodeResult DecodeMemo::decode(std::span<const u8> code, Va rip, Instruction& out) {
  if (code.size() < 8) return decoder_.decode(code, rip, out);
  const u64 head = head_of(code.data());
  if (head == 0) return decoder_.decode(code, rip, out);
  const u32 head_bytes = static_cast<u32>(head >> 56);
  Slot& slot = slots_[head * 0x9E37'79B9'7F4A'7C15ull >> 51];
  static_assert(kSlots == 1u << 13);
  if (slot.head != head) {
    const DecodeResult result = decoder_.decode(code, rip, out);
    if (result == DecodeResult::ok) keep(slot, head, head_bytes, out);
    return result;
  }
  const Entry& entry = *slot.entry;
  const Numbers& numbers = entry.numbers;
  const u32 length = head_bytes + numbers.displacement_bytes + numbers.immediate_bytes;
  if (length > code.size()) return DecodeResult::truncated;
  std::memcpy(static_cast<void*>(&out), entry.instruction.data(), entry.bytes);
  std::memcpy(out.bytes.data(), code.data(), length);
  out.rip = rip;
  if (numbers.displacement_bytes != 0) {
    const u64 value = number_at(code.data() + head_bytes, numbers.displacement_bytes, true);
    out.z.raw.disp.value = static_cast<i64>(value);
    out.memory.disp = static_cast<i64>(value + (numbers.rip_relative ? rip + length : 0));
    if (numbers.rip_relative && out.memory.address32) out.memory.disp &= 0xFFFF'FFFF;
    out.operands[static_cast<u8>(numbers.memory_operand)].mem.disp.value = static_cast<i64>(value);
  }
  if (numbers.immediate_bytes != 0) {
    const u64 value = number_at(code.data() + head_bytes + numbers.displacement_bytes, numbers.immediate_bytes,
                                numbers.immediate_signed);
    out.z.raw.imm[0].value.u = value;
    if (numbers.immediate_operand >= 0) out.operands[static_cast<u8>(numbers.immediate_operand)].imm.value.u = value;
    if (numbers.counts) out.full_flag_writer = out.flags_written == kArithmeticFlags && (value & 31) != 0;
  }
  return DecodeResult::ok;
}

// Keeps the instruction if its numbers are where and what they are expected to be.
void DecodeMemo::keep(Slot& slot, u64 head, u32 head_bytes, const Instruction& instruction) {
  const ZydisDecodedInstruction& z = instruction.z;
  if (!may_keep(instruction.form) || z.operand_count_visible > kOperands || z.raw.imm[1].size != 0) return;
  Numbers numbers;
  numbers.displacement_bytes = z.raw.disp.size / 8;
  numbers.immediate_bytes = z.raw.imm[0].size / 8;
  numbers.immediate_signed = z.raw.imm[0].is_signed != 0;
  if (head_bytes + numbers.displacement_bytes + numbers.immediate_bytes != z.length) return;
  const u8* const at = instruction.bytes.data() + head_bytes;
  if (numbers.displacement_bytes != 0) {
    if (z.raw.disp.offset != head_bytes) return;
    if (number_at(at, numbers.displacement_bytes, true) != static_cast<u64>(z.raw.disp.value)) return;
  }
  if (numbers.immediate_bytes != 0) {
    if (z.raw.imm[0].offset != head_bytes + numbers.displacement_bytes) return;
    if (number_at(at + numbers.displacement_bytes, numbers.immediate_bytes, numbers.immediate_signed) !=
        z.raw.imm[0].value.u)
      return;
  }
  for (u8 n = 0; n < z.operand_count_visible; ++n) {
    const ZydisDecodedOperand& operand = instruction.operands[n];
    if (operand.encoding == ZYDIS_OPERAND_ENCODING_IS4) return;  // an immediate that names a register
    if (operand.type == ZYDIS_OPERAND_TYPE_POINTER) return;
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
      if (numbers.memory_operand >= 0) return;
      if (numbers.displacement_bytes != 0 && operand.mem.disp.value != z.raw.disp.value) return;
      numbers.memory_operand = static_cast<i8>(n);
      numbers.rip_relative = operand.mem.base == ZYDIS_REGISTER_RIP || operand.mem.base == ZYDIS_REGISTER_EIP;
    }
    if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE && numbers.immediate_bytes != 0) {
      if (numbers.immediate_operand >= 0 || operand.imm.value.u != z.raw.imm[0].value.u) return;
      numbers.immediate_operand = static_cast<i8>(n);
    }
  }
  if (numbers.displacement_bytes != 0 && numbers.memory_operand < 0) return;
  numbers.counts = numbers.immediate_bytes != 0 && is_shift(instruction.mnemonic());
  if (slot.entry == nullptr) slot.entry = &entries_.push_back({});
  slot.head = head;
  slot.entry->numbers = numbers;
  slot.entry->bytes =
      static_cast<u32>(offsetof(Instruction, operands) + z.operand_count_visible * sizeof(ZydisDecodedOperand));
  std::memcpy(slot.entry->instruction.data(), &instruction, slot.entry->bytes);
}

}  // namespace vitrine::cpu::translator
