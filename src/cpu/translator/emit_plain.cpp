// Instructions that run on the host as they are, except for the registers that the translator keeps for itself and
// memory operands.
#include <algorithm>

#include "cpu/translator/block_translator.h"

namespace vitrine::cpu::translator {
namespace {

constexpr int kRsi = 6;

struct ReservedUse {
  i8 guest = -1;
  bool read = false, written = false;
  i8 host = -1;
};

// The registers in an instruction's encoding that do not live in a host register of their own.
struct Uses {
  std::array<ReservedUse, 4> spilled;
  int count = 0;
};

constexpr u16 kRsp = 1u << 4;

constexpr std::array<i8, 16> list_host_registers() {
  std::array<i8, 16> map{};
  for (int guest = 0; guest < 16; ++guest) map[static_cast<std::size_t>(guest)] = static_cast<i8>(host_register(guest));
  return map;
}
constexpr std::array<i8, 16> kHostRegisters = list_host_registers();

constexpr u16 list_spilled() {
  u32 mask = 0;
  for (int guest = 0; guest < 16; ++guest) mask |= host_register(guest) < 0 ? 1u << guest : 0;
  return static_cast<u16>(mask);
}
constexpr u16 kSpilled = list_spilled();

Uses find_uses(const Instruction& instruction) {
  Uses uses;
  if ((instruction.encoded & kSpilled) == 0) return uses;
  for (u8 n = 0; n < instruction.register_count; ++n) {
    const EncodedRegister& encoded = instruction.registers[n];
    if (host_register(encoded.number) >= 0) continue;
    auto* const end = uses.spilled.data() + uses.count;
    ReservedUse* use =
        std::find_if(uses.spilled.data(), end, [&](const ReservedUse& other) { return other.guest == encoded.number; });
    if (use == end) {
      ++uses.count;
      *use = {encoded.number, false, false, -1};
    }
    use->written |= encoded.written;
    use->read |= encoded.read;
  }
  return uses;
}

// Gives each spilled register a scratch register. Sources come first; a destination that is only written may share with
// a source, because an instruction reads all its operands before it writes.
bool assign(Uses& uses, bool memory) {
  bool taken[2] = {memory, false};
  constexpr i8 kScratch[2] = {kScratch0, kScratch1};
  for (int n = 0; n < uses.count; ++n) {
    ReservedUse& use = uses.spilled[static_cast<std::size_t>(n)];
    if (!use.read) continue;
    const int slot = !taken[1] ? 1 : 0;
    if (taken[slot]) return false;
    taken[slot] = true;
    use.host = kScratch[slot];
  }
  bool written[2] = {};
  for (int n = 0; n < uses.count; ++n) {
    const ReservedUse& use = uses.spilled[static_cast<std::size_t>(n)];
    if (use.read && use.written) written[use.host == kScratch[1]] = true;
  }
  for (int n = 0; n < uses.count; ++n) {
    ReservedUse& use = uses.spilled[static_cast<std::size_t>(n)];
    if (use.read) continue;
    const int slot = !written[1] ? 1 : 0;
    if (written[slot]) return false;
    written[slot] = true;
    use.host = kScratch[slot];
  }
  return true;
}

u8 encoded_prefixes(const Instruction& instruction, std::array<u8, 15>& out) {
  u8 count = 0;
  const bool elision = (instruction.z.attributes & (ZYDIS_ATTRIB_HAS_XACQUIRE | ZYDIS_ATTRIB_HAS_XRELEASE)) != 0;
  for (u8 n = 0; n < instruction.z.raw.prefix_count; ++n) {
    const u8 value = instruction.z.raw.prefixes[n].value;
    if (value == 0x66 || value == 0xF0 || ((value == 0xF2 || value == 0xF3) && !elision)) out[count++] = value;
  }
  return count;
}

// The register numbers of an encoding.
struct RegisterFields {
  int reg, rm, vvvv, in_opcode;
};

// The fields of the instruction with host registers in place of guest ones.
RegisterFields host_fields(const Instruction& instruction, const std::array<i8, 16>& map) {
  const ZydisDecodedInstruction& z = instruction.z;
  const bool vex = z.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
  const u8* vex_bytes = instruction.bytes.data() + z.raw.vex.offset;
  RegisterFields fields{z.raw.modrm.reg, z.raw.modrm.rm, 0, z.opcode & 7};
  auto& [reg, rm, vvvv, in_opcode] = fields;
  if (vex) {
    reg |= (vex_bytes[1] & 0x80) != 0 ? 0 : 8;
    if (vex_bytes[0] == 0xC4) rm |= (vex_bytes[1] & 0x20) != 0 ? 0 : 8;
    vvvv = (~(vex_bytes[vex_bytes[0] == 0xC4 ? 2 : 1] >> 3)) & 15;
  } else {
    reg |= z.raw.rex.R << 3;
    rm |= z.raw.rex.B << 3;
    in_opcode |= z.raw.rex.B << 3;
  }
  for (u8 n = 0; n < instruction.register_count; ++n) {
    const EncodedRegister& encoded = instruction.registers[n];
    const int host = map[static_cast<std::size_t>(encoded.number)];
    switch (encoded.field) {
      case EncodedRegister::Field::reg:
        reg = host;
        break;
      case EncodedRegister::Field::rm:
        rm = host;
        break;
      case EncodedRegister::Field::vvvv:
        vvvv = host;
        break;
      case EncodedRegister::Field::opcode:
        in_opcode = host;
        break;
    }
  }
  return fields;
}

}  // namespace

void BlockTranslator::emit_plain() {
  const Instruction& instruction = current();
  FlagSource kept;
  if (instruction.x87) emit_x87_check();
  if (instruction.has_memory) {
    emit_plain_memory();
  } else {
    Uses uses = find_uses(instruction);
    const bool rsp = (instruction.encoded & kRsp) != 0;
    if (needs_flags()) require_flags();
    if (!block_->variant.counted) kept = kept_shift(block_span(), index_);
    if (kept) e().store(frame_field(offsetof(Frame, kept)), host_register(kept.to));
    if (instruction.high8 && (rsp || uses.count != 0)) {
      emit_plain_high8();
    } else {
      assign(uses, false);
      if (uses.count != 0) in_scratch0_ = nullptr;
      Rewrite rewrite{kHostRegisters};
      for (int n = 0; n < uses.count; ++n) {
        const ReservedUse& use = uses.spilled[static_cast<std::size_t>(n)];
        rewrite.map[static_cast<std::size_t>(use.guest)] = use.host;
        if (use.read) e().load(use.host, spilled_slot(use.guest));
      }
      u8* begin = e().here();
      if (!rsp && uses.count == 0)
        e().put(instruction.bytes.data(), instruction.z.length);
      else
        emit_rewritten(instruction, rewrite);
      if (instruction.simd_float) {
        cache_.add_fault_range({begin, e().here(), make_site(static_cast<u16>(index_)), flags_ == Flags::saved});
      }
      for (int n = 0; n < uses.count; ++n) {
        const ReservedUse& use = uses.spilled[static_cast<std::size_t>(n)];
        if (use.written) e().store(spilled_slot(use.guest), use.host);
      }
    }
  }
  if (instruction.flags_written != 0) {
    flags_ = Flags::host;
    flag_source_ = kept ? kept : flag_source(instruction);
  }
  if (instruction.x87_address) emit_x87_address();
}

// `movzx esp, ah` and the like: no REX prefix may appear, so RSI stands in for the guest's RSP.
void BlockTranslator::emit_plain_high8() {
  Rewrite rewrite{kHostRegisters};
  rewrite.map[4] = kRsi;
  e().mov(kScratch1, kRsi);
  e().mov(kRsi, kGuestRspHost);
  emit_rewritten(current(), rewrite);
  e().mov(kGuestRspHost, kRsi);
  e().mov(kRsi, kScratch1);
}

void BlockTranslator::emit_plain_memory() {
  const Instruction& instruction = current();
  Uses uses = find_uses(instruction);
  assign(uses, true);
  bool loads = false;
  for (int n = 0; n < uses.count; ++n) loads |= uses.spilled[static_cast<std::size_t>(n)].read;
  const bool found = group_is_open(false);  // then nothing before the instruction itself touches the flags
  if (!found && !instruction.needs_flags())
    free_flags();
  else if (!found)
    clobber_flags();
  else if (instruction.needs_flags())
    require_flags();
  Access access = access_of(instruction);
  access.flat = loads || instruction.high8 || instruction.needs_flags();
  emit_access(access, [&](HostMemory memory) {
    Rewrite rewrite{kHostRegisters};
    rewrite.memory = &memory;
    if (instruction.needs_flags() && !found) emit_restore_flags(e());
    for (int n = 0; n < uses.count; ++n) {
      const ReservedUse& use = uses.spilled[static_cast<std::size_t>(n)];
      rewrite.map[static_cast<std::size_t>(use.guest)] = use.host;
      if (use.read) e().load(use.host, spilled_slot(use.guest));
    }
    const HostMemory through_rsi{kRsi};
    if (instruction.high8) {
      e().mov(kScratch1, kRsi);
      e().lea(kRsi, memory);
      rewrite.memory = &through_rsi;
    }
    u8* begin = e().here();
    emit_rewritten(instruction, rewrite);
    if (instruction.simd_float)
      cache_.add_fault_range({begin, e().here(), make_site(static_cast<u16>(index_)), flags_ != Flags::host});
    if (instruction.high8) e().mov(kRsi, kScratch1);
    for (int n = 0; n < uses.count; ++n) {
      const ReservedUse& use = uses.spilled[static_cast<std::size_t>(n)];
      if (use.written) e().store(spilled_slot(use.guest), use.host);
      if (use.host == kScratch0) in_scratch0_ = nullptr;
    }
  });
}

// Encodes the instruction anew with other registers and another memory operand.
void BlockTranslator::emit_rewritten(const Instruction& instruction, const Rewrite& rewrite) {
  const ZydisDecodedInstruction& z = instruction.z;
  if (z.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX) return emit_rewritten_evex(instruction, rewrite);
  const bool vex = z.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
  const bool modrm = (z.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0;
  const u8* vex_bytes = instruction.bytes.data() + z.raw.vex.offset;
  auto [reg, rm, vvvv, in_opcode] = host_fields(instruction, rewrite.map);
  const bool opcode_register = instruction.opcode_register;
  const bool any_rex_byte = (z.attributes & ZYDIS_ATTRIB_HAS_REX) != 0;
  const bool absolute = z.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && !vex && z.opcode >= 0xA0 && z.opcode <= 0xA3;
  if (absolute) reg = 0;
  const int base = rewrite.memory != nullptr ? rewrite.memory->base : rm;
  const int index = rewrite.memory != nullptr ? rewrite.memory->index : 0;
  const u8 r = reg >= 8 ? 4 : 0, x = index >= 8 ? 2 : 0, b = (opcode_register ? in_opcode : base) >= 8 ? 1 : 0;
  if (vex) {
    const u8 map = vex_bytes[0] == 0xC4 ? vex_bytes[1] & 0x1F : 1;
    const u8 last = vex_bytes[vex_bytes[0] == 0xC4 ? 2 : 1];
    const u8 w = vex_bytes[0] == 0xC4 ? last & 0x80 : 0;
    e().byte(0xC4);
    e().byte(static_cast<u32>(((r != 0 ? 0 : 0x80) | (x != 0 ? 0 : 0x40) | (b != 0 ? 0 : 0x20)) | map));
    e().byte(static_cast<u32>(w | ((~vvvv & 15) << 3) | (last & 7)));
  } else {
    std::array<u8, 15> prefixes;
    e().put(prefixes.data(), encoded_prefixes(instruction, prefixes));
    const u8 rex = static_cast<u8>((z.raw.rex.W << 3) | r | x | b);
    if (any_rex_byte || rex != 0) e().byte(0x40u | rex);
    if (z.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) e().byte(0x0F);
    if (z.opcode_map == ZYDIS_OPCODE_MAP_0F38) e().byte(0x38);
    if (z.opcode_map == ZYDIS_OPCODE_MAP_0F3A) e().byte(0x3A);
  }
  if (absolute) {
    constexpr u8 kModrmForm[] = {0x8A, 0x8B, 0x88, 0x89};
    e().byte(kModrmForm[z.opcode - 0xA0]);
  } else {
    e().byte(opcode_register ? static_cast<u32>((z.opcode & ~7) | (in_opcode & 7)) : z.opcode);
  }
  if (rewrite.memory != nullptr)
    e().modrm_memory(reg, *rewrite.memory);
  else if (modrm)
    e().byte(0xC0u | static_cast<u32>(reg & 7) << 3 | static_cast<u32>(rm & 7));
  if (z.raw.imm[0].size != 0) {
    const u8 offset = z.raw.imm[0].offset;
    e().put(instruction.bytes.data() + offset, z.length - offset);
  }
}

// SDM vol. 2A, 2.7.1. Fields that extend a register number are inverted; X extends the register in ModRM.rm, too.
void BlockTranslator::emit_rewritten_evex(const Instruction& instruction, const Rewrite& rewrite) {
  constexpr u32 kR = 0x80, kX = 0x40, kB = 0x20, kR2 = 0x10;
  const ZydisDecodedInstruction& z = instruction.z;
  const u8* const prefix = instruction.bytes.data() + z.raw.evex.offset;
  u32 first = prefix[1];
  int reg = z.raw.modrm.reg, rm = z.raw.modrm.rm;
  const auto field = [&](u32 bit, bool extended) { first = extended ? first & ~bit : first | bit; };
  for (u8 n = 0; n < instruction.register_count; ++n) {
    const EncodedRegister& encoded = instruction.registers[n];
    const int host = rewrite.map[static_cast<std::size_t>(encoded.number)];
    if (encoded.field == EncodedRegister::Field::reg) {
      reg = host;
      field(kR, host >= 8);
      field(kR2, false);
    } else if (encoded.field == EncodedRegister::Field::rm) {
      rm = host;
      field(kB, host >= 8);
      field(kX, false);
    }
  }
  if (rewrite.memory != nullptr) {
    field(kB, rewrite.memory->base >= 8);
    field(kX, rewrite.memory->index >= 8);
  }
  e().byte(0x62);
  e().byte(first);
  e().byte(prefix[2]);
  e().byte(prefix[3]);
  e().byte(z.opcode);
  if (rewrite.memory != nullptr)
    e().modrm_memory_wide(reg, *rewrite.memory);
  else
    e().byte(0xC0u | static_cast<u32>(reg & 7) << 3 | static_cast<u32>(rm & 7));
  if (z.raw.imm[0].size != 0) e().byte(instruction.bytes[z.raw.imm[0].offset]);
}

// C++ fetches what the mask lets the instruction touch, it runs on that copy, and C++ writes what the mask let it
// change.
void BlockTranslator::emit_masked() {
  const Instruction& instruction = current();
  in_scratch0_ = nullptr;
  clobber_flags();
  Site site = site_at(static_cast<u16>(index_));
  site.instruction = cache_.keep(instruction);
  site.fetch = true;
  e().store_immediate32(frame_field(offsetof(Frame, site)), cache_.add_site(site));
  e().call(stubs_.callout);
  const HostMemory copy = frame_field(offsetof(Frame, bounce));
  const u8* const begin = e().here();
  emit_rewritten(instruction, {kHostRegisters, &copy});
  if (instruction.simd_float)
    cache_.add_fault_range({begin, e().here(), make_site(static_cast<u16>(index_)), flags_ == Flags::saved});
  if (!instruction.memory_written) return;
  site.fetch = false;
  e().store_immediate32(frame_field(offsetof(Frame, site)), cache_.add_site(site));
  e().call(stubs_.callout);
}

void BlockTranslator::emit_lea() {
  const Instruction& instruction = current();
  const int guest = general_register(instruction.operands[0].reg.value).number;
  MemoryOperand address = instruction.memory;
  if (instruction.operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY) address.segment = 0;
  const int host = host_register(guest);
  const u16 width = instruction.z.operand_width;
  const bool resident = (address.base < 0 || host_register(address.base) >= 0) &&
                        (address.index < 0 || host_register(address.index) >= 0);
  if (host >= 0 && resident && !address.address32 && width >= 32 && (address.base >= 0 || address.index >= 0)) {
    const HostMemory memory{address.base < 0 ? -1 : host_register(address.base),
                            address.index < 0 ? -1 : host_register(address.index), address.scale,
                            static_cast<i32>(address.disp)};
    e().op_memory(width == 64 ? Width::b64 : Width::b32, 0x8D, host, memory);
    return;
  }
  emit_address(address);
  if (width == 32) e().mov32(kScratch0, kScratch0);
  if (width == 16) {
    emit_load_guest(kScratch1, guest);
    e().byte(0x66);
    e().op_register(Width::b32, 0x89, kScratch0, kScratch1);
    emit_store_guest(guest, kScratch1);
    return;
  }
  emit_store_guest(guest, kScratch0);
}

// DIV and IDIV: the divisor goes to scratch 1, and the host's instruction runs only when it cannot fault. The flags,
// which are undefined afterwards, stay as they were.
void BlockTranslator::emit_divide() {
  const Instruction& instruction = current();
  const bool is_signed = instruction.mnemonic() == ZYDIS_MNEMONIC_IDIV;
  const u8 bytes = static_cast<u8>(instruction.operands[0].size / 8);
  clobber_flags();
  if (instruction.has_memory) {
    emit_access(access_of(instruction), [&](HostMemory memory) {
      if (bytes == 1)
        e().op_memory(Width::b32, 0x0FB6, kScratch1, memory);
      else if (bytes == 2)
        e().op_memory(Width::b32, 0x0FB7, kScratch1, memory);
      else if (bytes == 4)
        e().load32(kScratch1, memory);
      else
        e().load(kScratch1, memory);
    });
  } else {
    const RegisterName name = general_register(instruction.operands[0].reg.value);
    emit_load_guest(kScratch1, name.number);
    if (name.high8) e().shift_right(Width::b32, kScratch1, 8);
  }
  emit_divide_checks(bytes, is_signed);
  if (bytes == 2) e().byte(0x66);
  e().op_register(bytes == 8 ? Width::b64 : Width::b32, bytes == 1 ? 0xF6 : 0xF7, is_signed ? 7 : 6, kScratch1);
}

void BlockTranslator::emit_divide_checks(u8 bytes, bool is_signed) {
  constexpr int kRax = 0, kRdx = 2;
  in_scratch0_ = nullptr;
  const Width width = bytes == 8 ? Width::b64 : Width::b32;
  u8* doubtful[2] = {};
  if (bytes <= 2) {
    doubtful[0] = e().jump();
  } else if (!is_signed) {
    e().op_register(width, 0x3B, kRdx,
                    kScratch1);  // the quotient fits if and only if the high half is below the divisor
    doubtful[0] = e().jump(Condition::ae);
  } else {
    e().op_register(width, 0x8B, kScratch0, kRax);
    e().op_register(width, 0xC1, 7, kScratch0);
    e().byte(bytes == 8 ? 63 : 31);
    e().op_register(width, 0x3B, kScratch0, kRdx);
    doubtful[0] = e().jump(Condition::ne);
    e().op_memory(width, 0x8D, kScratch0, {kScratch1, -1, 0, 1});
    e().op_register(width, 0x83, 7, kScratch0);
    e().byte(1);
    doubtful[1] = e().jump(Condition::be);
  }
  u8* back = e().here();
  Emitter& cold = cache_.cold;
  for (u8* jump : doubtful) {
    if (jump != nullptr) Emitter::patch(jump, cold.here());
  }
  Site site = site_at(static_cast<u16>(index_));
  site.size = bytes;
  site.write = is_signed;  // for the helper: which of the two
  site.instruction = nullptr;
  cold.store_immediate32(frame_field(offsetof(Frame, site)), cache_.add_site(site));
  cold.call(stubs_.callout);
  cold.jump(back);
}

}  // namespace vitrine::cpu::translator
