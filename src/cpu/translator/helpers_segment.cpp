// Segment registers and what reads descriptors. A user-mode thread of 64-bit NT has fixed selectors, so their values
// are no part of the context; loads of what is there already do nothing, and every other load is refused as a
// descriptor that does not exist.
#include <array>
#include <cstring>

#include "cpu/translator/helpers.h"
#include "cpu/user_flags.h"

namespace vitrine::cpu::translator {
namespace {

// NT: KGDT64_R3_CODE, _DATA and _CMTEB with RPL 3. [WDK]
constexpr u64 kSelectorCode = 0x33, kSelectorData = 0x2B, kSelectorTeb = 0x53;
constexpr u64 kZeroFlag = 1u << 6;

// The descriptors of ring 3, as LAR and LSL show them. NT: those of ring 0 and the TSS answer a user-mode program as if
// they did not exist, because their privilege level is lower (SDM vol. 2A, LAR). [WDK: KGDT64_R3_*]
struct Descriptor {
  u16 selector;  // RPL clear
  u32 access;    // second word of the descriptor, base bits clear
  u32 limit;     // in bytes
  bool writable;
};
constexpr Descriptor kDescriptors[] = {
    {0x20, 0x00CF'FB00, 0xFFFF'FFFF, false},  // 32-bit code
    {0x28, 0x00CF'F300, 0xFFFF'FFFF, true},   // data and stack
    {0x30, 0x0020'FB00, 0, false},            // 64-bit code
    {0x50, 0x0040'F300, 0x3C00, true},        // the 32-bit TEB
};

u64& gpr(Frame& frame, Gpr reg) { return frame.gpr[static_cast<u8>(reg)]; }

const Descriptor* find_descriptor(u64 selector) {
  for (const Descriptor& descriptor : kDescriptors) {
    if ((selector & 0xFFFC) == descriptor.selector) return &descriptor;
  }
  return nullptr;
}

bool is_segment(const ZydisDecodedOperand& operand) {
  return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
         ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

u64 selector_of(ZydisRegister segment) {
  return segment == ZYDIS_REGISTER_CS ? kSelectorCode : segment == ZYDIS_REGISTER_FS ? kSelectorTeb : kSelectorData;
}

// In 64-bit mode the data segments do nothing, so a load of the value that is there (or null) has no effect; FS and GS
// would lose their base.
bool may_load(ZydisRegister segment, u64 selector) {
  if (segment == ZYDIS_REGISTER_CS) return false;
  if (selector == selector_of(segment)) return true;
  return selector <= 3 && (segment == ZYDIS_REGISTER_DS || segment == ZYDIS_REGISTER_ES);
}

HelperResult refuse_selector(Runtime& runtime, u64 selector) {
  return runtime.raise(Vector::general_protection, static_cast<u32>(selector & 0xFFFC));
}

// MOV between a segment register and a general register or memory.
HelperResult do_move_segment(Runtime& runtime, const Instruction& instruction) {
  Frame& frame = runtime.frame();
  const ZydisDecodedOperand &to = instruction.operands[0], &from = instruction.operands[1];
  if (is_segment(from)) {
    const u64 selector = selector_of(from.reg.value);
    if (to.type == ZYDIS_OPERAND_TYPE_REGISTER) {
      write_register(frame, to.reg.value, selector);
      return HelperResult::next;
    }
    const auto word = static_cast<u16>(selector);
    return runtime.write(effective_address(frame, instruction.memory), &word, 2, instruction.memory.stack)
               ? HelperResult::next
               : HelperResult::fault;
  }
  u64 selector = 0;
  if (from.type == ZYDIS_OPERAND_TYPE_REGISTER) {
    selector = read_register(frame, from.reg.value) & 0xFFFF;
  } else if (!runtime.read(effective_address(frame, instruction.memory), &selector, 2, instruction.memory.stack)) {
    return HelperResult::fault;
  }
  return may_load(to.reg.value, selector) ? HelperResult::next : refuse_selector(runtime, selector);
}

// PUSH and POP of FS and GS; the upper bytes of the slot are zero and ignored (SDM vol. 2B, PUSH).
HelperResult do_push_segment(Runtime& runtime, const Instruction& instruction) {
  Frame& frame = runtime.frame();
  const u64 bytes = instruction.z.operand_width / 8, value = selector_of(instruction.operands[0].reg.value);
  if (!runtime.write(gpr(frame, Gpr::rsp) - bytes, &value, bytes, true)) return HelperResult::fault;
  gpr(frame, Gpr::rsp) -= bytes;
  return HelperResult::next;
}

HelperResult do_pop_segment(Runtime& runtime, const Instruction& instruction) {
  Frame& frame = runtime.frame();
  const u64 bytes = instruction.z.operand_width / 8;
  u64 selector = 0;
  if (!runtime.read(gpr(frame, Gpr::rsp), &selector, bytes, true)) return HelperResult::fault;
  selector &= 0xFFFF;
  if (!may_load(instruction.operands[0].reg.value, selector)) return refuse_selector(runtime, selector);
  gpr(frame, Gpr::rsp) += bytes;
  return HelperResult::next;
}

// LAR, LSL, VERR and VERW: ZF says whether the selector is good for it.
HelperResult do_query_descriptor(Runtime& runtime, const Instruction& instruction) {
  Frame& frame = runtime.frame();
  const bool loads = instruction.mnemonic() == ZYDIS_MNEMONIC_LAR || instruction.mnemonic() == ZYDIS_MNEMONIC_LSL;
  const ZydisDecodedOperand& source = instruction.operands[loads ? 1 : 0];
  u64 selector = 0;
  if (source.type == ZYDIS_OPERAND_TYPE_REGISTER) {
    selector = frame.gpr[static_cast<std::size_t>(general_register(source.reg.value).number)] & 0xFFFF;
  } else if (!runtime.read(effective_address(frame, instruction.memory), &selector, 2, instruction.memory.stack)) {
    return HelperResult::fault;
  }
  constexpr u64 kLocalTable = 4;
  const Descriptor* found = (selector & kLocalTable) != 0 ? nullptr : find_descriptor(selector);
  if (instruction.mnemonic() == ZYDIS_MNEMONIC_VERW && found != nullptr && !found->writable) found = nullptr;
  set_flags(frame, (unpack_flags(frame.flags) & ~kZeroFlag) | (found != nullptr ? kZeroFlag : 0));
  if (!loads || found == nullptr) return HelperResult::next;
  const u32 value = instruction.mnemonic() == ZYDIS_MNEMONIC_LAR ? found->access : found->limit;
  write_register(frame, instruction.operands[0].reg.value, value);
  return HelperResult::next;
}

u64 word_at(const std::array<u8, 40>& bytes, u64 index, u64 size) {
  u64 value = 0;
  std::memcpy(&value, bytes.data() + index * size, size);
  return value;
}

// RET far and IRET. There is one code segment to go to: 32-bit code does not run here.
HelperResult do_far_return(Runtime& runtime, const Instruction& instruction) {
  Frame& frame = runtime.frame();
  const bool interrupt = instruction.mnemonic() != ZYDIS_MNEMONIC_RET;
  const u64 size = instruction.z.operand_width / 8;
  std::array<u8, 40> stack{};
  if (!runtime.read(gpr(frame, Gpr::rsp), stack.data(), (interrupt ? 5 : 2) * size, true)) return HelperResult::fault;
  const u64 code = word_at(stack, 1, size) & 0xFFFF;
  // SDM vol. 2A, IRET: a nested task is #GP in 64-bit mode.
  if (interrupt && (runtime.rflags() & kRflagsNested) != 0) return runtime.raise(Vector::general_protection);
  if (code != kSelectorCode) return refuse_selector(runtime, code);
  if (interrupt) {
    const u64 data = word_at(stack, 4, size) & 0xFFFF;
    if (data != kSelectorData) return refuse_selector(runtime, data);
    constexpr u64 kLow = 0xFFFF;
    const u64 flags = word_at(stack, 2, size);
    runtime.set_rflags(size == 2 ? (runtime.rflags() & ~kLow) | flags : flags);
    gpr(frame, Gpr::rsp) = word_at(stack, 3, size);
    if ((flags & kRflagsResume) != 0) runtime.resume_after();  // no 16-bit image has it
  } else {
    gpr(frame, Gpr::rsp) +=
        2 * size + (instruction.z.raw.imm[0].size != 0 ? instruction.z.raw.imm[0].value.u & 0xFFFF : 0);
  }
  runtime.set_helper_rip(word_at(stack, 0, size));
  return HelperResult::leave;
}

// JMP and CALL through a far pointer in memory: the offset, then the selector.
HelperResult do_far_branch(Runtime& runtime, const Instruction& instruction) {
  Frame& frame = runtime.frame();
  const u64 size = instruction.z.operand_width / 8;
  std::array<u8, 10> pointer{};
  if (!runtime.read(effective_address(frame, instruction.memory), pointer.data(), size + 2, instruction.memory.stack))
    return HelperResult::fault;
  u64 offset = 0, selector = 0;
  std::memcpy(&offset, pointer.data(), size);
  std::memcpy(&selector, pointer.data() + size, 2);
  if (selector != kSelectorCode) return refuse_selector(runtime, selector);
  if (instruction.mnemonic() == ZYDIS_MNEMONIC_CALL) {
    const u64 next = instruction.next();
    std::array<u8, 16> image{};
    std::memcpy(image.data(), &next, size);
    std::memcpy(image.data() + size, &kSelectorCode, size);
    if (!runtime.write(gpr(frame, Gpr::rsp) - 2 * size, image.data(), 2 * size, true)) return HelperResult::fault;
    gpr(frame, Gpr::rsp) -= 2 * size;
  }
  runtime.set_helper_rip(offset);
  return HelperResult::leave;
}

}  // namespace

HelperResult execute_segment(Runtime& runtime, const Instruction& instruction) {
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_MOV:
      return do_move_segment(runtime, instruction);
    case ZYDIS_MNEMONIC_PUSH:
      return do_push_segment(runtime, instruction);
    case ZYDIS_MNEMONIC_POP:
      return do_pop_segment(runtime, instruction);
    case ZYDIS_MNEMONIC_LAR:
    case ZYDIS_MNEMONIC_LSL:
    case ZYDIS_MNEMONIC_VERR:
    case ZYDIS_MNEMONIC_VERW:
      return do_query_descriptor(runtime, instruction);
    case ZYDIS_MNEMONIC_RET:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
      return do_far_return(runtime, instruction);
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_CALL:
      return do_far_branch(runtime, instruction);
    default:
      return HelperResult::not_mine;
  }
}

}  // namespace vitrine::cpu::translator
