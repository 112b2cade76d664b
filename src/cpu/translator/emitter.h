// Emitter: appends x86-64 machine code to a buffer. Knows encodings, nothing of guests. The owner of the buffer
// guarantees room, eight bytes more than are emitted: encodings are put together in a register and written as a word.
#pragma once

#include <cstring>

#include "base/types.h"

namespace vitrine::cpu::translator {

enum class Width : u8 { b32 = 0, b64 = 1 };

// Condition codes as in Jcc.
enum class Condition : u8 { o, no, b, ae, e, ne, be, a, s, ns, p, np, l, ge, le, g };

// A host memory operand; -1: no register. `scale` is log2.
struct HostMemory {
  int base = -1;
  int index = -1;
  int scale = 0;
  i32 disp = 0;
};

class Emitter {
 public:
  void place(u8* at) { at_ = at; }
  [[nodiscard]] u8* here() const { return at_; }

  void byte(u32 value) { *at_++ = static_cast<u8>(value); }
  void dword(u32 value) { put(&value, sizeof value); }
  void qword(u64 value) { put(&value, sizeof value); }
  void put(const void* bytes, std::size_t count) {
    std::memcpy(at_, bytes, count);
    at_ += count;
  }
  // The low `count` bytes; writes eight, so what follows must be free.
  void put_low(u64 bytes, u32 count) {
    std::memcpy(at_, &bytes, sizeof bytes);
    at_ += count;
  }

  // `opcode` of one or two bytes (0x0FAF); `reg` is the ModRM register field or opcode extension.
  void op_memory(Width width, u32 opcode, int reg, HostMemory memory);
  void op_register(Width width, u32 opcode, int reg, int rm);
  void modrm_memory(int reg, HostMemory memory);
  // With four bytes of displacement: EVEX scales a single one. Precondition: there is a base.
  void modrm_memory_wide(int reg, HostMemory memory);

  void mov(int to, int from) {
    if (to != from) op_register(Width::b64, 0x89, from, to);
  }
  void mov32(int to, int from) { op_register(Width::b32, 0x89, from, to); }
  void mov_immediate(int to, u64 value);
  void load(int to, HostMemory from) { op_memory(Width::b64, 0x8B, to, from); }
  void load32(int to, HostMemory from) { op_memory(Width::b32, 0x8B, to, from); }
  void store(HostMemory to, int from) { op_memory(Width::b64, 0x89, from, to); }
  void store_immediate32(HostMemory to, u32 value) {
    op_memory(Width::b32, 0xC7, 0, to);
    dword(value);
  }
  void store_immediate64(HostMemory to, i32 value) {
    op_memory(Width::b64, 0xC7, 0, to);
    dword(static_cast<u32>(value));
  }
  void lea(int to, HostMemory address) { op_memory(Width::b64, 0x8D, to, address); }

  // Group 1 (`extension`: 0 add, 4 and, 5 sub, 6 xor, 7 cmp), always with a 32-bit immediate.
  void alu_immediate(Width width, int extension, int reg, i32 value);
  void alu_memory_immediate(Width width, int extension, HostMemory memory, i32 value);
  void shift_right(Width width, int reg, int count) {
    op_register(width, 0xC1, 5, reg);
    byte(static_cast<u32>(count));
  }
  void shift_left(Width width, int reg, int count) {
    op_register(width, 0xC1, 4, reg);
    byte(static_cast<u32>(count));
  }

  // RORX (BMI2): rotates 32 bits into another register, and leaves the flags alone.
  void rotate_right32(int to, int from, int count);

  // Jumps return the address of their 32-bit displacement, for `patch`.
  u8* jump();
  u8* jump(Condition condition);
  void jump(const u8* target) { patch(jump(), target); }
  void jump(Condition condition, const u8* target) { patch(jump(condition), target); }
  void call(const u8* target);
  void jump_memory(HostMemory memory) { op_memory(Width::b32, 0xFF, 4, memory); }

  static void patch(u8* displacement, const u8* target);

 private:
  u8* at_ = nullptr;
};

}  // namespace vitrine::cpu::translator
