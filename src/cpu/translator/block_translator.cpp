#include "cpu/translator/block_translator.h"

#include <algorithm>

#include "base/check.h"
#include "cpu/translator/flag_recovery.h"

namespace vitrine::cpu::translator {

BlockTranslator::BlockTranslator(CodeCache& cache, const Stubs& stubs, const TranslatorOptions& options)
    : cache_(cache), stubs_(stubs), options_(options), instructions_(kMaxBlock) {}

bool BlockTranslator::decode(const BlockRequest& request) {
  const u32 limit = request.variant.one ? 1 : std::clamp<u32>(options_.block_instructions, 1, kMaxBlock);
  count_ = 0;
  undecodable_ = false;
  u64 offset = 0;
  while (count_ < limit && offset < request.code.size()) {
    const DecodeResult result =
        decoder_.decode(request.code.subspan(offset), request.va + offset, instructions_[count_]);
    if (result == DecodeResult::truncated && count_ == 0) return false;
    if (result == DecodeResult::invalid && count_ == 0) undecodable_ = true;
    if (result != DecodeResult::ok) break;
    offset += instructions_[count_].z.length;
    if (instructions_[count_++].ends_block || request.crossing) break;
  }
  return count_ != 0 || undecodable_;
}

Block* BlockTranslator::translate(const BlockRequest& request) {
  VITRINE_CHECK(cache_.has_room());
  if (!decode(request)) return nullptr;
  block_ = &cache_.add_block();
  block_->va = request.va;
  block_->frame = request.frame;
  block_->second_frame = request.second_frame;
  block_->crossing = request.crossing;
  block_->cached = request.cached;
  block_->variant = request.variant;
  block_->instructions = static_cast<u16>(count_);
  block_->entry = cache_.hot.here();
  if (count_ != 0) block_->guest_bytes = static_cast<u16>(instructions_[count_ - 1].next() - request.va);

  const Variant variant = request.variant;
  const bool may_group = !variant.one && !variant.counted && !variant.single && request.cached && !request.crossing &&
                         options_.chain && !undecodable_;
  groups_.clear();
  if (may_group) groups_.plan({instructions_.data(), count_});
  emitter_ = &cache_.hot;
  index_ = 0;
  flags_ = request.variant.flags_saved ? Flags::saved : Flags::host;
  flag_writer_ = -1;
  x87_checked_ = false;
  check_pending_ = !variant.one && !variant.counted;
  if (undecodable_) {
    check_pending_ = false;
    if (variant.counted) emit_count();
    emit_no_code();
  } else {
    if (check_pending_ && flags_ == Flags::saved) clobber_flags();
    for (; index_ < count_; ++index_) emit_instruction();
    if (!instructions_[count_ - 1].ends_block) emit_end();
  }
  if (request.cached) cache_.publish(*block_);
  return block_;
}

// The site of the instruction with this index; `count_` names the end of the block.
u32 BlockTranslator::make_site(u16 at) {
  Site site;
  site.block = block_;
  site.index = at;
  site.charged = !block_->variant.one && !block_->variant.counted && !check_pending_;
  if (at < count_) {
    const Instruction& instruction = instructions_[at];
    site.offset = static_cast<u16>(instruction.rip - block_->va);
    site.length = instruction.z.length;
    site.form = instruction.form;
    site.x87_waits = instruction.x87_waits;
  } else {
    site.offset = block_->guest_bytes;
  }
  return cache_.add_site(site);
}

void BlockTranslator::save_flags() {
  if (flags_ != Flags::host) return;
  emit_save_flags(e(), static_cast<i32>(offsetof(Frame, flags)));
  flags_ = Flags::both;
}

// After this the host's flags may be overwritten.
void BlockTranslator::clobber_flags() {
  save_flags();
  if (check_pending_) emit_budget_check(false);
  flags_ = Flags::saved;
}

// The same, for an access: flags that nobody will read are not saved.
void BlockTranslator::free_flags() {
  if (flags_ == Flags::lost) return;
  if (flags_ == Flags::host && !check_pending_ && flag_writer_ >= 0 &&
      may_lose_flags({instructions_.data(), count_}, static_cast<u32>(flag_writer_), index_)) {
    flags_ = Flags::lost;
    return;
  }
  clobber_flags();
}

// Makes lost flags again and saves them. Leaves scratch 0 alone.
void BlockTranslator::emit_recover_flags() {
  const Instruction& writer = instructions_[static_cast<u32>(flag_writer_)];
  u32 inputs = 0;
  const FlagRecovery recovery = flag_recovery(writer, &inputs);
  const RegisterName to = general_register(writer.operands[0].reg.value);
  const int host = host_register(to.number);
  const Width width = to.bytes == 8 ? Width::b64 : Width::b32;
  if (recovery == FlagRecovery::repeat) {
    Rewrite rewrite{};
    for (int guest = 0; guest < 16; ++guest)
      rewrite.map[static_cast<std::size_t>(guest)] = static_cast<i8>(host_register(guest));
    emit_rewritten(writer, rewrite);
  } else if (recovery == FlagRecovery::test_result) {
    e().op_register(width, 0x85, host, host);
  } else if (writer.mnemonic() == ZYDIS_MNEMONIC_NEG) {
    e().op_register(width, 0xF7, 3, host);
    e().op_register(width, 0xF7, 3, host);
  } else {
    const bool add = writer.mnemonic() == ZYDIS_MNEMONIC_ADD;
    for (const bool adds : {!add, add}) {
      if (writer.operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
        e().alu_immediate(width, adds ? 0 : 5, host, static_cast<i32>(writer.operands[1].imm.value.s));
      else
        e().op_register(width, adds ? 0x01 : 0x29, host_register(general_register(writer.operands[1].reg.value).number),
                        host);
    }
  }
  emit_save_flags(e(), static_cast<i32>(offsetof(Frame, flags)));
}

// After this the host's flags are the guest's.
void BlockTranslator::require_flags() {
  if (flags_ != Flags::saved) return;
  emit_restore_flags(e());
  flags_ = Flags::both;
}

// Takes the block off the budget and leaves it before the current instruction if it is used up. `with_current`: the
// current instruction only overwrites the flags, so it is run before leaving and its flags are saved; no other save is
// needed.
void BlockTranslator::emit_budget_check(bool with_current) {
  e().alu_memory_immediate(Width::b64, 5, frame_field(offsetof(Frame, budget)), static_cast<i32>(count_));
  u8* out = e().jump(Condition::s);
  check_pending_ = false;
  Emitter* const outer = emitter_;
  emitter_ = &cache_.cold;
  Emitter::patch(out, e().here());
  if (with_current) {
    emit_plain();
    flags_ = Flags::host;
    save_flags();
  }
  const u32 site = make_site(static_cast<u16>(index_ + (with_current ? 1 : 0)));
  e().store_immediate32(frame_field(offsetof(Frame, site)), site);
  e().jump(stubs_.exit_budget);
  emitter_ = outer;
}

// Takes the current instruction off the budget and leaves before it if there is none left.
void BlockTranslator::emit_count() {
  clobber_flags();
  e().alu_memory_immediate(Width::b64, 5, frame_field(offsetof(Frame, budget)), 1);
  u8* const out = e().jump(Condition::s);
  Emitter& cold = cache_.cold;
  Emitter::patch(out, cold.here());
  cold.store_immediate32(frame_field(offsetof(Frame, site)), make_site(static_cast<u16>(index_)));
  cold.jump(stubs_.exit_budget);
}

void BlockTranslator::emit_instruction() {
  const Instruction& instruction = current();
  if (block_->variant.counted) emit_count();
  const bool only_overwrites = instruction.form == Form::plain && instruction.full_flag_writer &&
                               !instruction.has_memory && !instruction.reads_flags() && !instruction.x87 &&
                               !instruction.simd_float;
  if (check_pending_ && flags_ == Flags::host && only_overwrites) {
    emit_budget_check(true);
    flags_ = Flags::host;
  }
  if (check_pending_ && index_ + 1 >= kLatestCheck) clobber_flags();
  switch (instruction.form) {
    case Form::plain:
      emit_plain();
      break;
    case Form::nop:
      break;
    case Form::lea:
      emit_lea();
      break;
    case Form::divide:
      emit_divide();
      break;
    case Form::push:
      emit_push();
      break;
    case Form::pop:
      emit_pop();
      break;
    case Form::leave:
      emit_leave();
      break;
    case Form::direction:
      e().store_immediate64(frame_field(offsetof(Frame, direction)),
                            instruction.mnemonic() == ZYDIS_MNEMONIC_STD ? 1 : 0);
      break;
    case Form::jump:
      emit_jump();
      break;
    case Form::jump_if:
      emit_jump_if();
      break;
    case Form::jump_counted:
      emit_jump_counted();
      break;
    case Form::call:
      emit_call();
      break;
    case Form::ret:
      emit_return();
      break;
    case Form::helper:
    case Form::push_flags:
      emit_helper();
      break;
    case Form::string:
      if (instruction.ends_block)
        emit_special();
      else
        emit_helper();
      break;
    default:
      emit_special();
      break;
  }
}

// The block ends without a branch.
void BlockTranslator::emit_end() {
  index_ = count_ - 1;
  const Va next = current().next();
  if (check_pending_) {
    // The check belongs after the last instruction: all of them have run.
    index_ = count_;
    clobber_flags();
    index_ = count_ - 1;
  }
  emit_go_to(next);
}

// Instructions that the dispatcher executes. Their block ends before them.
void BlockTranslator::emit_special() {
  clobber_flags();
  const u32 site = make_site(static_cast<u16>(index_));
  if (current().form == Form::string || current().form == Form::refused || current().form == Form::interrupt) {
    Site copy = cache_.site(site);
    copy.instruction = cache_.keep(current());
    e().store_immediate32(frame_field(offsetof(Frame, site)), cache_.add_site(copy));
  } else {
    e().store_immediate32(frame_field(offsetof(Frame, site)), site);
  }
  e().jump(stubs_.exit_special);
}

// Bytes that are no instruction: #UD.
void BlockTranslator::emit_no_code() {
  Site site;
  site.block = block_;
  site.form = Form::invalid;
  save_flags();
  e().store_immediate32(frame_field(offsetof(Frame, site)), cache_.add_site(site));
  e().jump(stubs_.exit_special);
}

void BlockTranslator::emit_helper() {
  clobber_flags();
  if (current().x87) emit_x87_check();
  Site site = cache_.site(make_site(static_cast<u16>(index_)));
  site.instruction = cache_.keep(current());
  e().store_immediate32(frame_field(offsetof(Frame, site)), cache_.add_site(site));
  e().call(stubs_.callout);
}

// The host's x87 registers hold the guest's only once a block needs them.
void BlockTranslator::emit_x87_check() {
  if (x87_checked_) return;
  x87_checked_ = true;
  clobber_flags();
  e().op_memory(Width::b32, 0x80, 7, frame_field(offsetof(Frame, x87_loaded)));
  e().byte(0);
  u8* missing = e().jump(Condition::e);
  u8* back = e().here();
  Site site = cache_.site(make_site(static_cast<u16>(index_)));
  site.form = Form::nop;  // a call-out without instruction: load the x87 state
  const u32 number = cache_.add_site(site);
  Emitter& cold = cache_.cold;
  Emitter::patch(missing, cold.here());
  cold.store_immediate32(frame_field(offsetof(Frame, site)), number);
  cold.call(stubs_.callout);
  cold.jump(back);
}

void BlockTranslator::emit_x87_address() {
  const Va rip = current().rip;
  if (rip <= 0x7FFF'FFFF) {
    e().store_immediate64(frame_field(offsetof(Frame, x87_ip)), static_cast<i32>(rip));
  } else {
    e().mov_immediate(kScratch0, rip);
    e().store(frame_field(offsetof(Frame, x87_ip)), kScratch0);
  }
}

}  // namespace vitrine::cpu::translator
