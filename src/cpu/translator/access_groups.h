// AccessGroups: which memory accesses of a block lie at known distances from each other, so that one look-up serves all
// of them. A group is a set of accesses whose addresses are one unknown value plus constants: the same registers, or
// registers that differ by constants since (push, sub rsp, add rdi, lea, mov).
//
// Plain analysis of decoded instructions; emits nothing.
#pragma once

#include <span>
#include <vector>

#include "cpu/translator/block.h"
#include "cpu/translator/frame.h"

namespace vitrine::cpu::translator {

// How an operand is reached; `constant` and `direct` need less code.
[[nodiscard]] Reach reach_of(const MemoryOperand& address);

struct AccessGroup {
  i64 low = 0, high = 0;  // the bytes that it covers, relative to the unknown value
  bool write = false;     // some access writes
  bool aligned = false;   // some access must be aligned to 16 or 32 bytes:
  i64 anchor = 0;         // this position must be
  u16 alignment = 1;
  u16 members = 0;
  Reach reach = Reach::general;
  bool open = false;  // for the emitter: the look-up is done
  i8 slot = -1;       // -1: one access alone gains nothing
  Va low_va = 0;      // of a constant group that is open: its first byte
};

class AccessGroups {
 public:
  struct Member {
    u32 instruction = 0;
    bool implicit = false;  // the stack access of push, pop, call, ret, leave
    u16 group = 0;
    i64 position = 0;  // relative to the group's unknown value
  };

  void clear();
  void plan(std::span<const Instruction> instructions);
  // The group of an access, null when it has none that pays.
  [[nodiscard]] AccessGroup* find(u32 instruction, bool implicit, i64* position);

 private:
  // A register's value: an unknown and a constant.
  struct Value {
    u32 unknown = 0;
    i64 constant = 0;
  };
  struct Key {
    u32 base = 0, index = 0;  // 0: none
    u8 scale = 0;
    bool operator==(const Key&) const = default;
  };
  void add(u32 instruction, const MemoryOperand& address, u16 size, bool write, bool aligned, bool implicit);
  void note_accesses(u32 number, const Instruction& instruction);
  void note_writes(const Instruction& instruction);
  [[nodiscard]] bool note_known_write(const Instruction& instruction);
  void forget(int guest) { values_[static_cast<std::size_t>(guest)] = {next_unknown_++, 0}; }

  std::array<Value, 16> values_;
  u32 next_unknown_ = 1;
  std::vector<AccessGroup> groups_;
  std::vector<Key> keys_;  // of groups_
  std::vector<Member> members_;
};

}  // namespace vitrine::cpu::translator
