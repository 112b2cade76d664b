// FlagSource: how to make the flags of an instruction again, from registers that still hold what they were made from.
// So flags that nobody reads before they are overwritten need not be saved before an access: a fault in between makes
// them again. Plain analysis; emits nothing.
#pragma once

#include <span>

#include "cpu/translator/decoder.h"

namespace vitrine::cpu::translator {

struct FlagSource {
  enum class Operation : u8 {
    none,  // not to be had
    compare,
    test,      // also AND, OR, XOR, whose flags are those of `test to, to`
    add,       // undone and done again
    subtract,  // the same
    negate,    // the same
    // By `immediate`; these need what the register held before.
    shift_left,
    shift_right,
    shift_arithmetic,
  };
  Operation operation = Operation::none;
  u8 bytes = 0;
  i8 to = -1, from = -1;  // guest registers that the host holds in registers; `from` -1: `immediate`
  i32 immediate = 0;
  bool to_kept = false, from_kept = false;  // not in the register any more, but in Frame::kept[0] or [1]

  bool operator==(const FlagSource&) const = default;
  [[nodiscard]] explicit operator bool() const { return operation != Operation::none; }
  // The registers, as a mask, that must be as the instruction left them.
  [[nodiscard]] u32 inputs() const {
    if (!*this) return 0;
    return (to_kept ? 0 : 1u << to) | (from >= 0 && !from_kept && !(to_kept && from == to) ? 1u << from : 0);
  }
  [[nodiscard]] bool kept() const { return to_kept || from_kept; }
  // Different for different sources, 0 for none.
  [[nodiscard]] u64 packed() const;
};

// Of the flags that an instruction leaves.
[[nodiscard]] FlagSource flag_source(const Instruction& instruction);

// True if the flags may be lost from instruction `access` of a block on: nothing reads them, and wherever the block may
// be left, `inputs` are as they are before that instruction.
// `left_anywhere`: before each of its instructions, not only at accesses.
[[nodiscard]] bool may_lose_flags(std::span<const Instruction> block, u32 inputs, u32 access, bool left_anywhere);
// True if an access comes, at `from` or later, before all flags are overwritten.
[[nodiscard]] bool access_before_writer(std::span<const Instruction> block, u32 from);
// A block gains by losing the flags that it is entered with.
[[nodiscard]] bool gains_by_losing_flags(std::span<const Instruction> block);
// Of a shift by a constant whose flags are lost later in its block, if its operand is kept before it runs.
[[nodiscard]] FlagSource kept_shift(std::span<const Instruction> block, u32 at);

// True if the flags at instruction `from` are overwritten before anything reads them, accesses memory or may leave the
// block: then they may hold anything. `to`: the block may be left before that instruction.
[[nodiscard]] bool flags_die_unseen(std::span<const Instruction> block, u32 from, u32 to);

// The guest registers that an instruction may write, as a mask.
[[nodiscard]] u32 written_registers(const Instruction& instruction);

}  // namespace vitrine::cpu::translator
