// Control flow. Within the page a direct jump is linked to its target; to another page it goes through an entry of the
// space's own table (Frame::far); indirect jumps ask the jump cache of the space. What both of these hold expects the
// flags in the frame.
#include "cpu/translator/block_translator.h"

namespace vitrine::cpu::translator {
namespace {
constexpr i8 kRsp = 4;
}  // namespace

bool BlockTranslator::may_link(Va target) const {
  return may_chain() && !block_->crossing && page_floor(target) == page_floor(block_->va);
}

bool BlockTranslator::may_chain() const { return options_.chain && block_->cached && !block_->variant.one; }

// Makes the jump with this displacement lead to a block: at once if it is
// there, otherwise through the dispatcher, which links it.
u32 BlockTranslator::link(u8* displacement, Va target, Variant variant) {
  variant.counted |= block_->variant.counted;
  if (target == block_->va && block_->variant == variant) {
    Emitter::patch(displacement, block_->entry);
    return kNoExit;
  }
  if (const Block* there = cache_.find(target, block_->frame, variant); there != nullptr && !there->crossing) {
    Emitter::patch(displacement, there->entry);
    return kNoExit;
  }
  const u32 exit = cache_.add_exit({displacement, block_, target, variant});
  Emitter& cold = cache_.cold;
  Emitter::patch(displacement, cold.here());
  if (!variant.flags_saved) emit_save_flags(cold, static_cast<i32>(offsetof(Frame, flags)));
  cold.store_immediate32(frame_field(offsetof(Frame, exit_argument)), exit);
  cold.jump(stubs_.exit_chain);
  return exit;
}

// The chain exit that is yet to be linked, or kNoExit.
u32 BlockTranslator::emit_go_to(Va target) {
  if (check_pending_) clobber_flags();
  if (may_link(target)) {
    return link(e().jump(), target, next_variant());
  }
  clobber_flags();
  if (!may_chain() || block_->variant.counted || cache_.far_jump_count() == kFarJumps) {
    e().mov_immediate(kScratch0, target);
    emit_leave_for();
    return kNoExit;
  }
  const u32 number = cache_.add_far_jump(target);
  e().mov_immediate(kScratch1, number);
  e().jump_memory(frame_field(offsetof(Frame, far) + sizeof(u64) * number));
  return kNoExit;
}

// Leaves generated code for the guest address in scratch 0.
void BlockTranslator::emit_leave_for() {
  if (block_->variant.counted)
    e().alu_memory_immediate(Width::b64, 5, frame_field(offsetof(Frame, budget)), static_cast<i32>(kBudgetReserve));
  e().jump(stubs_.exit_rip);
}

// Goes to the guest address in scratch 0. Precondition: the flags are saved and
// the budget is checked.
void BlockTranslator::emit_go_to_indirect() {
  if (!may_chain() || block_->variant.counted) {
    emit_leave_for();
    return;
  }
  static_assert(kJumpEntries == 1 << 16 && sizeof(JumpEntry) == 1 << 4);
  e().op_register(Width::b32, 0x0FB7, kScratch1, kScratch0);
  e().shift_left(Width::b32, kScratch1, 4);
  e().op_memory(Width::b64, 0x3B, kScratch0, {kHostRsp, kScratch1, 0, static_cast<i32>(offsetof(Frame, jump))});
  e().jump(Condition::ne, stubs_.jump_missed);
  e().jump_memory({kHostRsp, kScratch1, 0, static_cast<i32>(offsetof(Frame, jump) + offsetof(JumpEntry, code))});
}

void BlockTranslator::emit_target_to_temporary(const ZydisDecodedOperand& operand) {
  if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
    emit_load_guest(kScratch0, general_register(operand.reg.value).number);
  } else {
    emit_access(access_of(current()), [&](HostMemory memory) { e().load(kScratch0, memory); });
  }
  in_scratch0_ = nullptr;
}

void BlockTranslator::emit_jump() {
  if (!is_last()) return;  // the block goes on at the target
  const ZydisDecodedOperand& operand = current().operands[0];
  if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    emit_go_to(current().target());
    return;
  }
  clobber_flags();
  emit_target_to_temporary(operand);
  emit_go_to_indirect();
}

void BlockTranslator::emit_jump_if() {
  if (!is_last()) return emit_side_exit();
  const Instruction& instruction = current();
  const Va target = instruction.target();
  const auto condition = static_cast<Condition>(instruction.z.opcode & 15);
  if (check_pending_) clobber_flags();
  require_flags();
  u8* taken = e().jump(condition);
  const Flags at_branch = flags_;
  u32 exit = kNoExit;
  if (may_link(target)) {
    exit = link(taken, target, next_variant());
  } else {
    Emitter* const outer = emitter_;
    emitter_ = &cache_.cold;
    Emitter::patch(taken, e().here());
    emit_go_to(target);
    emitter_ = outer;
    flags_ = at_branch;
  }
  const u32 other = emit_go_to(instruction.next());
  if (exit == kNoExit || !may_link(instruction.next())) return;
  cache_.exit(exit).pair = true;
  cache_.exit(exit).other = other;
}

// A conditional jump in the middle of a block, which goes on behind it or at its target. Whoever goes the other way gives
// back what the block has taken off the budget for the instructions to come, and counts.
void BlockTranslator::emit_side_exit() {
  if (check_pending_) clobber_flags();
  require_flags();
  const Va behind = current().next();
  const bool followed = instructions_[index_ + 1].rip != behind;
  const Va target = followed ? behind : current().target();
  u8* const left = e().jump(static_cast<Condition>((current().z.opcode & 15) ^ (followed ? 1 : 0)));
  Emitter& cold = cache_.cold;
  Emitter::patch(left, cold.here());
  emit_save_flags(cold, static_cast<i32>(offsetof(Frame, flags)));
  cold.alu_memory_immediate(Width::b64, 0, frame_field(offsetof(Frame, budget)), static_cast<i32>(count_ - index_ - 1));
  const u32 number = cache_.add_side_exit({block_, behind, target, now_});
  cold.op_memory(Width::b32, 0x80, 0, frame_field(offsetof(Frame, side) + number));  // add byte, 1
  cold.byte(1);
  u8* const often = cold.jump(Condition::b);
  link(cold.jump(), target, {.flags_saved = true});
  Emitter::patch(often, cold.here());
  cold.store_immediate32(frame_field(offsetof(Frame, exit_argument)), number);
  cold.jump(stubs_.exit_side);
}

// LOOP, LOOPcc and JRCXZ keep their own instruction: it jumps over the way on
// to the way taken.
void BlockTranslator::emit_jump_counted() {
  const Instruction& instruction = current();
  if (check_pending_) clobber_flags();
  require_flags();
  if (instruction.z.address_width == 32) e().byte(0x67);
  e().byte(instruction.z.opcode);
  e().byte(5);
  u8* on = e().jump();
  u8* taken = e().jump();
  const Flags at_branch = flags_;
  const auto lead = [&](u8* displacement, Va target) {
    flags_ = at_branch;
    if (may_link(target)) {
      link(displacement, target, next_variant());
      return;
    }
    Emitter* const outer = emitter_;
    emitter_ = &cache_.cold;
    Emitter::patch(displacement, e().here());
    emit_go_to(target);
    emitter_ = outer;
  };
  lead(taken, instruction.target());
  lead(on, instruction.next());
}

void BlockTranslator::emit_call() {
  const Instruction& instruction = current();
  const ZydisDecodedOperand& operand = instruction.operands[0];
  if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    emit_push_value(instruction.next());
    emit_go_to(instruction.target());
    return;
  }
  clobber_flags();
  emit_target_to_temporary(operand);
  e().store(frame_field(offsetof(Frame, temporary)), kScratch0);
  emit_push_value(instruction.next());
  e().load(kScratch0, frame_field(offsetof(Frame, temporary)));
  emit_go_to_indirect();
}

void BlockTranslator::emit_return() {
  const Instruction& instruction = current();
  const u64 extra = instruction.z.raw.imm[0].size != 0 ? instruction.z.raw.imm[0].value.u & 0xFFFF : 0;
  MemoryOperand top;
  top.base = kRsp;
  top.stack = true;
  clobber_flags();
  emit_access({top, 8, false, false, false, true}, [&](HostMemory memory) { e().load(kScratch0, memory); });
  e().lea(kGuestRspHost, {kGuestRspHost, -1, 0, static_cast<i32>(8 + extra)});
  emit_go_to_indirect();
}

}  // namespace vitrine::cpu::translator
