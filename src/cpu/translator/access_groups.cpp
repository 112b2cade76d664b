#include "cpu/translator/access_groups.h"

#include <algorithm>
#include <cstdlib>

#include "cpu/translator/flag_recovery.h"
#include "cpu/translator/stubs.h"

namespace vitrine::cpu::translator {
namespace {

constexpr int kRsp = 4, kRbp = 5;
// A wide group fails more often: when its bytes lie in two pages.
constexpr i64 kWidestGroup = 512;

MemoryOperand stack_top(i64 disp) {
  MemoryOperand operand;
  operand.base = kRsp;
  operand.disp = disp;
  return operand;
}

int register_number(const ZydisDecodedOperand& operand, u8 bytes) {
  if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) return -1;
  const RegisterName name = general_register(operand.reg.value);
  return name.bytes == bytes ? name.number : -1;
}

}  // namespace

Reach reach_of(const MemoryOperand& address) {
  if (address.segment != 0 || address.address32) return Reach::general;
  if (address.base < 0 && address.index < 0) return Reach::constant;
  if (address.base >= 0 && address.index >= 0) return Reach::general;
  return host_register(std::max(address.base, address.index)) >= 0 ? Reach::direct : Reach::general;
}

void AccessGroups::clear() {
  groups_.clear();
  keys_.clear();
  members_.clear();
}

void AccessGroups::plan(std::span<const Instruction> instructions) {
  clear();
  next_unknown_ = 1;
  for (int guest = 0; guest < 16; ++guest) forget(guest);
  for (u32 n = 0; n < instructions.size(); ++n) {
    note_accesses(n, instructions[n]);
    note_writes(instructions[n]);
  }
  i8 slot = 0;
  for (AccessGroup& group : groups_) {
    if (group.members >= 2 && slot < static_cast<i8>(kGroupSlots)) group.slot = slot++;
  }
}

AccessGroup* AccessGroups::find(u32 instruction, bool implicit, i64* position) {
  for (const Member& member : members_) {
    if (member.instruction != instruction || member.implicit != implicit) continue;
    *position = member.position;
    AccessGroup& group = groups_[member.group];
    return group.slot < 0 ? nullptr : &group;
  }
  return nullptr;
}

void AccessGroups::add(u32 instruction, const MemoryOperand& address, u16 size, bool write, bool aligned,
                       bool implicit) {
  if (address.segment != 0 || address.address32 || size == 0 || size > 64) return;
  // So that the distance to another member can be added.
  constexpr i64 kFarthest = 1ll << 30;
  if (reach_of(address) != Reach::constant && std::abs(address.disp) > kFarthest) return;
  Key key;
  i64 position = address.disp;
  if (address.base >= 0) {
    const Value& base = values_[static_cast<std::size_t>(address.base)];
    key.base = base.unknown;
    position += base.constant;
  }
  if (address.index >= 0) {
    const Value& index = values_[static_cast<std::size_t>(address.index)];
    key.index = index.unknown;
    key.scale = address.scale;
    position += static_cast<i64>(static_cast<u64>(index.constant) << address.scale);
  }
  for (std::size_t n = groups_.size(); n-- > 0;) {
    AccessGroup& group = groups_[n];
    if (keys_[n] != key) continue;
    const i64 low = std::min(group.low, position), high = std::max(group.high, position + size);
    if (high - low > kWidestGroup) continue;
    if (aligned && group.aligned && ((position - group.anchor) & (size - 1)) != 0) return;
    group.low = low;
    group.high = high;
    group.write |= write;
    if (group.reach != reach_of(address)) group.reach = Reach::general;
    ++group.members;
    if (aligned) {
      group.anchor = !group.aligned || size > group.alignment ? position : group.anchor;
      group.alignment = std::max<u16>(group.alignment, size);
      group.aligned = true;
    }
    members_.push_back({instruction, implicit, static_cast<u16>(n), position});
    return;
  }
  members_.push_back({instruction, implicit, static_cast<u16>(groups_.size()), position});
  AccessGroup group{position, position + size, write, aligned, position, 1, 1, reach_of(address), false, -1};
  if (aligned) group.alignment = size;
  groups_.push_back(group);
  keys_.push_back(key);
}

void AccessGroups::note_accesses(u32 number, const Instruction& instruction) {
  const u16 width = instruction.z.operand_width == 16 ? 2 : 8;
  switch (instruction.form) {
    case Form::plain:
    case Form::divide:
    case Form::jump:
      break;
    case Form::push:
    case Form::call:
      if (!instruction.has_memory) add(number, stack_top(-i64{width}), width, true, false, true);
      break;
    case Form::pop:
    case Form::ret:
      if (!instruction.has_memory) add(number, stack_top(0), width, false, false, true);
      return;
    case Form::leave: {
      MemoryOperand frame;
      frame.base = kRbp;
      add(number, frame, 8, false, false, true);
      return;
    }
    default:
      return;
  }
  const bool explicit_operand =
      instruction.form == Form::plain || instruction.form == Form::divide || instruction.form == Form::jump;
  if (explicit_operand && instruction.has_memory && !instruction.x87_address) {
    add(number, instruction.memory, instruction.memory_size, instruction.memory_written, instruction.memory_aligned,
        false);
  }
}

// Writes of known values: a register plus a constant.
bool AccessGroups::note_known_write(const Instruction& instruction) {
  const ZydisDecodedOperand* const operands = instruction.operands.data();
  Value& rsp = values_[kRsp];
  const u8 step = instruction.z.operand_width == 16 ? 2 : 8;
  if (instruction.form == Form::push) {
    rsp.constant -= step;
    return true;
  }
  if (instruction.form == Form::pop) {
    rsp.constant += step;
    const int to = register_number(operands[0], 8);
    if (to < 0 && operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER)
      forget(general_register(operands[0].reg.value).number);
    if (to >= 0) forget(to);
    return true;
  }
  const int to = instruction.z.operand_count_visible == 0 ? -1 : register_number(operands[0], 8);
  if (to < 0) return false;
  Value& value = values_[static_cast<std::size_t>(to)];
  const bool immediate = instruction.z.operand_count_visible > 1 && operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
  const int from = instruction.z.operand_count_visible > 1 ? register_number(operands[1], 8) : -1;
  switch (instruction.mnemonic()) {
    case ZYDIS_MNEMONIC_ADD:
      if (immediate) value.constant += operands[1].imm.value.s;
      return immediate;
    case ZYDIS_MNEMONIC_SUB:
      if (immediate) value.constant -= operands[1].imm.value.s;
      return immediate;
    case ZYDIS_MNEMONIC_INC:
      ++value.constant;
      return true;
    case ZYDIS_MNEMONIC_DEC:
      --value.constant;
      return true;
    case ZYDIS_MNEMONIC_MOV:
      if (from >= 0) value = values_[static_cast<std::size_t>(from)];
      return from >= 0;
    case ZYDIS_MNEMONIC_LEA: {
      const MemoryOperand& address = instruction.memory;
      if (address.base < 0 || address.index >= 0 || address.address32) return false;
      const Value source = values_[static_cast<std::size_t>(address.base)];
      value = {source.unknown, source.constant + address.disp};
      return true;
    }
    default:
      return false;
  }
}

void AccessGroups::note_writes(const Instruction& instruction) {
  if (instruction.form == Form::nop) return;
  const bool known_form = instruction.form == Form::plain || instruction.form == Form::lea ||
                          instruction.form == Form::push || instruction.form == Form::pop;
  if (known_form && note_known_write(instruction)) return;
  const u32 written = instruction.written;
  for (int guest = 0; guest < 16; ++guest) {
    if ((written >> guest & 1) != 0) forget(guest);
  }
}

}  // namespace vitrine::cpu::translator
