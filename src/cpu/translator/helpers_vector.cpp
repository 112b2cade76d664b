// Vector instructions that touch memory element by element, and the reciprocal estimates, which every vendor computes
// differently.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "cpu/translator/helpers.h"

namespace vitrine::cpu::translator {
namespace {

using Ymm = std::array<u8, 32>;

u64 element(const Ymm& reg, std::size_t index, std::size_t bytes) {
  u64 value = 0;
  std::memcpy(&value, reg.data() + index * bytes, bytes);
  return value;
}
bool top_bit(const Ymm& reg, std::size_t index, std::size_t bytes) {
  return (reg[(index + 1) * bytes - 1] & 0x80) != 0;
}

// VMASKMOVPS and the like: elements whose mask bit is clear are neither read nor written, and cannot fault.
HelperResult do_masked_move(Runtime& runtime, const Instruction& instruction, std::size_t bytes) {
  Frame& frame = runtime.frame();
  const Va at = effective_address(frame, instruction.memory);
  const bool store = instruction.operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
  const Ymm mask = frame.ymm[vector_number(instruction.operands[1])];
  const std::size_t count = instruction.memory_size / bytes;
  Ymm result{};
  if (store) result = frame.ymm[vector_number(instruction.operands[2])];
  for (std::size_t n = 0; n < count; ++n) {
    if (!top_bit(mask, n, bytes)) continue;
    const Va here = at + n * bytes;
    if (store) {
      if (!runtime.may_write(here, bytes, instruction.memory.stack)) return HelperResult::fault;
    } else if (!runtime.read(here, result.data() + n * bytes, bytes, instruction.memory.stack)) {
      return HelperResult::fault;
    }
  }
  if (!store) {
    frame.ymm[vector_number(instruction.operands[0])] = result;
    return HelperResult::next;
  }
  for (std::size_t n = 0; n < count; ++n) {
    if (top_bit(mask, n, bytes) &&
        !runtime.write(at + n * bytes, result.data() + n * bytes, bytes, instruction.memory.stack)) {
      return HelperResult::fault;
    }
  }
  return HelperResult::next;
}

// MMX registers have fixed places in the register file; the image has them by their distance from the top of the stack.
// Precondition: the host has the guest's x87 state.
Ymm mmx_register(Runtime& runtime, std::size_t number) {
  runtime.store_x87();
  const std::byte* const image = runtime.context().xsave.data();
  const std::size_t top = static_cast<u8>(image[3]) >> 3 & 7;
  Ymm value{};
  std::memcpy(value.data(), image + 32 + 16 * ((number - top) & 7), 8);
  runtime.load_x87();
  return value;
}

// MASKMOVDQU and MASKMOVQ: bytes, to DS:RDI.
HelperResult do_byte_mask_move(Runtime& runtime, const Instruction& instruction) {
  Frame& frame = runtime.frame();
  MemoryOperand target;
  target.base = static_cast<i8>(Gpr::rdi);
  target.address32 = instruction.z.address_width == 32;
  if ((instruction.z.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_FS) != 0) target.segment = 'f';
  if ((instruction.z.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_GS) != 0) target.segment = 'g';
  const Va at = effective_address(frame, target);
  const bool mmx = instruction.mnemonic() == ZYDIS_MNEMONIC_MASKMOVQ;
  std::array<const ZydisDecodedOperand*, 2> registers{};
  std::size_t found = 0;
  for (u8 n = 0; n < instruction.z.operand_count && found < 2; ++n) {
    if (instruction.operands[n].type == ZYDIS_OPERAND_TYPE_REGISTER &&
        instruction.operands[n].visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT) {
      registers[found++] = &instruction.operands[n];
    }
  }
  Ymm source{}, mask{};
  if (mmx) {
    source = mmx_register(runtime, vector_number(*registers[0]));
    mask = mmx_register(runtime, vector_number(*registers[1]));
  } else {
    source = frame.ymm[vector_number(*registers[0])];
    mask = frame.ymm[vector_number(*registers[1])];
  }
  const std::size_t count = mmx ? 8 : 16;
  for (std::size_t n = 0; n < count; ++n) {
    if (top_bit(mask, n, 1) && !runtime.may_write(at + n, 1)) return HelperResult::fault;
  }
  for (std::size_t n = 0; n < count; ++n) {
    if (top_bit(mask, n, 1) && !runtime.write(at + n, &source[n], 1)) return HelperResult::fault;
  }
  // As every MMX instruction: the top of the stack becomes register 0, and all registers are in use.
  if (mmx) asm volatile("movd %%mm0, %%eax" : : : "eax");
  return HelperResult::next;
}

// Gathers finish element by element: a fault leaves the elements before it loaded or passed over and their mask cleared
// (SDM vol. 2C, VPGATHERDD).
HelperResult do_gather(Runtime& runtime, const Instruction& instruction, std::size_t index_bytes, std::size_t bytes) {
  Frame& frame = runtime.frame();
  Ymm& to = frame.ymm[vector_number(instruction.operands[0])];
  const Ymm indices = frame.ymm[static_cast<std::size_t>(ZydisRegisterGetId(instruction.operands[1].mem.index))];
  Ymm& mask = frame.ymm[vector_number(instruction.operands[2])];
  const std::size_t vector_bytes = instruction.z.raw.vex.L != 0 ? 32 : 16;
  const std::size_t count = vector_bytes / std::max(index_bytes, bytes);
  for (std::size_t n = 0; n < count; ++n) {
    const bool wanted = top_bit(mask, n, bytes);
    if (!wanted) {
      std::memset(mask.data() + n * bytes, 0, bytes);
      continue;
    }
    const u64 raw = element(indices, n, index_bytes);
    const i64 index = index_bytes == 4 ? static_cast<i32>(raw) : static_cast<i64>(raw);
    MemoryOperand operand = instruction.memory;
    operand.index = -1;
    operand.disp += static_cast<i64>(static_cast<u64>(index) << operand.scale);
    if (!runtime.read(effective_address(frame, operand), to.data() + n * bytes, bytes, operand.stack))
      return HelperResult::fault;
    std::memset(mask.data() + n * bytes, 0, bytes);
  }
  std::fill(to.begin() + static_cast<std::ptrdiff_t>(count * bytes), to.end(), u8{0});
  mask = {};
  return HelperResult::next;
}

// The estimates of the virtual processor: the exact value rounded to single precision, then cut to 12 bits after the
// point (the relative error is below 2^-12; the architecture allows 1.5 * 2^-12). Denormals count as zero on both
// sides.
float cut(double exact) {
  const auto rounded = static_cast<float>(exact);
  u32 bits = std::bit_cast<u32>(rounded);
  if ((bits & 0x7F80'0000) == 0)
    bits &= 0x8000'0000;
  else if ((bits & 0x7F80'0000) != 0x7F80'0000)
    bits &= ~0x7FFu;
  return std::bit_cast<float>(bits);
}

u32 estimate(u32 bits, bool square_root) {
  constexpr u32 kExponent = 0x7F80'0000, kSign = 0x8000'0000, kQuiet = 0x0040'0000, kDefaultNan = 0xFFC0'0000;
  if ((bits & kExponent) == kExponent && (bits & 0x007F'FFFF) != 0) return bits | kQuiet;
  if ((bits & kExponent) == 0) return (bits & kSign) | kExponent;
  if (square_root && (bits & kSign) != 0) return kDefaultNan;
  if ((bits & kExponent) == kExponent) return bits & kSign;
  const double value = static_cast<double>(std::bit_cast<float>(bits));
  return std::bit_cast<u32>(cut(square_root ? 1.0 / std::sqrt(value) : 1.0 / value));
}

HelperResult do_estimate(Runtime& runtime, const Instruction& instruction, bool square_root, bool scalar) {
  Frame& frame = runtime.frame();
  const bool vex = instruction.z.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
  const ZydisDecodedOperand& last = instruction.operands[instruction.z.operand_count_visible - 1];
  const std::size_t bytes = scalar ? 4 : last.size / 8;
  Ymm source{};
  if (last.type == ZYDIS_OPERAND_TYPE_MEMORY) {
    const Va at = effective_address(frame, instruction.memory);
    if (instruction.memory_aligned && (at & 15) != 0 && is_canonical(at))
      return runtime.raise(Vector::general_protection);
    if (!runtime.read(at, source.data(), bytes, instruction.memory.stack)) return HelperResult::fault;
  } else {
    source = frame.ymm[vector_number(last)];
  }
  Ymm& to = frame.ymm[vector_number(instruction.operands[0])];
  Ymm result = vex && scalar ? frame.ymm[vector_number(instruction.operands[1])] : to;
  if (vex)
    std::fill(result.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(bytes, 16)), result.end(), u8{0});
  for (std::size_t n = 0; n < bytes / 4; ++n) {
    const u32 value = estimate(static_cast<u32>(element(source, n, 4)), square_root);
    std::memcpy(result.data() + 4 * n, &value, 4);
  }
  to = result;
  return HelperResult::next;
}

}  // namespace

HelperResult execute_vector(Runtime& runtime, const Instruction& instruction) {
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_VMASKMOVPS:
    case ZYDIS_MNEMONIC_VPMASKMOVD:
      return do_masked_move(runtime, instruction, 4);
    case ZYDIS_MNEMONIC_VMASKMOVPD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ:
      return do_masked_move(runtime, instruction, 8);
    case ZYDIS_MNEMONIC_MASKMOVQ:
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
      return do_byte_mask_move(runtime, instruction);
    case ZYDIS_MNEMONIC_VPGATHERDD:
    case ZYDIS_MNEMONIC_VGATHERDPS:
      return do_gather(runtime, instruction, 4, 4);
    case ZYDIS_MNEMONIC_VPGATHERDQ:
    case ZYDIS_MNEMONIC_VGATHERDPD:
      return do_gather(runtime, instruction, 4, 8);
    case ZYDIS_MNEMONIC_VPGATHERQD:
    case ZYDIS_MNEMONIC_VGATHERQPS:
      return do_gather(runtime, instruction, 8, 4);
    case ZYDIS_MNEMONIC_VPGATHERQQ:
    case ZYDIS_MNEMONIC_VGATHERQPD:
      return do_gather(runtime, instruction, 8, 8);
    case ZYDIS_MNEMONIC_RCPPS:
    case ZYDIS_MNEMONIC_VRCPPS:
      return do_estimate(runtime, instruction, false, false);
    case ZYDIS_MNEMONIC_RCPSS:
    case ZYDIS_MNEMONIC_VRCPSS:
      return do_estimate(runtime, instruction, false, true);
    case ZYDIS_MNEMONIC_RSQRTPS:
    case ZYDIS_MNEMONIC_VRSQRTPS:
      return do_estimate(runtime, instruction, true, false);
    case ZYDIS_MNEMONIC_RSQRTSS:
    case ZYDIS_MNEMONIC_VRSQRTSS:
      return do_estimate(runtime, instruction, true, true);
    default:
      return runtime.raise(Vector::invalid_opcode);
  }
}

}  // namespace vitrine::cpu::translator
