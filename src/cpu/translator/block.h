// Block: one translation of a run of guest instructions inside one page, and the side tables that let C++ find its way
// back from generated code: sites (places that may leave the block) and chain exits (jumps that may be linked to
// another block).
#pragma once

#include "base/types.h"
#include "cpu/translator/decoder.h"
#include "cpu/translator/flag_recovery.h"
#include "cpu/translator/refill.h"

namespace vitrine::cpu::translator {

// A block exists in variants. `flags_saved`: on entry the arithmetic flags are in Frame::flags, not in the host's
// register. `single`: each access looks up for itself: for when a group of accesses did not lie in one mapped page.
// `flag_source`: the flags are in the host's register and this made them; for blocks that may lose them.
// `counted`: each instruction takes itself off the budget, just before it runs: for the end of a budget. `one`: one
// instruction, no budget check and no links: for single steps.
struct Variant {
  bool flags_saved = true;
  FlagSource flag_source{};
  bool single = false;
  bool counted = false;
  bool one = false;
  bool operator==(const Variant&) const = default;
};

struct Block {
  Va va = 0;
  Pfn frame;
  Pfn second_frame;  // of a block that is one instruction across a page boundary
  bool crossing = false;
  bool dead = false;   // its page was written; never entered again
  bool cached = true;  // false: made for one execution
  Variant variant;
  u16 instructions = 0;
  u16 guest_bytes = 0;
  u8* entry = nullptr;
};

// A place in generated code that C++ may have to explain.
struct Site {
  Block* block = nullptr;
  u16 index = 0;         // instructions of the block retired before this point
  i16 offset = 0;        // guest address of the instruction, from the block's: it may have followed a jump back
  u8 size = 0;           // bytes accessed (memory sites)
  u8 length = 0;         // of the instruction
  bool fetch = false;    // a masked instruction that is yet to run
  bool charged = false;  // the block's instructions are already taken off Frame::budget
  bool write = false;
  Reach reach = Reach::general;
  bool stack = false;                        // a non-canonical address is #SS
  bool x87_waits = false;                    // Instruction::x87_waits
  u8 alignment_mask = 0;                     // the access must not have these address bits
  Form form = Form::plain;                   // special exits
  const Instruction* instruction = nullptr;  // helper and string sites

  [[nodiscard]] Va rip() const { return block->va + static_cast<u64>(i64{offset}); }
  [[nodiscard]] Va next() const { return rip() + length; }
};

inline constexpr u32 kNoExit = ~0u;

struct ChainExit {
  u8* displacement = nullptr;  // of the jump to link; null: the target lies where the jump was
  Block* block = nullptr;
  Va target = 0;
  Variant variant;  // of the target
  // A conditional jump behind which one lies for the other way, and the record of that one if it is yet to be linked.
  bool pair = false;
  u32 other = kNoExit;
};

// A way out of the middle of a block of hot code, at a conditional jump, which counts how often it is taken (Frame::side).
struct SideExit {
  Block* block = nullptr;
  Va behind = 0;  // the instruction behind the jump
  Va target = 0;  // where the way leads
  u64 since = 0;  // instructions that had run when the count began
};

// A direct jump to another page. Which code lies there depends on the space, so it goes through Frame::far, the entry
// with the number of this record; until a space knows the target, its entry leads to the dispatcher.
struct FarJump {
  Va target = 0;
};

// Generated code that may raise SIGFPE when the guest unmasks FP exceptions.
struct FaultRange {
  const u8* begin = nullptr;
  const u8* end = nullptr;
  u32 site = 0;
  bool flags_saved = false;  // the true flags are in Frame::flags
};

}  // namespace vitrine::cpu::translator
