// FlagRecovery: whether the flags that an instruction of a block left may be lost at a later access, because nothing
// reads them before they are overwritten, and a fault in between can make them again from registers that still hold
// what they were made from. Plain analysis; emits nothing.
#pragma once

#include <span>

#include "cpu/translator/decoder.h"

namespace vitrine::cpu::translator {

enum class FlagRecovery : u8 {
  none,
  repeat,       // CMP, TEST: execute again
  test_result,  // AND, OR, XOR: flags of the result
  undo_redo,    // ADD, SUB, NEG: the opposite, then again
};

// How to make the flags of `instruction` again; `inputs`: the guest registers, as a mask, that must be as it left them.
[[nodiscard]] FlagRecovery flag_recovery(const Instruction& instruction, u32* inputs);

// True if the flags of instruction `writer` may be lost from instruction `access` on.
[[nodiscard]] bool may_lose_flags(std::span<const Instruction> block, u32 writer, u32 access);

// The guest registers that an instruction may write, as a mask.
[[nodiscard]] u32 written_registers(const Instruction& instruction);

}  // namespace vitrine::cpu::translator
