// What instances need beyond their explicit operands: implied memory, branch targets, images that load without a fault
// now and then, and the proof that a native run touches the test's memory only.
#include <algorithm>
#include <cstring>

#include "cpu/translator/runtime.h"
#include "form_instance.h"

namespace vitrine::cpu::test {
namespace {
using translator::Form;
using translator::Instruction;
constexpr u64 kCode = NativeRunner::kCode, kData = NativeRunner::kData, kEdge = NativeRunner::kEdge;
constexpr std::size_t kRax = 0, kRcx = 1, kRdx = 2, kRbx = 3, kRsp = 4, kRbp = 5, kRsi = 6, kRdi = 7;
constexpr Va kJumpTarget = kCode + 0x2800;  // breakpoints, like all code that is not the instance

bool is_branch(Form form) {
  return form == Form::jump || form == Form::jump_if || form == Form::jump_counted || form == Form::call;
}

bool is_bit_string(const Instruction& instruction) {
  return instruction.form == Form::helper && instruction.z.meta.category == ZYDIS_CATEGORY_BITBYTE;
}

bool stack_user(const Instruction& instruction) {
  switch (instruction.form) {
    case Form::push:
    case Form::pop:
    case Form::push_flags:
    case Form::leave:
    case Form::call:
    case Form::ret:
      return true;
    default:
      return instruction.mnemonic() == ZYDIS_MNEMONIC_ENTER || instruction.mnemonic() == ZYDIS_MNEMONIC_LEAVE ||
             instruction.mnemonic() == ZYDIS_MNEMONIC_POPF || instruction.mnemonic() == ZYDIS_MNEMONIC_POPFQ;
  }
}

}  // namespace

const char* not_comparable(const CodeForm& form) {
  switch (form.form) {
    case Form::system_call:
    case Form::breakpoint:
    case Form::interrupt:
    case Form::debug_trap:
      return "an exit to the kernel";
    case Form::pause:
      return "ends the window";
    case Form::nop:
      if (form.encoding.map == 1 && form.encoding.opcode == 0x0D && !form.has_memory)
        return "PREFETCHW of a register: AMD raises #UD, Intel does nothing";
      break;
    case Form::jump:
    case Form::jump_if:
    case Form::jump_counted:
    case Form::call:
    case Form::ret:
      if (std::ranges::find(form.encoding.prefixes, 0x66) != form.encoding.prefixes.end())
        return "AMD cuts the target to 16 bits, Intel ignores the prefix";
      if (form.form == Form::jump_counted &&
          (std::ranges::find(form.encoding.prefixes, 0xF2) != form.encoding.prefixes.end() ||
           std::ranges::find(form.encoding.prefixes, 0xF3) != form.encoding.prefixes.end()))
        return "a repeat prefix chooses between LOOPE and LOOPNE on some processors";
      break;
    default:
      break;
  }
  switch (form.mnemonic) {
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
    case ZYDIS_MNEMONIC_RDRAND:
    case ZYDIS_MNEMONIC_RDSEED:
    case ZYDIS_MNEMONIC_XGETBV:
      return "answers for the virtual processor";
    case ZYDIS_MNEMONIC_XSAVE:
    case ZYDIS_MNEMONIC_XSAVE64:
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64:
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64:
      return "the host has more state components";
    case ZYDIS_MNEMONIC_RCPPS:
    case ZYDIS_MNEMONIC_RCPSS:
    case ZYDIS_MNEMONIC_VRCPPS:
    case ZYDIS_MNEMONIC_VRCPSS:
    case ZYDIS_MNEMONIC_RSQRTPS:
    case ZYDIS_MNEMONIC_RSQRTSS:
    case ZYDIS_MNEMONIC_VRSQRTPS:
    case ZYDIS_MNEMONIC_VRSQRTSS:
      return "an estimate of the virtual processor's own";
    case ZYDIS_MNEMONIC_RET:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_CALL:
    case ZYDIS_MNEMONIC_PUSH:
    case ZYDIS_MNEMONIC_POP:
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_LAR:
    case ZYDIS_MNEMONIC_LSL:
    case ZYDIS_MNEMONIC_VERR:
    case ZYDIS_MNEMONIC_VERW:
      if (form.form == Form::helper) return "selectors and descriptors differ";
      break;
    default:
      break;
  }
  return nullptr;
}

Va InstanceGenerator::pick_implied(Place place) {
  switch (place) {
    case Place::data:
      return kData + 0x2000 + below(0x3000);
    case Place::crossing:
      return kData + kPageSize * (2 + below(4)) - 12 + below(24);
    case Place::edge:
      return kEdge + kPageSize * (1 + below(4)) - 40 + below(80);
    default:
      return one_in(3) ? 0x0000'8000'0000'0000 - below(16) : (next() & 0xFFFF'FFFF) << 24 | 1ull << 62;
  }
}

// Stack, string, XLAT and masked-move registers.
void InstanceGenerator::place_implied(Place place, Instance& out) {
  const Instruction& instruction = out.instruction;
  NativeState& state = out.state;
  // The explicit operand of an instruction that has both may take the place.
  const Place here = instruction.has_memory && one_in(2) ? Place::data : place;
  if (stack_user(instruction)) {
    state.gpr[kRsp] = pick_implied(here);
    state.gpr[kRbp] = pick_implied(instruction.mnemonic() == ZYDIS_MNEMONIC_LEAVE || one_in(4) ? here : Place::data);
  }
  if (instruction.form == Form::string) {
    state.gpr[kRsi] = pick_implied(one_in(2) ? place : Place::data);
    state.gpr[kRdi] = one_in(4) ? state.gpr[kRsi] + below(16) - 8 : pick_implied(one_in(2) ? place : Place::data);
    state.gpr[kRcx] = below(40);
    if (instruction.z.address_width == 32)
      state.gpr[kRcx] |= next() << 32, state.gpr[kRsi] |= next() << 32, state.gpr[kRdi] |= next() << 32;
    if (one_in(3)) state.gpr[kRax] = 0;
  }
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_XLAT:
      state.gpr[kRbx] = pick_implied(place);
      break;
    case ZYDIS_MNEMONIC_MASKMOVQ:
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
      state.gpr[kRdi] = pick_implied(place);
      break;
    default:
      break;
  }
}

// Register operands whose value decides where memory is, or whether a division works.
void InstanceGenerator::set_operands(Instance& out) {
  const Instruction& instruction = out.instruction;
  if (is_bit_string(instruction)) {
    const auto offset = translator::general_register(instruction.operands[1].reg.value);
    out.state.gpr[static_cast<std::size_t>(offset.number)] = below(3000) - 1500;
  }
  if (instruction.form == Form::divide && !one_in(4)) {
    out.state.gpr[kRax] = one_in(2) ? below(100) : next();
    out.state.gpr[kRdx] = one_in(3) ? ~0ull : 0;
    const auto name = translator::general_register(instruction.operands[0].reg.value);
    if (instruction.operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER && name.number != 0 && name.number != 2)
      out.state.gpr[static_cast<std::size_t>(name.number)] = 0x0101'0101'0101'0101ull * (1 + below(200));
  }
}

// Branches lead to breakpoints.
void InstanceGenerator::set_branch(Instance& out) {
  const Instruction& instruction = out.instruction;
  if (instruction.form == Form::ret) store(out, out.state.gpr[kRsp], kJumpTarget + below(64), 8);
  if (!is_branch(instruction.form)) return;
  const auto& operand = instruction.operands[0];
  if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    const auto& imm = instruction.z.raw.imm[0];
    const u64 relative = imm.size == 8 ? 40 : kJumpTarget - instruction.next();
    std::memcpy(out.code.data() + out.offset + imm.offset, &relative, imm.size / 8);
  } else if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
    out.state.gpr[static_cast<std::size_t>(translator::general_register(operand.reg.value).number)] = kJumpTarget;
  } else {
    translator::Frame frame;
    frame.gpr = out.state.gpr;
    frame.gs_base = NativeRunner::kGsBase;
    store(out, translator::effective_address(frame, instruction.memory), kJumpTarget, 8);
  }
}

// Images in memory that hold control registers: values that the host and the virtual processor both take. The parts of
// stored images that processors fill differently are not compared.
void InstanceGenerator::set_images(Instance& out) {
  const Instruction& instruction = out.instruction;
  translator::Frame frame;
  frame.gpr = out.state.gpr;
  frame.gs_base = NativeRunner::kGsBase;
  const Va at = translator::effective_address(frame, instruction.memory);
  const u64 pointers = instruction.z.operand_width == 16 ? 6 : 12;
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFQ:
      store(out, out.state.gpr[kRsp], (next() & 0xCD5) | 0x202, 8);
      break;
    case ZYDIS_MNEMONIC_LDMXCSR:
    case ZYDIS_MNEMONIC_VLDMXCSR:
      store(out, at, next() & (one_in(6) ? 0xFFFD'FFFF : 0xFFFF), 4);
      break;
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
      store(out, at + 24, next() & (one_in(6) ? 0xFFFD'FFFF : 0xFFFF), 4);
      break;
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
      out.ignored.push_back({at + 6, 18});
      out.ignored.push_back({at + 28, 4});
      break;
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FNSAVE:
      out.ignored.push_back({at + pointers, instruction.z.operand_width == 16 ? 8u : 16u});
      break;
    default:
      break;
  }
}

// All of it in memory of the test, or on addresses that no process has. A page either way is covered by the distances
// between the regions.
bool InstanceGenerator::safe_range(Va from, u64 bytes) const {
  const Va last = from + bytes - 1;
  if (from >> 47 != 0 && from >> 47 != 0x1FFFF && last >> 47 != 0) return true;
  if (from >= 0x7FFF'FFFF'FF00) return true;  // runs into the hole; nothing is mapped at the very end
  const auto within = [&](Va region, u64 length) {
    return from >= region - kPageSize && last < region + length + kPageSize && last >= from;
  };
  return within(kData, NativeRunner::kDataBytes) || within(kEdge, NativeRunner::kEdgeBytes);
}

bool InstanceGenerator::is_safe(const Instance& out) const {
  const Instruction& instruction = out.instruction;
  const NativeState& state = out.state;
  translator::Frame frame;
  frame.gpr = state.gpr;
  frame.gs_base = NativeRunner::kGsBase;
  const u64 narrow = instruction.z.address_width == 32 ? 0xFFFF'FFFF : ~0ull;
  const Va gs = (instruction.z.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS) != 0 ? NativeRunner::kGsBase : 0;
  if (stack_user(instruction)) {
    if (!safe_range(state.gpr[kRsp] - 512, 1024)) return false;
    const bool frame_pointer =
        instruction.mnemonic() == ZYDIS_MNEMONIC_ENTER || instruction.mnemonic() == ZYDIS_MNEMONIC_LEAVE;
    if (frame_pointer && !safe_range(state.gpr[kRbp] - 512, 1024)) return false;
  }
  if (instruction.form == Form::string) {
    if (!safe_range((state.gpr[kRsi] & narrow) + gs - 400, 800) || !safe_range((state.gpr[kRdi] & narrow) - 400, 800))
      return false;
  }
  if (instruction.mnemonic() == ZYDIS_MNEMONIC_XLAT && !safe_range((state.gpr[kRbx] & narrow) + gs, 256)) return false;
  const bool byte_mask = instruction.mnemonic() == ZYDIS_MNEMONIC_MASKMOVQ ||
                         instruction.mnemonic() == ZYDIS_MNEMONIC_MASKMOVDQU ||
                         instruction.mnemonic() == ZYDIS_MNEMONIC_VMASKMOVDQU;
  if (byte_mask && !safe_range((state.gpr[kRdi] & narrow) + gs, 16)) return false;
  if (!instruction.has_memory || instruction.mnemonic() == ZYDIS_MNEMONIC_XLAT || instruction.form == Form::string)
    return true;
  Va at = translator::effective_address(frame, instruction.memory);
  u64 bytes = std::max<u64>(instruction.memory_size, 1);
  if (is_bit_string(instruction)) {
    const auto offset = translator::general_register(instruction.operands[1].reg.value);
    const i64 value =
        instruction.memory_size == 2   ? static_cast<i16>(state.gpr[static_cast<std::size_t>(offset.number)])
        : instruction.memory_size == 4 ? static_cast<i32>(state.gpr[static_cast<std::size_t>(offset.number)])
                                       : static_cast<i64>(state.gpr[static_cast<std::size_t>(offset.number)]);
    if (value < -1500 || value > 1500) return false;
    at -= 200, bytes += 400;
  }
  if (instruction.z.meta.category == ZYDIS_CATEGORY_AVX2GATHER) at -= 256, bytes = 512;
  return safe_range(at, bytes);
}

}  // namespace vitrine::cpu::test
