#include "cpu/translator/block_translator.h"

#include <algorithm>

#include "base/check.h"
#include "cpu/translator/flag_recovery.h"

namespace vitrine::cpu::translator {

BlockTranslator::BlockTranslator(CodeCache& cache, const Stubs& stubs, const TranslatorOptions& options)
    : cache_(cache),
      stubs_(stubs),
      options_(options),
      decoder_(cache.arena(), options.avx512),
      instructions_(kMaxBlock) {}

bool BlockTranslator::decode(const BlockRequest& request) {
  const u32 limit = request.variant.one ? 1 : std::clamp<u32>(options_.block_instructions, 1, kMaxBlock);
  count_ = 0;
  undecodable_ = false;
  for (std::optional<Va> at = request.va; at && count_ < limit;) {
    const DecodeResult result = decoder_.decode(request.code.subspan(*at - request.code_at), *at, instructions_[count_]);
    if (result == DecodeResult::truncated && count_ == 0) return false;
    if (result == DecodeResult::invalid && count_ == 0) undecodable_ = true;
    if (result != DecodeResult::ok) break;
    const Instruction& instruction = instructions_[count_++];
    at = next_in_block(instruction, request);
  }
  return count_ != 0 || undecodable_;
}

// Where the block goes on behind an instruction. In hot code jumps within the page do not end it, unless they are conditional
// and go both ways often (emit_side_exit).
std::optional<Va> BlockTranslator::next_in_block(const Instruction& instruction, const BlockRequest& request) const {
  const auto in_page = [&](Va va) { return page_floor(va) == page_floor(request.va); };
  const Va behind = instruction.next();
  if (request.crossing) return std::nullopt;
  if (!instruction.ends_block) return in_page(behind) ? std::optional(behind) : std::nullopt;
  const bool conditional = instruction.form == Form::jump_if;
  if (!hot_ || (!conditional && !instruction.is_direct_jump()) || !in_page(instruction.target())) return std::nullopt;
  HotPages::Way way = HotPages::Way::target;
  if (conditional) {
    if (!in_page(behind) || cache_.side_exit_count() + kMaxBlock > kSideExits) return std::nullopt;
    way = request.hot_pages->way(request.frame, behind & kPageMask);
  }
  const Va next = way == HotPages::Way::target ? instruction.target() : behind;
  // What the block has already is linked.
  const auto decoded = std::span<const Instruction>(instructions_).first(count_);
  const bool again = std::ranges::find(decoded, next, &Instruction::rip) != decoded.end();
  return way == HotPages::Way::ends || again ? std::nullopt : std::optional(next);
}

Block* BlockTranslator::translate(const BlockRequest& request) {
  VITRINE_CHECK(cache_.has_room());
  Variant variant = request.variant;
  const bool whole = !variant.one && !variant.counted && !variant.single && request.cached && !request.crossing && options_.chain;
  hot_ = whole && request.hot_pages != nullptr && request.hot_pages->hot(request.frame);
  now_ = request.now;
  if (!decode(request)) return nullptr;
  const std::span<const Instruction> decoded(instructions_.data(), count_);
  if (variant.flag_source && !gains_by_losing_flags(decoded)) {
    variant.flag_source = {};
    Block* const there = request.cached ? cache_.find(request.va, request.frame, variant) : nullptr;
    if (there != nullptr && !there->crossing) {
      cache_.publish_as(*there, request.variant);
      return there;
    }
  }
  if (request.follows != kNoExit && !request.crossing) cache_.make_way(request.follows);
  block_ = &cache_.add_block();
  block_->va = request.va;
  block_->frame = request.frame;
  block_->second_frame = request.second_frame;
  block_->crossing = request.crossing;
  block_->cached = request.cached;
  block_->variant = variant;
  block_->instructions = static_cast<u16>(count_);
  block_->entry = cache_.hot.here();
  for (u32 n = 0; n < count_; ++n) block_->guest_bytes = static_cast<u16>(block_->guest_bytes + instructions_[n].z.length);

  const bool may_group = whole && !undecodable_;
  groups_.clear();
  in_scratch0_ = nullptr;
  ranges_ = may_group ? request.hot_pages : nullptr;
  if (may_group) groups_.plan({instructions_.data(), count_});
  emitter_ = &cache_.hot;
  index_ = 0;
  flags_ = variant.flags_saved ? Flags::saved : Flags::host;
  flag_source_ = variant.flag_source;
  x87_checked_ = false;
  check_pending_ = !variant.one && !variant.counted;
  if (undecodable_) {
    check_pending_ = false;
    if (variant.counted) emit_count();
    emit_no_code();
  } else {
    if (check_pending_ && flags_ == Flags::saved) clobber_flags();
    for (; index_ < count_; ++index_) {
      emit_instruction();
      note_written_inputs();
    }
    if (!instructions_[count_ - 1].ends_block) emit_end();
  }
  if (request.cached) {
    cache_.publish(*block_);
    if (block_->variant != request.variant) cache_.publish_as(*block_, request.variant);
  }
  return block_;
}

// The site of the instruction with this index; `count_` names the end of the block.
Site BlockTranslator::site_at(u16 at) const {
  Site site;
  site.block = block_;
  site.index = at;
  site.charged = !block_->variant.one && !block_->variant.counted && !check_pending_;
  if (at < count_) {
    const Instruction& instruction = instructions_[at];
    site.offset = static_cast<i16>(instruction.rip - block_->va);
    site.length = instruction.z.length;
    site.form = instruction.form;
    site.x87_waits = instruction.x87_waits;
  } else {
    site.offset = static_cast<i16>(end() - block_->va);
  }
  return site;
}

u32 BlockTranslator::make_site(u16 at) { return cache_.add_site(site_at(at)); }

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
  const bool counted = block_->variant.counted;
  const u32 needed = counted ? flag_source_.inputs() : 0;  // elsewhere they are kept
  if (flags_ == Flags::host && flag_source_ && may_lose_flags(block_span(), needed, index_, counted)) {
    flags_ = Flags::lost;
    if (check_pending_) emit_budget_check(false);
    return;
  }
  clobber_flags();
}

// Before an instruction that changes what dead flags would be made from: one store keeps it for the accesses that
// follow.
void BlockTranslator::keep_flag_inputs() {
  if (!flag_source_ || (flags_ != Flags::host && flags_ != Flags::lost)) return;
  if (block_->variant.counted || current().full_flag_writer) return;
  const u32 changed = current().written & flag_source_.inputs();
  if (changed == 0 || !access_before_writer(block_span(), index_ + 1)) return;
  if (flags_ == Flags::host && !may_lose_flags(block_span(), 0, index_, false)) return;
  FlagSource& source = flag_source_;
  if (!source.to_kept && (changed >> source.to & 1) != 0) {
    e().store(frame_field(offsetof(Frame, kept)), host_register(source.to));
    source.to_kept = true;
  }
  if (source.from >= 0 && source.from != source.to && !source.from_kept && (changed >> source.from & 1) != 0) {
    e().store(frame_field(offsetof(Frame, kept) + sizeof(u64)), host_register(source.from));
    source.from_kept = true;
  }
}

// After an instruction: have the registers changed that the flags could be made from again? While the flags are lost
// that was foreseen.
void BlockTranslator::note_written_inputs() {
  if (!flag_source_ || flags_ == Flags::lost || current().full_flag_writer) return;
  if ((current().written & flag_source_.inputs()) != 0) flag_source_ = {};
}

// Of a block that is jumped to from here, in the same page.
Variant BlockTranslator::next_variant() const {
  if (flags_ != Flags::host) return {.flags_saved = true};
  return {.flags_saved = false, .flag_source = flag_source_.kept() ? FlagSource() : flag_source_};
}

// Makes lost flags again and saves them. Leaves scratch 0 alone.
void BlockTranslator::emit_recover_flags() {
  const FlagSource::Operation operation = flag_source_.operation;
  if (flag_source_.to_kept) e().load(kScratch1, frame_field(offsetof(Frame, kept)));
  if (operation == FlagSource::Operation::add) emit_flag_operation(FlagSource::Operation::subtract);
  if (operation == FlagSource::Operation::subtract) emit_flag_operation(FlagSource::Operation::add);
  if (operation == FlagSource::Operation::negate) emit_flag_operation(operation);
  emit_flag_operation(operation);
  emit_save_flags(e(), static_cast<i32>(offsetof(Frame, flags)));
}

// One operation on the operands of `flag_source_`.
void BlockTranslator::emit_flag_operation(FlagSource::Operation operation) {
  struct Encoding {
    u8 with_register, with_immediate, extension;  // for bytes; the next opcode is for wider operands
  };
  constexpr Encoding kEncodings[] = {{},           {0x38, 0x80, 7}, {0x84, 0xF6, 0}, {0x00, 0x80, 0}, {0x28, 0x80, 5},
                                     {0, 0xF6, 3}, {0, 0xC0, 4},    {0, 0xC0, 5},    {0, 0xC0, 7}};
  const Encoding encoding = kEncodings[static_cast<std::size_t>(operation)];
  const FlagSource& source = flag_source_;
  const bool immediate = source.from < 0;
  const int to = source.to_kept ? kScratch1 : host_register(source.to);
  if (source.bytes == 2) e().byte(0x66);
  if (!immediate && source.from_kept) {  // the form that takes its source from memory; TEST has only one
    const u32 swapped = operation == FlagSource::Operation::test ? 0 : 2;
    e().byte(0x40u | (source.bytes == 8 ? 8u : 0u) | (to >= 8 ? 4u : 0u));
    e().byte(encoding.with_register + swapped + (source.bytes == 1 ? 0u : 1u));
    e().modrm_memory(to, frame_field(offsetof(Frame, kept) + sizeof(u64)));
    return;
  }
  const int reg = immediate ? encoding.extension : source.from == source.to ? to : host_register(source.from);
  e().byte(0x40u | (source.bytes == 8 ? 8u : 0u) | (reg >= 8 ? 4u : 0u) | (to >= 8 ? 1u : 0u));
  e().byte((immediate ? encoding.with_immediate : encoding.with_register) + (source.bytes == 1 ? 0u : 1u));
  e().byte(0xC0u | static_cast<u32>(reg & 7) << 3 | static_cast<u32>(to & 7));
  if (operation >= FlagSource::Operation::shift_left)
    e().byte(static_cast<u32>(source.immediate));
  else if (immediate && operation != FlagSource::Operation::negate)
    e().put(&source.immediate, std::min<std::size_t>(source.bytes, sizeof source.immediate));
}

// After this the host's flags are the guest's.
void BlockTranslator::require_flags() {
  if (flags_ != Flags::saved) return;
  emit_restore_flags(e());
  flags_ = Flags::both;
}

// Whether the current instruction needs the guest's flags in the host's register: it reads them, or it leaves some of
// them alone that somebody may see.
bool BlockTranslator::needs_flags() const {
  if (current().reads_flags() || !current().needs_flags()) return current().reads_flags();
  const u32 left_before = check_pending_ ? kLatestCheck - 1 : count_;
  return current().has_memory || block_->variant.counted || !flags_die_unseen(block_span(), index_ + 1, left_before);
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
  if (flags_ == Flags::lost) emit_recover_flags();
  if (with_current) {
    emit_plain();
    flags_ = Flags::host;
    save_flags();
  }
  // What is left runs as blocks that count each instruction: from here on the budget includes the reserve.
  const u32 done = index_ + (with_current ? 1 : 0);
  const Va next = done < count_ ? instructions_[done].rip : end();
  if (may_link(next)) {
    e().alu_memory_immediate(Width::b64, 0, frame_field(offsetof(Frame, budget)),
                             static_cast<i32>(count_ - done) + static_cast<i32>(kBudgetReserve));
    link(e().jump(), next, {.flags_saved = true, .counted = true});
  } else {
    e().store_immediate32(frame_field(offsetof(Frame, site)), make_site(static_cast<u16>(done)));
    e().jump(stubs_.exit_budget);
  }
  emitter_ = outer;
}

// Takes the current instruction off the budget and leaves before it if there is none left.
void BlockTranslator::emit_count() {
  free_flags();
  e().alu_memory_immediate(Width::b64, 5, frame_field(offsetof(Frame, budget)), 1);
  u8* const out = e().jump(Condition::s);
  Emitter* const outer = emitter_;
  emitter_ = &cache_.cold;
  Emitter::patch(out, e().here());
  if (flags_ == Flags::lost) emit_recover_flags();
  e().store_immediate32(frame_field(offsetof(Frame, site)), make_site(static_cast<u16>(index_)));
  e().jump(stubs_.exit_budget);
  emitter_ = outer;
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
  if (check_pending_ && index_ + 1 >= kLatestCheck) free_flags();
  keep_flag_inputs();
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
    case Form::masked:
      emit_masked();
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
  Site site = site_at(static_cast<u16>(index_));
  if (current().form == Form::string || current().form == Form::refused || current().form == Form::interrupt)
    site.instruction = cache_.keep(current());
  e().store_immediate32(frame_field(offsetof(Frame, site)), cache_.add_site(site));
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
  in_scratch0_ = nullptr;
  clobber_flags();
  if (current().x87) emit_x87_check();
  Site site = site_at(static_cast<u16>(index_));
  site.instruction = cache_.keep(current());
  e().store_immediate32(frame_field(offsetof(Frame, site)), cache_.add_site(site));
  e().call(stubs_.callout);
}

// The host's x87 registers hold the guest's only once a block needs them.
void BlockTranslator::emit_x87_check() {
  if (x87_checked_) return;
  x87_checked_ = true;
  in_scratch0_ = nullptr;
  clobber_flags();
  e().op_memory(Width::b32, 0x80, 7, frame_field(offsetof(Frame, x87_loaded)));
  e().byte(0);
  u8* missing = e().jump(Condition::e);
  u8* back = e().here();
  Site site = site_at(static_cast<u16>(index_));
  site.form = Form::nop;  // a call-out without instruction: load the x87 state
  const u32 number = cache_.add_site(site);
  Emitter& cold = cache_.cold;
  Emitter::patch(missing, cold.here());
  cold.store_immediate32(frame_field(offsetof(Frame, site)), number);
  cold.call(stubs_.callout);
  cold.jump(back);
}

// Once the instruction has run: one that faults leaves both pointers alone.
void BlockTranslator::emit_x87_address() {
  in_scratch0_ = nullptr;
  if (current().has_memory) {
    e().load(kScratch0, frame_field(offsetof(Frame, x87_dp_next)));
    e().store(frame_field(offsetof(Frame, x87_dp)), kScratch0);
  }
  const Va rip = current().rip;
  if (rip <= 0x7FFF'FFFF) {
    e().store_immediate64(frame_field(offsetof(Frame, x87_ip)), static_cast<i32>(rip));
  } else {
    e().mov_immediate(kScratch0, rip);
    e().store(frame_field(offsetof(Frame, x87_ip)), kScratch0);
  }
}

}  // namespace vitrine::cpu::translator
