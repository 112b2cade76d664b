#include "cpu/translator/emitter.h"

namespace vitrine::cpu::translator {
namespace {

bool high(int reg) { return reg >= 8; }

// Up to eight bytes that become one write.
struct Bytes {
  u64 bits = 0;
  u32 count = 0;
  void add(u32 value, u32 bytes = 1) {
    bits |= static_cast<u64>(value) << 8 * count;
    count += bytes;
  }
};

// REX, unless it says nothing, and an opcode of one or two bytes.
Bytes head(u32 rex, u32 opcode) {
  Bytes out;
  if (rex != 0x40) out.add(rex);
  if (opcode > 0xFF) out.add(opcode >> 8);
  out.add(opcode & 0xFF);
  return out;
}

}  // namespace

void Emitter::modrm_memory(int reg, HostMemory memory) {
  const u32 field = static_cast<u32>(reg & 7) << 3;
  Bytes out;
  if (memory.base < 0) {  // [index * scale + disp32]
    out.add(field | 4u);
    out.add(static_cast<u32>(memory.scale) << 6 | static_cast<u32>(memory.index & 7) << 3 | 5u);
    out.add(static_cast<u32>(memory.disp), 4);
    return put_low(out.bits, out.count);
  }
  const bool sib = memory.index >= 0 || (memory.base & 7) == 4;
  u32 mode = 2;
  if (memory.disp == 0 && (memory.base & 7) != 5)
    mode = 0;
  else if (memory.disp >= -128 && memory.disp <= 127)
    mode = 1;
  const u32 base = static_cast<u32>(memory.base & 7);
  out.add(mode << 6 | field | (sib ? 4u : base));
  if (sib) {
    const u32 index = memory.index >= 0 ? static_cast<u32>(memory.index & 7) : 4u;
    out.add(static_cast<u32>(memory.scale) << 6 | index << 3 | base);
  }
  if (mode != 0) out.add(static_cast<u32>(memory.disp), mode == 1 ? 1 : 4);
  put_low(out.bits, out.count);
}

void Emitter::modrm_memory_wide(int reg, HostMemory memory) {
  const u32 base = static_cast<u32>(memory.base & 7),
            index = memory.index >= 0 ? static_cast<u32>(memory.index & 7) : 4u;
  byte(0x84u | static_cast<u32>(reg & 7) << 3);
  byte(static_cast<u32>(memory.scale) << 6 | index << 3 | base);
  dword(static_cast<u32>(memory.disp));
}

void Emitter::op_memory(Width width, u32 opcode, int reg, HostMemory memory) {
  const u32 rex = 0x40u | (width == Width::b64 ? 8u : 0u) | (high(reg) ? 4u : 0u) |
                  (memory.index >= 0 && high(memory.index) ? 2u : 0u) | (high(memory.base) ? 1u : 0u);
  const Bytes out = head(rex, opcode);
  put_low(out.bits, out.count);
  modrm_memory(reg, memory);
}

void Emitter::op_register(Width width, u32 opcode, int reg, int rm) {
  const u32 rex = 0x40u | (width == Width::b64 ? 8u : 0u) | (high(reg) ? 4u : 0u) | (high(rm) ? 1u : 0u);
  Bytes out = head(rex, opcode);
  out.add(0xC0u | static_cast<u32>(reg & 7) << 3 | static_cast<u32>(rm & 7));
  put_low(out.bits, out.count);
}

void Emitter::mov_immediate(int to, u64 value) {
  const auto as_signed = static_cast<i64>(value);
  if (value <= 0xFFFF'FFFF) {
    if (high(to)) byte(0x41);
    byte(0xB8u | static_cast<u32>(to & 7));
    dword(static_cast<u32>(value));
  } else if (as_signed == static_cast<i32>(as_signed)) {
    op_register(Width::b64, 0xC7, 0, to);
    dword(static_cast<u32>(value));
  } else {
    byte(0x48u | (high(to) ? 1u : 0u));
    byte(0xB8u | static_cast<u32>(to & 7));
    qword(value);
  }
}

void Emitter::alu_immediate(Width width, int extension, int reg, i32 value) {
  op_register(width, 0x81, extension, reg);
  dword(static_cast<u32>(value));
}

void Emitter::alu_memory_immediate(Width width, int extension, HostMemory memory, i32 value) {
  if (value >= -128 && value <= 127) {
    op_memory(width, 0x83, extension, memory);
    byte(static_cast<u32>(value));
    return;
  }
  op_memory(width, 0x81, extension, memory);
  dword(static_cast<u32>(value));
}

void Emitter::rotate_right32(int to, int from, int count) {
  byte(0xC4);
  byte((high(to) ? 0u : 0x80u) | 0x40u | (high(from) ? 0u : 0x20u) | 3u);
  byte(0x7B);
  byte(0xF0);
  byte(0xC0u | static_cast<u32>(to & 7) << 3 | static_cast<u32>(from & 7));
  byte(static_cast<u32>(count));
}

u8* Emitter::jump() {
  put_low(0xE9, 5);
  return at_ - 4;
}

u8* Emitter::jump(Condition condition) {
  put_low(0x800Fu | static_cast<u32>(condition) << 8, 6);
  return at_ - 4;
}

void Emitter::call(const u8* target) {
  put_low(0xE8, 5);
  patch(at_ - 4, target);
}

void Emitter::patch(u8* displacement, const u8* target) {
  const auto relative = static_cast<i32>(target - (displacement + 4));
  std::memcpy(displacement, &relative, sizeof relative);
}

}  // namespace vitrine::cpu::translator
