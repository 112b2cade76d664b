// AVX-512 on request: masked accesses, which may fault only for what the mask lets them touch, and gathers and
// scatters.
#include <bit>
#include <cstring>

#include "base/check.h"
#include "cpu/translator/helpers.h"

namespace vitrine::cpu::translator {
namespace {

// Which bytes of its memory operand a masked instruction touches.
struct Touched {
  u64 elements = 0;  // a bit for each
  u64 bytes = 0;     // of one
  u64 count = 0;
};

u64 low_bits(u64 count) { return count >= 64 ? ~0ull : (1ull << count) - 1; }

bool packs(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_VPCOMPRESSD:
    case ZYDIS_MNEMONIC_VPCOMPRESSQ:
    case ZYDIS_MNEMONIC_VCOMPRESSPS:
    case ZYDIS_MNEMONIC_VCOMPRESSPD:
    case ZYDIS_MNEMONIC_VPEXPANDD:
    case ZYDIS_MNEMONIC_VPEXPANDQ:
    case ZYDIS_MNEMONIC_VEXPANDPS:
    case ZYDIS_MNEMONIC_VEXPANDPD:
      return true;
    default:
      return false;
  }
}

// Instructions that fault for masked elements, too (SDM vol. 2A, 2.8: the classes whose names end in NF).
bool ignores_mask(ZydisExceptionClass name) {
  switch (name) {
    case ZYDIS_EXCEPTION_CLASS_E1NF:
    case ZYDIS_EXCEPTION_CLASS_E2NF:
    case ZYDIS_EXCEPTION_CLASS_E3NF:
    case ZYDIS_EXCEPTION_CLASS_E4NF:
    case ZYDIS_EXCEPTION_CLASS_E5NF:
    case ZYDIS_EXCEPTION_CLASS_E6NF:
    case ZYDIS_EXCEPTION_CLASS_E9NF:
    case ZYDIS_EXCEPTION_CLASS_E10NF:
    case ZYDIS_EXCEPTION_CLASS_E11NF:
      return true;
    default:
      return false;
  }
}

const ZydisDecodedOperand& memory_operand(const Instruction& instruction) {
  u8 n = 0;
  while (instruction.operands[n].type != ZYDIS_OPERAND_TYPE_MEMORY) ++n;
  return instruction.operands[n];
}

std::size_t mask_number(const Instruction& instruction) {
  return static_cast<std::size_t>(ZydisRegisterGetId(instruction.z.avx.mask.reg));
}

Touched touched(const Frame& frame, const Instruction& instruction) {
  const ZydisDecodedOperand& operand = memory_operand(instruction);
  const u64 mask = frame.mask[mask_number(instruction)];
  Touched result{0, operand.element_size / 8u, operand.element_count};
  if (packs(instruction.mnemonic())) {
    result.elements = low_bits(static_cast<u64>(std::popcount(mask & low_bits(result.count))));
  } else if (instruction.z.avx.broadcast.mode != ZYDIS_BROADCAST_MODE_INVALID) {
    const u64 lanes = instruction.z.avx.vector_length / operand.element_size;
    for (u64 lane = 0; lane < lanes; ++lane) result.elements |= (mask >> lane & 1) << lane % result.count;
  } else {
    result.elements = mask & low_bits(result.count);
  }
  return result;
}

// Calls `access(offset, bytes)` for each run of touched elements until one fails.
template <typename Access>
bool for_each_run(const Touched& touched, Access&& access) {
  for (u64 n = 0; n < touched.count;) {
    const u64 rest = touched.elements >> n;
    if (rest == 0) return true;
    n += static_cast<u64>(std::countr_zero(rest));
    const u64 length = std::min<u64>(static_cast<u64>(std::countr_one(touched.elements >> n)), touched.count - n);
    if (!access(n * touched.bytes, length * touched.bytes)) return false;
    n += length;
  }
  return true;
}

HelperResult fetch_masked(Runtime& runtime, const Site& site) {
  const Instruction& instruction = *site.instruction;
  Frame& frame = runtime.frame();
  const Va at = effective_address(frame, instruction.memory);
  const bool stack = instruction.memory.stack, write = instruction.memory_written;
  if (instruction.memory_aligned && (at & (instruction.memory_size - 1u)) != 0 && is_canonical(at))
    return runtime.raise(Vector::general_protection);
  Touched bytes = touched(frame, instruction);
  if (ignores_mask(instruction.z.meta.exception_class)) bytes.elements = low_bits(bytes.count);
  frame.bounce = {};
  const bool done = for_each_run(bytes, [&](u64 offset, u64 length) {
    if (write ? !runtime.may_write(at + offset, length, stack)
              : !runtime.read(at + offset, frame.bounce.data() + offset, length, stack))
      return false;
    return !runtime.must_step_over(site, at + offset, length, write);
  });
  return done ? HelperResult::next : HelperResult::fault;
}

HelperResult store_masked(Runtime& runtime, const Instruction& instruction) {
  Frame& frame = runtime.frame();
  const Va at = effective_address(frame, instruction.memory);
  const bool done = for_each_run(touched(frame, instruction), [&](u64 offset, u64 length) {
    return runtime.write(at + offset, frame.bounce.data() + offset, length, instruction.memory.stack);
  });
  VITRINE_CHECK(done);  // it was checked before the instruction ran
  return HelperResult::next;
}

using Zmm = std::array<u8, 64>;

Zmm read_zmm(const Frame& frame, std::size_t n) {
  if (n >= 16) return frame.zmm_upper[n - 16];
  Zmm value;
  std::memcpy(value.data(), frame.ymm[n].data(), 32);
  std::memcpy(value.data() + 32, frame.zmm_high[n].data(), 32);
  return value;
}

void write_zmm(Frame& frame, std::size_t n, const Zmm& value) {
  if (n >= 16) {
    frame.zmm_upper[n - 16] = value;
    return;
  }
  std::memcpy(frame.ymm[n].data(), value.data(), 32);
  std::memcpy(frame.zmm_high[n].data(), value.data() + 32, 32);
}

struct Sizes {
  std::size_t index, data;
};

Sizes element_sizes(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_VPGATHERDD:
    case ZYDIS_MNEMONIC_VGATHERDPS:
    case ZYDIS_MNEMONIC_VPSCATTERDD:
    case ZYDIS_MNEMONIC_VSCATTERDPS:
      return {4, 4};
    case ZYDIS_MNEMONIC_VPGATHERDQ:
    case ZYDIS_MNEMONIC_VGATHERDPD:
    case ZYDIS_MNEMONIC_VPSCATTERDQ:
    case ZYDIS_MNEMONIC_VSCATTERDPD:
      return {4, 8};
    case ZYDIS_MNEMONIC_VPGATHERQD:
    case ZYDIS_MNEMONIC_VGATHERQPS:
    case ZYDIS_MNEMONIC_VPSCATTERQD:
    case ZYDIS_MNEMONIC_VSCATTERQPS:
      return {8, 4};
    default:
      return {8, 8};
  }
}

// Element by element, from the lowest: a fault leaves those before it done and their mask bits clear (SDM vol. 2C,
// VPGATHERDD and VPSCATTERDD).
HelperResult do_vector_of_addresses(Runtime& runtime, const Instruction& instruction) {
  Frame& frame = runtime.frame();
  const bool scatter = instruction.memory_written;
  const ZydisDecodedOperand& memory = memory_operand(instruction);
  const Sizes sizes = element_sizes(instruction.mnemonic());
  const Zmm indices = read_zmm(frame, static_cast<std::size_t>(ZydisRegisterGetId(memory.mem.index)));
  const std::size_t number = vector_number(instruction.operands[scatter ? 2 : 0]);
  const std::size_t count = instruction.z.avx.vector_length / 8u / std::max(sizes.index, sizes.data);
  u64& mask = frame.mask[mask_number(instruction)];
  Zmm data = read_zmm(frame, number);
  for (std::size_t n = 0; n < count; ++n) {
    if ((mask >> n & 1) == 0) continue;
    i64 index = 0;
    if (sizes.index == 8) {
      std::memcpy(&index, indices.data() + 8 * n, 8);
    } else {
      i32 narrow;
      std::memcpy(&narrow, indices.data() + 4 * n, 4);
      index = narrow;
    }
    MemoryOperand operand = instruction.memory;
    operand.index = -1;
    operand.disp += static_cast<i64>(static_cast<u64>(index) << operand.scale);
    const Va at = effective_address(frame, operand);
    u8* const element = data.data() + n * sizes.data;
    const bool done = scatter ? runtime.write(at, element, sizes.data, operand.stack)
                              : runtime.read(at, element, sizes.data, operand.stack);
    if (!done) return HelperResult::fault;
    mask &= ~(1ull << n);
    if (!scatter) write_zmm(frame, number, data);
  }
  mask = 0;
  if (!scatter) {
    std::fill(data.begin() + static_cast<std::ptrdiff_t>(count * sizes.data), data.end(), u8{0});
    write_zmm(frame, number, data);
  }
  return HelperResult::next;
}

}  // namespace

HelperResult execute_avx512(Runtime& runtime, const Site& site) {
  if (site.instruction->form != Form::masked) return do_vector_of_addresses(runtime, *site.instruction);
  return site.fetch ? fetch_masked(runtime, site) : store_masked(runtime, *site.instruction);
}

void clear_zmm_high(Frame& frame, const Instruction& instruction) {
  for (u8 n = 0; n < instruction.z.operand_count_visible; ++n) {
    const ZydisDecodedOperand& operand = instruction.operands[n];
    if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
    if ((operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0) continue;
    const ZydisRegisterClass kind = ZydisRegisterGetClass(operand.reg.value);
    if (kind == ZYDIS_REGCLASS_XMM || kind == ZYDIS_REGCLASS_YMM) frame.zmm_high[vector_number(operand)] = {};
  }
}

}  // namespace vitrine::cpu::translator
