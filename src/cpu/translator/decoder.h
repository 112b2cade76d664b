// Decoder: one guest instruction as the translator needs to see it: Zydis' view plus the form that says how it is
// translated. The forms are the allow-list: whatever has no form of its own in instruction_table.cpp is refused.
#pragma once

#include <Zydis/Zydis.h>

#include <array>
#include <span>

#include "base/types.h"

namespace vitrine::cpu::translator {

enum class Form : u8 {
  refused,     // not on the allow-list: #UD, named in Translator::unsupported
  invalid,     // UD0/UD1/UD2: #UD, as the program meant it
  privileged,  // #GP(0) in user mode
  plain,       // emitted as it is; memory operands and reserved registers rewritten
  nop,         // nothing to do (hints, prefetches)
  lea,
  jump,
  jump_if,
  jump_counted,
  call,
  ret,
  push,
  pop,
  push_flags,
  leave,
  direction,  // CLD, STD
  divide,
  string,  // executed by the dispatcher when repeated, by a helper otherwise
  helper,  // executed by C++ (helpers.h)
  masked,  // AVX-512 with a masked memory operand: runs on a copy of what the mask lets it touch
  system_call,
  breakpoint,
  interrupt,
  debug_trap,
  pause,
};

// One explicit memory operand.
struct MemoryOperand {
  i8 base = -1;  // guest GPR number, -1: none (RIP-relative is folded into disp)
  i8 index = -1;
  u8 scale = 0;    // log2
  i8 segment = 0;  // 0, or 'f' / 'g'
  bool address32 = false;
  bool stack = false;  // default segment is SS: a non-canonical address is #SS
  i64 disp = 0;
};

// A general register named by a field of the encoding.
struct EncodedRegister {
  enum class Field : u8 { reg, rm, vvvv, opcode };
  i8 number = -1;  // guest GPR; the high byte registers are not listed
  Field field = Field::reg;
  bool read = false, written = false;
};

struct Instruction {
  ZydisDecodedInstruction z;
  std::array<u8, ZYDIS_MAX_INSTRUCTION_LENGTH> bytes;
  Va rip = 0;
  Form form = Form::refused;
  bool ends_block = false;
  bool x87 = false;               // uses the x87/MMX register file
  bool x87_address = false;       // an x87 instruction that updates FIP
  bool x87_waits = false;         // an x87 exception that is pending comes before anything else that it does
  bool simd_float = false;        // may raise a host FP exception
  bool full_flag_writer = false;  // overwrites every arithmetic flag, whatever they were
  u32 flags_read = 0, flags_written = 0;
  // The explicit memory operand, when there is one.
  bool has_memory = false, memory_written = false, memory_aligned = false;
  u16 memory_size = 0;
  MemoryOperand memory;
  std::array<EncodedRegister, 4> registers;
  u8 register_count = 0;
  bool high8 = false;            // names AH, CH, DH or BH
  bool opcode_register = false;  // the opcode's low bits are a register of whatever kind
  u16 encoded = 0;               // the numbers of `registers`, as a mask
  u16 written = 0;               // the guest registers that it may write, as a mask
  // The visible ones; all of them where C++ executes the instruction (helpers and strings). Last, so that a copy can
  // leave out the rest.
  std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands;

  [[nodiscard]] Va next() const { return rip + z.length; }
  [[nodiscard]] bool is_direct_jump() const {
    return form == Form::jump && operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
  }
  // Of a direct jump or call.
  [[nodiscard]] Va target() const { return next() + static_cast<u64>(operands[0].imm.value.s); }
  [[nodiscard]] ZydisMnemonic mnemonic() const { return z.mnemonic; }
  [[nodiscard]] bool reads_flags() const { return flags_read != 0; }
  // The flags must be in the host's register before it runs.
  [[nodiscard]] bool needs_flags() const { return flags_read != 0 || (flags_written != 0 && !full_flag_writer); }
};

enum class DecodeResult : u8 { ok, invalid, truncated };

class Decoder {
 public:
  // `avx512`: instructions of x86-64-v4 are allowed.
  explicit Decoder(bool avx512 = false);
  // Decodes the instruction at guest address `rip` from the bytes that follow it in memory.
  [[nodiscard]] DecodeResult decode(std::span<const u8> code, Va rip, Instruction& out) const;

 private:
  ZydisDecoder zydis_;
  bool avx512_;
};

// instruction_table.cpp: the allow-list.
[[nodiscard]] Form classify(const Instruction& instruction, bool avx512);
// Legacy SSE instructions that take 16-byte operands at any address, and VEX instructions that do not (SDM vol.
// 1, 14.9).
[[nodiscard]] bool requires_alignment(const Instruction& instruction);

// Shifts and rotates, also of two registers.
[[nodiscard]] bool is_shift(ZydisMnemonic mnemonic);

struct RegisterName {
  i8 number = -1;      // GPR number, -1: not a general register
  bool high8 = false;  // AH, CH, DH, BH (number 0-3)
  u8 bytes = 0;
};
[[nodiscard]] RegisterName general_register(ZydisRegister reg);

}  // namespace vitrine::cpu::translator
