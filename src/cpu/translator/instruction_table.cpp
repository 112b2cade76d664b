// The allow-list. An instruction passes to the host only if its name or its instruction set appears here (DESIGN
// 3.11). The virtual
// processor is x86-64-v3 plus AES and PCLMULQDQ on every host: newer sets are refused even where the host has them.
#include "cpu/translator/decoder.h"

// clang-format off: the lists stay dense

namespace vitrine::cpu::translator {
namespace {

bool far_branch(const Instruction& instruction) { return instruction.z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR; }

// A far pointer in memory; there is none in the instruction itself in 64-bit mode.
Form far_form(const Instruction& instruction) { return instruction.has_memory ? Form::helper : Form::refused; }

bool segment_operand(const Instruction& instruction) {
  for (u8 n = 0; n < instruction.z.operand_count_visible; ++n) {
    const ZydisDecodedOperand& operand = instruction.operands[n];
    if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
    if (ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_SEGMENT) return true;
  }
  return false;
}

Form classify_control(const Instruction& instruction) {
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_JMP: return far_branch(instruction) ? far_form(instruction) : Form::jump;
    case ZYDIS_MNEMONIC_CALL: return far_branch(instruction) ? far_form(instruction) : Form::call;
    case ZYDIS_MNEMONIC_RET: return far_branch(instruction) ? Form::helper : Form::ret;
    case ZYDIS_MNEMONIC_IRET: case ZYDIS_MNEMONIC_IRETD: case ZYDIS_MNEMONIC_IRETQ: return Form::helper;
    case ZYDIS_MNEMONIC_JCXZ: case ZYDIS_MNEMONIC_JECXZ: case ZYDIS_MNEMONIC_JRCXZ: case ZYDIS_MNEMONIC_LOOP:
    case ZYDIS_MNEMONIC_LOOPE: case ZYDIS_MNEMONIC_LOOPNE: return Form::jump_counted;
    case ZYDIS_MNEMONIC_SYSCALL: return Form::system_call;
    case ZYDIS_MNEMONIC_INT3: return Form::breakpoint;
    case ZYDIS_MNEMONIC_INT: return Form::interrupt;
    case ZYDIS_MNEMONIC_INT1: return Form::debug_trap;
    case ZYDIS_MNEMONIC_UD0: case ZYDIS_MNEMONIC_UD1: case ZYDIS_MNEMONIC_UD2: return Form::invalid;
    case ZYDIS_MNEMONIC_PAUSE: return Form::pause;
    default: break;
  }
  // Not XBEGIN or the branches of other processors, which are of the same category.
  const bool own = instruction.z.meta.isa_set == ZYDIS_ISA_SET_I86 || instruction.z.meta.isa_set == ZYDIS_ISA_SET_I386;
  if (own && instruction.z.meta.category == ZYDIS_CATEGORY_COND_BR) return Form::jump_if;
  return Form::plain;
}

// Instructions that C++ executes. Gathers, masked moves and estimates: helpers_vector.cpp; state images:
// helpers_state.cpp.
bool is_helper(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_CPUID: case ZYDIS_MNEMONIC_RDTSC: case ZYDIS_MNEMONIC_RDTSCP: case ZYDIS_MNEMONIC_RDRAND:
    case ZYDIS_MNEMONIC_RDSEED: case ZYDIS_MNEMONIC_XGETBV: case ZYDIS_MNEMONIC_XLAT: case ZYDIS_MNEMONIC_ENTER:
    case ZYDIS_MNEMONIC_POPF: case ZYDIS_MNEMONIC_POPFQ: case ZYDIS_MNEMONIC_LDMXCSR:
    case ZYDIS_MNEMONIC_VLDMXCSR:
    case ZYDIS_MNEMONIC_FXSAVE: case ZYDIS_MNEMONIC_FXSAVE64: case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
    case ZYDIS_MNEMONIC_XSAVE: case ZYDIS_MNEMONIC_XSAVE64: case ZYDIS_MNEMONIC_XSAVEC: case ZYDIS_MNEMONIC_XSAVEC64:
    case ZYDIS_MNEMONIC_XSAVEOPT: case ZYDIS_MNEMONIC_XSAVEOPT64: case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64:
    case ZYDIS_MNEMONIC_LAR: case ZYDIS_MNEMONIC_LSL: case ZYDIS_MNEMONIC_VERR: case ZYDIS_MNEMONIC_VERW:
    case ZYDIS_MNEMONIC_FNSTENV: case ZYDIS_MNEMONIC_FLDENV: case ZYDIS_MNEMONIC_FNSAVE: case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_VMASKMOVPS: case ZYDIS_MNEMONIC_VMASKMOVPD: case ZYDIS_MNEMONIC_VPMASKMOVD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ:
    case ZYDIS_MNEMONIC_MASKMOVQ: case ZYDIS_MNEMONIC_MASKMOVDQU: case ZYDIS_MNEMONIC_VMASKMOVDQU:
    case ZYDIS_MNEMONIC_VPGATHERDD: case ZYDIS_MNEMONIC_VPGATHERDQ: case ZYDIS_MNEMONIC_VPGATHERQD:
    case ZYDIS_MNEMONIC_VPGATHERQQ:
    case ZYDIS_MNEMONIC_VGATHERDPS: case ZYDIS_MNEMONIC_VGATHERDPD: case ZYDIS_MNEMONIC_VGATHERQPS:
    case ZYDIS_MNEMONIC_VGATHERQPD:
    case ZYDIS_MNEMONIC_RCPPS: case ZYDIS_MNEMONIC_RCPSS: case ZYDIS_MNEMONIC_VRCPPS: case ZYDIS_MNEMONIC_VRCPSS:
    case ZYDIS_MNEMONIC_RSQRTPS: case ZYDIS_MNEMONIC_RSQRTSS: case ZYDIS_MNEMONIC_VRSQRTPS:
    case ZYDIS_MNEMONIC_VRSQRTSS:
      return true;
    default: return false;
  }
}

bool is_bit_string(const Instruction& instruction) {
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_BT: case ZYDIS_MNEMONIC_BTS: case ZYDIS_MNEMONIC_BTR: case ZYDIS_MNEMONIC_BTC: break;
    default: return false;
  }
  return instruction.has_memory && instruction.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
}

// Sets with privileged members that the virtual processor has. Privileged instructions of any other set (VMX, CET, TDX)
// are unknown to it, and MONITOR and MWAIT are #UD outside ring 0 (SDM vol. 2B): both are refused.
bool privileged_set(ZydisISASet set) {
  switch (set) {
    case ZYDIS_ISA_SET_I86: case ZYDIS_ISA_SET_I186: case ZYDIS_ISA_SET_I286REAL: case ZYDIS_ISA_SET_I286PROTECTED:
    case ZYDIS_ISA_SET_I386: case ZYDIS_ISA_SET_I486: case ZYDIS_ISA_SET_I486REAL: case ZYDIS_ISA_SET_PENTIUMREAL:
    case ZYDIS_ISA_SET_PPRO: case ZYDIS_ISA_SET_LONGMODE: case ZYDIS_ISA_SET_RDPMC: case ZYDIS_ISA_SET_XSAVE:
    case ZYDIS_ISA_SET_XSAVES: return true;
    default: return false;
  }
}

// #GP(0) in user mode: privileged ones, port I/O (no I/O map), interrupt flag, and the descriptor-table stores (UMIP
// is on).
bool is_privileged(const Instruction& instruction) {
  if (!privileged_set(instruction.z.meta.isa_set)) return false;
  if ((instruction.z.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) != 0) return true;
  switch (instruction.z.meta.category) {
    case ZYDIS_CATEGORY_IO: case ZYDIS_CATEGORY_IOSTRINGOP: return true;
    default: break;
  }
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_CLI: case ZYDIS_MNEMONIC_STI: case ZYDIS_MNEMONIC_HLT: case ZYDIS_MNEMONIC_LGDT:
    case ZYDIS_MNEMONIC_SGDT: case ZYDIS_MNEMONIC_SIDT:
    case ZYDIS_MNEMONIC_SLDT: case ZYDIS_MNEMONIC_SMSW: case ZYDIS_MNEMONIC_STR: case ZYDIS_MNEMONIC_RDPMC: return true;
    default: return false;
  }
}

Form classify_stack(const Instruction& instruction) {
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_PUSH: return segment_operand(instruction) ? Form::helper : Form::push;
    case ZYDIS_MNEMONIC_POP: return segment_operand(instruction) ? Form::helper : Form::pop;
    case ZYDIS_MNEMONIC_PUSHF: case ZYDIS_MNEMONIC_PUSHFQ: return Form::push_flags;
    case ZYDIS_MNEMONIC_LEAVE: return instruction.z.operand_width == 64 ? Form::leave : Form::helper;
    default: return Form::plain;
  }
}

// Sets whose every member works on registers and memory only.
bool computational_set(ZydisISASet set) {
  switch (set) {
    case ZYDIS_ISA_SET_CMOV: case ZYDIS_ISA_SET_FCMOV: case ZYDIS_ISA_SET_X87: case ZYDIS_ISA_SET_PENTIUMMMX:
    case ZYDIS_ISA_SET_SSE:
    case ZYDIS_ISA_SET_SSE2: case ZYDIS_ISA_SET_SSE2MMX: case ZYDIS_ISA_SET_SSE3: case ZYDIS_ISA_SET_SSE3X87:
    case ZYDIS_ISA_SET_SSSE3:
    case ZYDIS_ISA_SET_SSSE3MMX: case ZYDIS_ISA_SET_SSE4: case ZYDIS_ISA_SET_SSE42: case ZYDIS_ISA_SET_SSEMXCSR:
    case ZYDIS_ISA_SET_AES:
    case ZYDIS_ISA_SET_PCLMULQDQ: case ZYDIS_ISA_SET_AVX: case ZYDIS_ISA_SET_AVX2: case ZYDIS_ISA_SET_AVXAES:
    case ZYDIS_ISA_SET_FMA:
    case ZYDIS_ISA_SET_F16C: case ZYDIS_ISA_SET_BMI1: case ZYDIS_ISA_SET_BMI2: case ZYDIS_ISA_SET_LZCNT:
    case ZYDIS_ISA_SET_POPCNT:
    case ZYDIS_ISA_SET_MOVBE: case ZYDIS_ISA_SET_CMPXCHG16B: case ZYDIS_ISA_SET_LAHF: case ZYDIS_ISA_SET_CLFSH:
      return true;
    default: return false;
  }
}

// What x86-64-v4 adds: F, CD, BW, DQ and VL.
bool avx512_set(ZydisISASet set) {
  switch (set) {
    case ZYDIS_ISA_SET_AVX512F_128: case ZYDIS_ISA_SET_AVX512F_128N: case ZYDIS_ISA_SET_AVX512F_256:
    case ZYDIS_ISA_SET_AVX512F_512: case ZYDIS_ISA_SET_AVX512F_KOP: case ZYDIS_ISA_SET_AVX512F_SCALAR:
    case ZYDIS_ISA_SET_AVX512CD_128: case ZYDIS_ISA_SET_AVX512CD_256: case ZYDIS_ISA_SET_AVX512CD_512:
    case ZYDIS_ISA_SET_AVX512BW_128: case ZYDIS_ISA_SET_AVX512BW_128N: case ZYDIS_ISA_SET_AVX512BW_256:
    case ZYDIS_ISA_SET_AVX512BW_512: case ZYDIS_ISA_SET_AVX512BW_KOP:
    case ZYDIS_ISA_SET_AVX512DQ_128: case ZYDIS_ISA_SET_AVX512DQ_128N: case ZYDIS_ISA_SET_AVX512DQ_256:
    case ZYDIS_ISA_SET_AVX512DQ_512: case ZYDIS_ISA_SET_AVX512DQ_KOP: case ZYDIS_ISA_SET_AVX512DQ_SCALAR:
      return true;
    default: return false;
  }
}

// Gathers, scatters: C++. Whatever a mask keeps from some of its bytes: on a copy. The rest as any other instruction.
Form classify_avx512(const Instruction& instruction) {
  if (!instruction.has_memory) return Form::plain;
  for (u8 n = 0; n < instruction.z.operand_count_visible; ++n) {
    const ZydisDecodedOperand& operand = instruction.operands[n];
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.mem.type == ZYDIS_MEMOP_TYPE_VSIB) return Form::helper;
  }
  return instruction.z.avx.mask.mode > ZYDIS_MASK_MODE_DISABLED ? Form::masked : Form::plain;
}

bool base_set(ZydisISASet set) {
  switch (set) {
    case ZYDIS_ISA_SET_I86: case ZYDIS_ISA_SET_I186: case ZYDIS_ISA_SET_I386: case ZYDIS_ISA_SET_I486:
    case ZYDIS_ISA_SET_I486REAL:
    case ZYDIS_ISA_SET_PENTIUMREAL: case ZYDIS_ISA_SET_PPRO: case ZYDIS_ISA_SET_LONGMODE: return true;
    default: return false;
  }
}

bool computational_category(ZydisInstructionCategory category) {
  switch (category) {
    case ZYDIS_CATEGORY_BINARY: case ZYDIS_CATEGORY_BITBYTE: case ZYDIS_CATEGORY_CMOV: case ZYDIS_CATEGORY_CONVERT:
    case ZYDIS_CATEGORY_DATAXFER: case ZYDIS_CATEGORY_FLAGOP: case ZYDIS_CATEGORY_LOGICAL: case ZYDIS_CATEGORY_ROTATE:
    case ZYDIS_CATEGORY_SETCC: case ZYDIS_CATEGORY_SHIFT: case ZYDIS_CATEGORY_SEMAPHORE:
    case ZYDIS_CATEGORY_X87_ALU: return true;  // FCOMI and the like came with the Pentium Pro
    default: return false;
  }
}

// Also the instructions of later processors in the encodings that earlier ones reserve as NOPs: RDSSP, which programs
// use to ask whether there is a shadow stack, the bounds checks of MPX, CLDEMOTE.
bool is_hint(const Instruction& instruction) {
  if (instruction.z.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) return false;
  switch (instruction.z.meta.category) {
    case ZYDIS_CATEGORY_NOP: case ZYDIS_CATEGORY_WIDENOP: case ZYDIS_CATEGORY_PREFETCH: return true;
    default: break;
  }
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_NOP: case ZYDIS_MNEMONIC_ENDBR64: case ZYDIS_MNEMONIC_ENDBR32: case ZYDIS_MNEMONIC_PREFETCHW:
    case ZYDIS_MNEMONIC_PREFETCH: case ZYDIS_MNEMONIC_PREFETCHNTA: case ZYDIS_MNEMONIC_PREFETCHT0:
    case ZYDIS_MNEMONIC_PREFETCHT1:
    case ZYDIS_MNEMONIC_PREFETCHT2: case ZYDIS_MNEMONIC_PREFETCHWT1: case ZYDIS_MNEMONIC_CLDEMOTE:
    case ZYDIS_MNEMONIC_RDSSPD: case ZYDIS_MNEMONIC_RDSSPQ: return true;
    default: break;
  }
  const ZydisISASet set = instruction.z.meta.isa_set;
  return set == ZYDIS_ISA_SET_FAT_NOP || set == ZYDIS_ISA_SET_PREFETCH_NOP || set == ZYDIS_ISA_SET_MPX;
}

}  // namespace

Form classify(const Instruction& instruction, bool avx512) {
  const ZydisDecodedInstruction& z = instruction.z;
  if (avx512 && avx512_set(z.meta.isa_set)) return classify_avx512(instruction);
  const bool vex = z.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
  if (z.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY && !vex) return Form::refused;
  if (const Form form = classify_control(instruction); form != Form::plain) return form;
  if (is_privileged(instruction)) return Form::privileged;
  if (const Form form = classify_stack(instruction); form != Form::plain) return form;
  if (is_hint(instruction)) return Form::nop;
  if (is_helper(z.mnemonic) || is_bit_string(instruction)) return Form::helper;
  if (z.mnemonic == ZYDIS_MNEMONIC_MOV && segment_operand(instruction)) return Form::helper;
  if (z.mnemonic == ZYDIS_MNEMONIC_LEA) return Form::lea;
  if (z.mnemonic == ZYDIS_MNEMONIC_CLD || z.mnemonic == ZYDIS_MNEMONIC_STD) return Form::direction;
  if (z.mnemonic == ZYDIS_MNEMONIC_DIV || z.mnemonic == ZYDIS_MNEMONIC_IDIV) return Form::divide;
  if (z.meta.category == ZYDIS_CATEGORY_STRINGOP) return Form::string;
  if (z.mnemonic == ZYDIS_MNEMONIC_LFENCE || z.mnemonic == ZYDIS_MNEMONIC_SFENCE) return Form::plain;
  if (z.mnemonic == ZYDIS_MNEMONIC_MFENCE) return Form::plain;
  if (z.mnemonic == ZYDIS_MNEMONIC_LAHF || z.mnemonic == ZYDIS_MNEMONIC_SAHF) return Form::plain;
  if (computational_set(z.meta.isa_set)) return Form::plain;
  if (base_set(z.meta.isa_set) && computational_category(z.meta.category)) return Form::plain;
  return Form::refused;
}

bool requires_alignment(const Instruction& instruction) {
  const ZydisDecodedInstruction& z = instruction.z;
  switch (z.mnemonic) {
    case ZYDIS_MNEMONIC_VMOVAPS: case ZYDIS_MNEMONIC_VMOVAPD: case ZYDIS_MNEMONIC_VMOVDQA: case ZYDIS_MNEMONIC_VMOVNTPS:
    case ZYDIS_MNEMONIC_VMOVDQA32: case ZYDIS_MNEMONIC_VMOVDQA64:
    case ZYDIS_MNEMONIC_VMOVNTPD: case ZYDIS_MNEMONIC_VMOVNTDQ: case ZYDIS_MNEMONIC_VMOVNTDQA:
    case ZYDIS_MNEMONIC_CMPXCHG16B: return true;
    case ZYDIS_MNEMONIC_MOVUPS: case ZYDIS_MNEMONIC_MOVUPD: case ZYDIS_MNEMONIC_MOVDQU: case ZYDIS_MNEMONIC_LDDQU:
    case ZYDIS_MNEMONIC_PCMPESTRI: case ZYDIS_MNEMONIC_PCMPESTRM: case ZYDIS_MNEMONIC_PCMPISTRI:
    case ZYDIS_MNEMONIC_PCMPISTRM: return false;
    default: break;
  }
  if (z.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || instruction.memory_size != 16) return false;
  switch (z.meta.isa_set) {
    case ZYDIS_ISA_SET_SSE: case ZYDIS_ISA_SET_SSE2: case ZYDIS_ISA_SET_SSE3: case ZYDIS_ISA_SET_SSSE3:
    case ZYDIS_ISA_SET_SSE4:
    case ZYDIS_ISA_SET_SSE42: case ZYDIS_ISA_SET_AES: case ZYDIS_ISA_SET_PCLMULQDQ: return true;
    default: return false;
  }
}

}  // namespace vitrine::cpu::translator
