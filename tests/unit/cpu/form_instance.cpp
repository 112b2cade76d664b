#include "form_instance.h"

#include <algorithm>
#include <cstring>

namespace vitrine::cpu::test {
namespace {
using translator::DecodeResult;
using translator::Form;
using translator::Instruction;
constexpr u64 kCode = NativeRunner::kCode, kData = NativeRunner::kData, kEdge = NativeRunner::kEdge;
constexpr std::size_t kRax = 0, kRcx = 1, kRdx = 2, kRbx = 3, kRsp = 4, kRbp = 5, kRsi = 6, kRdi = 7;
constexpr u64 kArithmetic = 0x8D5;
constexpr Va kJumpTarget = kCode + 0x2800;  // breakpoints, like all code that is not the instance

bool is_bit_string(const Instruction& instruction) {
  return instruction.form == Form::helper && instruction.z.meta.category == ZYDIS_CATEGORY_BITBYTE;
}

}  // namespace

// The decoder's operand sizes say how much is read; nothing here is about values.
FreeFields InstanceGenerator::random_fields(const CodeForm& form) {
  const Encoding& encoding = form.encoding;
  FreeFields fields;
  const bool high8 = form.name.find("r8h") != std::string::npos;
  fields.rex = high8 || one_in(3) ? 0 : static_cast<u8>(below(8));
  const u8 reg = one_in(2) ? (encoding.modrm >> 3) & 7 : static_cast<u8>(below(8));
  if (encoding.modrm >= 0xC0) {
    fields.modrm = static_cast<u8>(0xC0 | reg << 3 | (one_in(2) ? encoding.modrm & 7 : static_cast<u8>(below(8))));
  } else {
    fields.modrm = static_cast<u8>(below(3) << 6 | reg << 3 | (one_in(3) ? 4 : below(8)));
    if (form.name.find("vm") != std::string::npos) fields.modrm = static_cast<u8>((fields.modrm & 0xF8) | 4);
    if ((fields.modrm & 7) == 4) fields.sib = static_cast<u8>(next());
  }
  fields.vvvv = encoding.vvvv == 0xF ? 0xF : static_cast<u8>(below(16));
  if (one_in(10)) fields.address_prefixes.push_back(0x67);
  constexpr u8 kSegments[] = {0x26, 0x2E, 0x36, 0x3E, 0x65, 0x65, 0x65};
  if (one_in(12)) fields.address_prefixes.push_back(kSegments[below(std::size(kSegments))]);
  for (u32 n = 0; n < 12; ++n) fields.tail.push_back(static_cast<u8>(one_in(3) ? below(4) : next()));
  return fields;
}

bool InstanceGenerator::decode(const CodeForm& form, Instance& out) {
  const std::vector<u8> bytes = encode(form.encoding, random_fields(form));
  out.code.clear();
  if (one_in(2)) {  // the flags are in the host's register then
    const u8 compare[] = {0x83, static_cast<u8>(0xF8 | below(8)), static_cast<u8>(next())};
    out.code.assign(compare, compare + 3);
  }
  out.offset = out.code.size();
  constexpr Va kPlaces[] = {kCode + 0x400, kCode + 0x1000 - 3, kCode + 0x1000 - 5, kCode + 0x1000 - 9};
  out.at = one_in(4) ? kPlaces[1 + below(3)] : kPlaces[0];
  if (decoder_.decode(bytes, out.at + out.offset, out.instruction) != DecodeResult::ok) return false;
  if (form_name(out.instruction, form.encoding) != form.name) return false;
  out.code.insert(out.code.end(), bytes.begin(), bytes.begin() + out.instruction.z.length);
  return true;
}

void InstanceGenerator::random_x87(NativeState& state) {
  u16 control = static_cast<u16>(0x7F | (one_in(2) ? 0x300 : below(4) << 8) | below(4) << 10);
  if (one_in(10)) control &= static_cast<u16>(~(1u << below(6)));
  u16 status = static_cast<u16>(below(8) << 11 | (next() & 0x4700));
  if (one_in(4)) status |= next() & 0x3F;
  if ((status & ~control & 0x3F) != 0) status |= 0x8080;
  const u8 tags = one_in(3) ? static_cast<u8>(next()) : static_cast<u8>(0xFF);
  std::memcpy(state.fxsave.data(), &control, 2);
  std::memcpy(state.fxsave.data() + 2, &status, 2);
  state.fxsave[4] = tags;
  for (std::size_t n = 0; n < 8; ++n) {
    u64 mantissa = next() | 1ull << 63;
    u16 exponent = static_cast<u16>((next() & 0x8000) | (0x3FFF - 20 + below(40)));
    switch (below(12)) {
      case 0:
        mantissa = 0, exponent &= 0x8000;
        break;
      case 1:
        mantissa = 1ull << 63 | (one_in(2) ? 0 : next()), exponent |= 0x7FFF;
        break;
      case 2:
        exponent &= 0x8000, mantissa >>= 1 + below(60);
        break;
      case 3:
        mantissa = next(), exponent = static_cast<u16>(next());
        break;
      case 4:
        mantissa = 1ull << 63;
        break;
      default:
        break;
    }
    std::memcpy(state.fxsave.data() + 32 + 16 * n, &mantissa, 8);
    std::memcpy(state.fxsave.data() + 40 + 16 * n, &exponent, 2);
  }
}

void InstanceGenerator::random_state(NativeState& state) {
  state = {};
  for (u64& reg : state.gpr) reg = one_in(3) ? below(16) : one_in(4) ? ~below(4) : next();
  state.rflags = 0x202 | (next() & kArithmetic) | (one_in(5) ? 0x400 : 0);
  constexpr u32 kSpecial[] = {0,           0x8000'0000, 0x7F80'0000, 0xFF80'0000, 0x7FC0'0001,
                              0x7F80'0001, 1,           0x8000'0001, 0x3F80'0000, 0x7F7F'FFFF};
  for (auto& ymm : state.ymm) {
    for (std::size_t n = 0; n < 32; n += 4) {
      u32 word = 0x3F00'0000 + static_cast<u32>(below(0x200'0000));
      if (one_in(3)) word = static_cast<u32>(next());
      if (one_in(8)) word = kSpecial[below(std::size(kSpecial))];
      std::memcpy(ymm.data() + n, &word, 4);
    }
  }
  u32 mxcsr = 0x1F80;
  if (one_in(3)) mxcsr |= below(4) << 13 | (next() & 0x8040) | (next() & 0x3F);
  if (one_in(12)) mxcsr &= ~(0x80u << below(6));
  random_x87(state);
  std::memcpy(state.fxsave.data() + 24, &mxcsr, 4);
}

void InstanceGenerator::random_memory(Instance& out) {
  out.memory.resize(GuestTwin::kMemoryBytes);
  for (std::size_t n = 0; n < out.memory.size(); n += 8) {
    u64 word = next();
    if ((word & 7) == 0) word = 0x3FF0'0000'3F80'0000ull + (word >> 40);
    std::memcpy(out.memory.data() + n, &word, 8);
  }
}

void InstanceGenerator::store(Instance& out, Va at, u64 value, u64 bytes) {
  for (u64 n = 0; n < bytes; ++n) {
    const Va here = at + n;
    if (here - kData < NativeRunner::kDataBytes)
      out.memory[here - kData] = static_cast<u8>(value >> (8 * n));
    else if (here - kEdge < NativeRunner::kEdgeBytes)
      out.memory[NativeRunner::kDataBytes + here - kEdge] = static_cast<u8>(value >> (8 * n));
  }
}

Va InstanceGenerator::pick_target(Place place, u64 size, bool aligned) {
  const u64 unit = std::max<u64>(size, 16);
  Va target = kData + 0x1100 + below(0x5000);
  switch (place) {
    case Place::data:
      break;
    case Place::crossing:
      target = kData + kPageSize * (2 + below(4)) - 1 - below(size + 2);
      break;
    case Place::edge:
      target = kEdge + kPageSize * (1 + below(4)) - below(2 * size + 2);
      break;
    case Place::non_canonical:
      target = one_in(2) ? 0x0000'8000'0000'0000 - below(2 * size) : next() | 1ull << 62;
      if (target >> 47 == 0 || (target >> 47) == 0x1FFFF) target = 0x1234'5678'0000'0000;
      break;
  }
  if (aligned && !one_in(12)) target &= ~(unit - 1);
  return target;
}

void InstanceGenerator::patch_displacement(Instance& out, u64 value) {
  const auto& disp = out.instruction.z.raw.disp;
  std::memcpy(out.code.data() + out.offset + disp.offset, &value, disp.size / 8);
}

// The indices of a gather: a few elements around the base.
void InstanceGenerator::place_gather(Instance& out) {
  const auto& operand = out.instruction.operands[1];
  auto& indices = out.state.ymm[static_cast<std::size_t>(ZydisRegisterGetId(operand.mem.index))];
  const bool wide = out.instruction.mnemonic() == ZYDIS_MNEMONIC_VPGATHERQD ||
                    out.instruction.mnemonic() == ZYDIS_MNEMONIC_VPGATHERQQ ||
                    out.instruction.mnemonic() == ZYDIS_MNEMONIC_VGATHERQPS ||
                    out.instruction.mnemonic() == ZYDIS_MNEMONIC_VGATHERQPD;
  for (std::size_t n = 0; n < 32; n += wide ? 8 : 4) {
    const i64 index = static_cast<i64>(below(32)) - 16;
    std::memcpy(indices.data() + n, &index, wide ? 8 : 4);
  }
}

// Gives the registers of the explicit memory operand values that lead to a target.
bool InstanceGenerator::place_memory(Place place, Instance& out) {
  Instruction& instruction = out.instruction;
  const translator::MemoryOperand& memory = instruction.memory;
  const u64 size = std::max<u64>(instruction.memory_size, 1);
  const bool aligned =
      instruction.memory_aligned || (instruction.z.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0 || one_in(2);
  const bool vsib =
      std::any_of(instruction.operands.begin(), instruction.operands.begin() + instruction.z.operand_count_visible,
                  [](const auto& operand) {
                    return operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.mem.type == ZYDIS_MEMOP_TYPE_VSIB;
                  });
  if (memory.address32 && place == Place::non_canonical) return false;
  Va target = pick_target(place, size, aligned);
  if ((instruction.z.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0 && place != Place::non_canonical &&
      (target & 63) + size > 64)
    target &= ~63ull;  // the host may punish split locks
  if (memory.segment == 'g') target -= NativeRunner::kGsBase;
  if (vsib) {
    place_gather(out);
    if (memory.base < 0) return false;
    out.state.gpr[static_cast<std::size_t>(memory.base)] = target - static_cast<u64>(memory.disp);
    return true;
  }
  const u64 disp = static_cast<u64>(memory.disp);
  if (memory.base < 0 && memory.index < 0) {
    if (instruction.z.raw.disp.size < 32) return false;
    const bool relative =
        instruction.z.raw.disp.size == 32 && (instruction.z.raw.modrm.rm == 5 && instruction.z.raw.modrm.mod == 0);
    if (instruction.z.raw.disp.size == 32 && place == Place::non_canonical) return false;
    patch_displacement(out, relative ? target - instruction.next() : target);
    return true;
  }
  u64 index = one_in(3) ? below(64) : next();
  if (memory.index >= 0 && memory.index != memory.base) {
    if (memory.base < 0) index = (target - disp) >> memory.scale;
    out.state.gpr[static_cast<std::size_t>(memory.index)] = index;
  }
  if (memory.base >= 0) {
    u64 base = target - disp - (memory.index >= 0 ? index << memory.scale : 0);
    if (memory.index == memory.base) base = (target - disp) / (1 + (1ull << memory.scale));
    out.state.gpr[static_cast<std::size_t>(memory.base)] = base;
  }
  return true;
}

bool InstanceGenerator::make(const CodeForm& form, Place place, Instance& out) {
  for (u32 n = 0; n < 400; ++n) {
    if (!decode(form, out)) continue;
    out.ignored.clear();
    random_state(out.state);
    random_memory(out);
    place_implied(place, out);
    set_operands(out);
    const bool explicit_memory = out.instruction.has_memory && out.instruction.form != Form::nop &&
                                 out.instruction.form != Form::lea && out.instruction.form != Form::string;
    if (explicit_memory && !place_memory(place, out)) continue;
    if (out.instruction.form == Form::nop || out.instruction.form == Form::lea) out.instruction.has_memory = false;
    // The displacement may have changed.
    const bool has_memory = out.instruction.has_memory;
    if (decoder_.decode(std::span(out.code).subspan(out.offset), out.at + out.offset, out.instruction) !=
        DecodeResult::ok)
      continue;
    out.instruction.has_memory = has_memory;
    set_branch(out);
    set_images(out);
    if (!is_safe(out)) continue;
    const auto* flags = out.instruction.z.cpu_flags;
    out.undefined_flags = flags == nullptr ? 0 : flags->undefined & kArithmetic;
    if (out.instruction.form == Form::divide) out.undefined_flags = kArithmetic;
    return true;
  }
  return false;
}

}  // namespace vitrine::cpu::test
