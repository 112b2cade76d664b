// Helpers: instructions that C++ executes on the guest state in Frame. One function per family; each checks everything
// before it changes anything, so that a fault leaves the guest as it was before the instruction.
#pragma once

#include "cpu/translator/runtime.h"

namespace vitrine::cpu::translator {

// helpers_segment.cpp: segment registers, descriptors, far branches.
[[nodiscard]] HelperResult execute_segment(Runtime& runtime, const Instruction& instruction);
// helpers_state.cpp: FXSAVE, XSAVE, FNSTENV and their opposites, LDMXCSR.
[[nodiscard]] HelperResult execute_state(Runtime& runtime, const Instruction& instruction);
// helpers_vector.cpp: masked moves, gathers, reciprocal estimates.
[[nodiscard]] HelperResult execute_vector(Runtime& runtime, const Instruction& instruction);

// helpers_avx512.cpp: gathers and scatters, and both halves of a masked access.
[[nodiscard]] HelperResult execute_avx512(Runtime& runtime, const Site& site);
// A VEX instruction clears what lies above the halves that it knows of its vector destinations.
void clear_zmm_high(Frame& frame, const Instruction& instruction);

// General registers by their Zydis names, with x86's rules for partial writes.
[[nodiscard]] u64 read_register(const Frame& frame, ZydisRegister reg);
void write_register(Frame& frame, ZydisRegister reg, u64 value);
void set_flags(Frame& frame, u64 arithmetic_flags);

// The number of the XMM or YMM register of an operand.
[[nodiscard]] inline std::size_t vector_number(const ZydisDecodedOperand& operand) {
  return static_cast<std::size_t>(ZydisRegisterGetId(operand.reg.value));
}

}  // namespace vitrine::cpu::translator
