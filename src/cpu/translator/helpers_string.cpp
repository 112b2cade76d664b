// String instructions. One iteration counts as one instruction, and each can be stopped between two iterations:
// registers always say how far it got. Long forward runs of STOS and MOVS go a page at a time.
#include <algorithm>
#include <bit>
#include <cstring>

#include "cpu/translator/helpers.h"

namespace vitrine::cpu::translator {
namespace {

enum class Kind : u8 { movs, stos, lods, scas, cmps };

struct StringShape {
  Kind kind;
  u64 bytes;
};

StringShape shape_of(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_MOVSB:
      return {Kind::movs, 1};
    case ZYDIS_MNEMONIC_MOVSW:
      return {Kind::movs, 2};
    case ZYDIS_MNEMONIC_MOVSD:
      return {Kind::movs, 4};
    case ZYDIS_MNEMONIC_MOVSQ:
      return {Kind::movs, 8};
    case ZYDIS_MNEMONIC_STOSB:
      return {Kind::stos, 1};
    case ZYDIS_MNEMONIC_STOSW:
      return {Kind::stos, 2};
    case ZYDIS_MNEMONIC_STOSD:
      return {Kind::stos, 4};
    case ZYDIS_MNEMONIC_STOSQ:
      return {Kind::stos, 8};
    case ZYDIS_MNEMONIC_LODSB:
      return {Kind::lods, 1};
    case ZYDIS_MNEMONIC_LODSW:
      return {Kind::lods, 2};
    case ZYDIS_MNEMONIC_LODSD:
      return {Kind::lods, 4};
    case ZYDIS_MNEMONIC_LODSQ:
      return {Kind::lods, 8};
    case ZYDIS_MNEMONIC_SCASB:
      return {Kind::scas, 1};
    case ZYDIS_MNEMONIC_SCASW:
      return {Kind::scas, 2};
    case ZYDIS_MNEMONIC_SCASD:
      return {Kind::scas, 4};
    case ZYDIS_MNEMONIC_SCASQ:
      return {Kind::scas, 8};
    case ZYDIS_MNEMONIC_CMPSB:
      return {Kind::cmps, 1};
    case ZYDIS_MNEMONIC_CMPSW:
      return {Kind::cmps, 2};
    case ZYDIS_MNEMONIC_CMPSD:
      return {Kind::cmps, 4};
    default:
      return {Kind::cmps, 8};
  }
}

// CMP a, b.
u64 compare_flags(u64 a, u64 b, u64 bytes) {
  const u64 sign = 1ull << (bytes * 8 - 1), mask = sign | (sign - 1);
  a &= mask;
  b &= mask;
  const u64 difference = (a - b) & mask;
  u64 flags = a < b ? 1 : 0;
  if (__builtin_parityll(difference & 0xFF) == 0) flags |= 1u << 2;
  if (((a ^ b ^ difference) & 0x10) != 0) flags |= 1u << 4;
  if (difference == 0) flags |= 1u << 6;
  if ((difference & sign) != 0) flags |= 1u << 7;
  if (((a ^ b) & (a ^ difference) & sign) != 0) flags |= 1u << 11;
  return flags;
}

class StringMachine {
 public:
  StringMachine(Runtime& runtime, const Instruction& instruction)
      : runtime_(runtime),
        frame_(runtime.frame()),
        shape_(shape_of(instruction.mnemonic())),
        address_mask_(instruction.z.address_width == 32 ? 0xFFFF'FFFF : ~0ull),
        step_(frame_.direction != 0 ? 0 - shape_.bytes : shape_.bytes) {
    for (u8 n = 0; n < instruction.z.operand_count; ++n) {
      const ZydisDecodedOperand& operand = instruction.operands[n];
      if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
      if (operand.mem.segment == ZYDIS_REGISTER_FS) source_base_ = frame_.fs_base;
      if (operand.mem.segment == ZYDIS_REGISTER_GS) source_base_ = frame_.gs_base;
    }
  }

  [[nodiscard]] u64 count() const { return frame_.gpr[kRcx] & address_mask_; }
  void set_count(u64 value) { set(kRcx, value); }

  // One iteration without the count. False: fault.
  [[nodiscard]] bool iterate() {
    const u64 bytes = shape_.bytes;
    u64 a = 0, b = 0;
    switch (shape_.kind) {
      case Kind::movs:
        if (!runtime_.read(source(), &a, bytes) || !runtime_.write(target(), &a, bytes)) return false;
        move(kRsi), move(kRdi);
        return true;
      case Kind::stos:
        if (!runtime_.write(target(), &frame_.gpr[kRax], bytes)) return false;
        move(kRdi);
        return true;
      case Kind::lods:
        if (!runtime_.read(source(), &a, bytes)) return false;
        load_accumulator(a);
        move(kRsi);
        return true;
      case Kind::scas:
        if (!runtime_.read(target(), &b, bytes)) return false;
        set_flags(frame_, compare_flags(frame_.gpr[kRax], b, bytes));
        move(kRdi);
        return true;
      case Kind::cmps:
        if (!runtime_.read(source(), &a, bytes) || !runtime_.read(target(), &b, bytes)) return false;
        set_flags(frame_, compare_flags(a, b, bytes));
        move(kRsi), move(kRdi);
        return true;
    }
    return false;
  }

  // As many iterations as fit into the current pages, at most `limit`; 0: none can be done in bulk.
  [[nodiscard]] u64 bulk(u64 limit) {
    if (frame_.direction != 0 || (shape_.kind != Kind::movs && shape_.kind != Kind::stos)) return 0;
    const u64 bytes = shape_.bytes;
    u64 room = (kPageSize - (target() & kPageMask)) / bytes;
    if (shape_.kind == Kind::movs) room = std::min(room, (kPageSize - (source() & kPageMask)) / bytes);
    const u64 count = std::min(room, limit);
    if (count < 2) return 0;
    if (runtime_.watched(target(), count * bytes)) return 0;
    if (shape_.kind == Kind::movs && runtime_.watched(source(), count * bytes)) return 0;
    std::byte* from = nullptr;
    if (shape_.kind == Kind::movs && (from = runtime_.host_page(source(), false)) == nullptr) return 0;
    std::byte* to = runtime_.host_page(target(), true);
    if (to == nullptr) return 0;
    to += target() & kPageMask;
    if (shape_.kind == Kind::movs)
      copy(to, from + (source() & kPageMask), count * bytes);
    else
      fill(to, count);
    if (shape_.kind == Kind::movs) set(kRsi, (frame_.gpr[kRsi] & address_mask_) + count * bytes);
    set(kRdi, (frame_.gpr[kRdi] & address_mask_) + count * bytes);
    return count;
  }

  [[nodiscard]] bool compares() const { return shape_.kind == Kind::scas || shape_.kind == Kind::cmps; }
  [[nodiscard]] bool equal() const { return (unpack_flags(frame_.flags) & (1u << 6)) != 0; }

 private:
  static constexpr std::size_t kRax = 0, kRcx = 1, kRsi = 6, kRdi = 7;
  [[nodiscard]] Va source() const { return (frame_.gpr[kRsi] & address_mask_) + source_base_; }
  [[nodiscard]] Va target() const { return frame_.gpr[kRdi] & address_mask_; }
  // A 32-bit address size zero-extends the register it writes.
  void set(std::size_t reg, u64 value) { frame_.gpr[reg] = value & address_mask_; }
  void move(std::size_t reg) { set(reg, frame_.gpr[reg] + step_); }
  void load_accumulator(u64 value) {
    static constexpr ZydisRegister kNames[] = {ZYDIS_REGISTER_AL, ZYDIS_REGISTER_AX, ZYDIS_REGISTER_EAX,
                                               ZYDIS_REGISTER_RAX};
    write_register(frame_, kNames[std::countr_zero(shape_.bytes)], value);
  }
  // Ascending by elements: an overlapping copy repeats what it wrote, as the processor does.
  void copy(std::byte* to, const std::byte* from, u64 bytes) const {
    const u64 distance = static_cast<u64>(to - from);
    if (distance >= bytes) {
      std::memmove(to, from, bytes);
      return;
    }
    for (u64 n = 0; n < bytes; n += shape_.bytes) {
      u64 element;
      std::memcpy(&element, from + n, shape_.bytes);
      std::memcpy(to + n, &element, shape_.bytes);
    }
  }
  void fill(std::byte* to, u64 count) const {
    const u64 value = frame_.gpr[kRax];
    if (shape_.bytes == 1 || value == 0) {
      std::memset(to, static_cast<int>(value & 0xFF), count * shape_.bytes);
      return;
    }
    for (u64 n = 0; n < count; ++n) std::memcpy(to + n * shape_.bytes, &value, shape_.bytes);
  }

  Runtime& runtime_;
  Frame& frame_;
  StringShape shape_;
  u64 address_mask_;
  u64 step_;
  Va source_base_ = 0;
};

}  // namespace

StringResult execute_string(Runtime& runtime, const Instruction& instruction, u64 limit) {
  StringMachine machine(runtime, instruction);
  constexpr u64 kAnyRepeat = ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;
  if ((instruction.z.attributes & kAnyRepeat) == 0) {
    const bool ok = machine.iterate();
    return {1, true, !ok};
  }
  if (machine.count() == 0) return {1, true, false};
  const bool until_equal = (instruction.z.attributes & ZYDIS_ATTRIB_HAS_REPNE) != 0;
  StringResult result;
  while (result.done < limit && !result.finished && !runtime.met_breakpoint()) {
    u64 iterations = machine.bulk(std::min(limit - result.done, machine.count()));
    if (iterations == 0) {
      if (!machine.iterate()) {
        result.fault = true;
        return result;
      }
      iterations = 1;
    }
    result.done += iterations;
    machine.set_count(machine.count() - iterations);
    result.finished = machine.count() == 0 || (machine.compares() && machine.equal() == until_equal);
  }
  return result;
}

}  // namespace vitrine::cpu::translator
