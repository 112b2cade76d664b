// DecodeMemo: decodes like Decoder, and remembers. What an instruction is follows from its *head*, that is prefixes,
// opcode, ModRM and SIB; displacement and immediate are only numbers in it. So the decoded form of each head that was
// met is kept, and the next instruction with that head is a copy of it with its own numbers.
//
// Bounded: a head that falls into a slot in use replaces what is there. Gives the same answer as Decoder, always; a
// head is kept only after the full decoder has confirmed where it ends and how its numbers are read.
#pragma once

#include <cstddef>

#include "cpu/translator/arena.h"
#include "cpu/translator/decoder.h"

namespace vitrine::cpu::translator {

class DecodeMemo {
 public:
  explicit DecodeMemo(Arena& arena, bool avx512 = false);
  [[nodiscard]] DecodeResult decode(std::span<const u8> code, Va rip, Instruction& out);
  [[nodiscard]] const Decoder& decoder() const { return decoder_; }

 private:
  static constexpr std::size_t kOperands = 4;  // visible ones; an instruction with more is not kept
  static constexpr u32 kSlots = 1u << 13;      // a power of two
  // The numbers of an instruction and what follows from them.
  struct Numbers {
    u8 displacement_bytes = 0;
    u8 immediate_bytes = 0;
    bool immediate_signed = false;
    i8 memory_operand = -1, immediate_operand = -1;  // which they are
    bool rip_relative = false;
    bool counts = false;  // the immediate is the count of a shift: zero leaves the flags alone
  };
  // An instruction up to its last visible operand.
  struct Entry {
    Numbers numbers;
    u32 bytes = 0;
    alignas(Instruction)
        std::array<std::byte, offsetof(Instruction, operands) + kOperands * sizeof(ZydisDecodedOperand)> instruction;
  };
  struct Slot {
    u64 head = 0;  // 0: free
    Entry* entry = nullptr;
  };
  void keep(Slot& slot, u64 head, u32 head_bytes, const Instruction& instruction);

  Decoder decoder_;
  std::span<Slot, kSlots> slots_;
  Table<Entry> entries_;  // of the slots in use
};

}  // namespace vitrine::cpu::translator
