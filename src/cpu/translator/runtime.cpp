#include "cpu/translator/runtime.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "cpu/translator/host_fault.h"
#include "cpu/user_flags.h"

namespace vitrine::cpu::translator {
namespace {
// Generated code returns at least this often (in instructions), so that a kick
// is noticed.
constexpr u64 kSlice = 1u << 20;
// A block that does not fit into the budget any more leaves less than this.
constexpr u64 kLongestTail = kBudgetReserve + kMaxBlock;

// Not #DB: an execution breakpoint is a fault as well, but leaves RF to the debugger.
bool is_fault(Vector vector) {
  return vector != Vector::debug && vector != Vector::breakpoint && vector != Vector::software_interrupt;
}

// Generated code has no type that a sanitizer could check before the call.
[[clang::no_sanitize("function")]] void enter(Stubs::Enter stub, Frame* frame, const u8* code) { stub(frame, code); }
}  // namespace

struct Runtime::Pass {
  Exit exit;
  bool done = false;
  Va rip = 0;
  u64 budget = 0;
  bool tail = false;            // the rest of the budget is run in blocks that count each instruction
  Variant variant;              // of the block to enter next
  const Block* next = nullptr;  // that block, when it is known already
  [[nodiscard]] u64 remaining(const Runtime& runtime) const { return budget - runtime.retired_; }
  [[nodiscard]] Variant take_variant(bool one, u64 instructions_left) {
    const Variant asked = std::exchange(variant, Variant{});
    if (one) return {.one = true};
    if (!tail && instructions_left > kBudgetReserve) return asked;
    return {.flags_saved = asked.flags_saved, .counted = true};
  }
  void end(ExitReason reason) {
    exit.reason = reason;
    done = true;
  }
};

Runtime::Runtime(ram::GuestRam& ram, Identity& identity, u32 processors, const TranslatorOptions& options)
    : ram_(ram),
      identity_(identity),
      options_(options),
      cache_(options.code_cache_bytes, ram.page_count()),
      stubs_(emit_stubs(cache_.hot, options.avx512)),
      blocks_(cache_, stubs_, options_),
      kicked_(std::make_unique<std::atomic<bool>[]>(std::max(processors, 1u))),
      processors_(std::max(processors, 1u)) {
  cache_.set_mark();
  if (options_.all_hot) hot_pages_.follow_half();
}

Runtime::~Runtime() { VITRINE_CHECK(spaces_.empty()); }

std::unique_ptr<Space> Runtime::create_space(Pfn root) { return std::make_unique<TranslatorSpace>(*this, root); }

void Runtime::add_space(TranslatorSpace& space) { spaces_.push_back(&space); }
void Runtime::remove_space(TranslatorSpace& space) { std::erase(spaces_, &space); }

void Runtime::kick(u32 processor) {
  VITRINE_CHECK(processor < processors_);
  kicked_[processor].store(true, std::memory_order_release);
}

Exit Runtime::run(u32 processor, Space& space, GuestContext& context, u64 budget) {
  VITRINE_CHECK(processor < processors_ && budget > 0);
  processor_ = processor;
  space_ = static_cast<TranslatorSpace*>(&space);
  frame_ = &space_->make_frame(stubs_.exit_rip);
  space_->know_far_jumps(cache_.far_jump_count(), misses());
  context_ = &context;
  retired_ = 0;
  retry_without_code_ = step_over_ = false;
  load_context(context);
  Pass pass;
  pass.rip = context.rip;
  pass.budget = budget;
  const HostFaultScope scope(*frame_, cache_, stubs_.host_fault);
  while (!pass.done) step(pass);
  context.rip = pass.rip;
  store_context();
  // RF is set in the image that a fault leaves, so that the instruction runs when it is tried again (SDM vol. 3B,
  // 18.3.1.1); NT shows it in CONTEXT.EFlags. It stays set between the iterations of a repeated instruction.
  const bool fault = pass.exit.reason == ExitReason::exception && is_fault(pass.exit.vector);
  if (resume_ || fault) context.rflags |= kRflagsResume;
  pass.exit.retired = retired_;
  retired_in_runs_before_ += retired_;
  return pass.exit;
}

// One entry into generated code.
void Runtime::step(Pass& pass) {
  if (kicked_[processor_].load(std::memory_order_relaxed) &&
      kicked_[processor_].exchange(false, std::memory_order_acq_rel)) {
    return pass.end(ExitReason::kicked);
  }
  const u64 remaining = pass.remaining(*this);
  if (remaining == 0) return pass.end(ExitReason::budget);
  if (debug_.executes() && meets_execution_breakpoint(pass)) return;
  const bool trap = (context_->rflags & kFlagTrap) != 0;
  const bool once = retry_without_code_;
  // A page with an execution breakpoint is run instruction by instruction; nothing outside it leads into its blocks.
  const bool watched = debug_.executes() && debug_.executes_in_page(pass.rip);
  const Variant variant = pass.take_variant(trap || once || step_over_ || watched, remaining);
  retry_without_code_ = step_over_ = keep_resume_ = false;
  if (frame_->refill.scattered_count != 0) translate_scattered();

  const u8* const entry = find_entry(pass, variant, once);
  if (entry == nullptr) return finish_exception(pass, fault_);
  frame_->refill.granted =
      variant.one ? kBudgetReserve : static_cast<i64>(std::min(remaining, variant.counted ? kLongestTail : kSlice));
  frame_->refill.entered = retired_in_runs_before_ + retired_;
  frame_->budget = frame_->refill.granted - (variant.counted ? 0 : kBudgetReserve);
  const u64 before = retired_;
  ++statistics_.dispatches;
  enter(variant.flags_saved ? stubs_.enter_flags_saved : stubs_.enter_flags_live, frame_, entry);
  switch (frame_->exit_kind) {
    case ExitKind::chain:
      after_chain(pass);
      break;
    case ExitKind::side:
      after_side(pass);
      break;
    case ExitKind::far:
      after_far(pass);
      break;
    case ExitKind::rip:
      after_rip(pass, variant.one ? 1 : 0);
      break;
    case ExitKind::budget: {
      const Site& site = cache_.site(frame_->site);
      retired_ = retired_before(site);
      pass.rip = site.rip();
      pass.tail = !site.block->variant.counted && pass.remaining(*this) <= kLongestTail;
      if (hot_pages_.sample(site.block->frame, retired_in_runs_before_ + retired_))
        (void)drop_blocks(site.block->frame);
      break;
    }
    case ExitKind::helper:
      after_helper(pass);
      break;
    case ExitKind::special:
      after_special(pass, cache_.site(frame_->site));
      break;
    case ExitKind::host_fault:
      after_host_fault(pass);
      break;
  }
  if (trap || resume_ || debug_.met()) report_debug_conditions(pass, trap, retired_ > before);
}

// A fault: RIP is at the instruction, which has not run.
bool Runtime::meets_execution_breakpoint(Pass& pass) {
  const u64 conditions = resume_ ? 0 : debug_.at_instruction(pass.rip);
  if (conditions == 0) return false;
  context_->debug[4] = conditions;
  finish_exception(pass, {Vector::debug, 0, 0});
  return true;
}

// Traps, after the instruction that met them. An instruction that faulted has met nothing.
void Runtime::report_debug_conditions(Pass& pass, bool trap, bool advanced) {
  u64 conditions = debug_.take();
  if (!advanced) return;
  if (!keep_resume_) resume_ = false;
  if (trap) conditions |= kDr6SingleStep;
  if (pass.done || conditions == 0) return;
  context_->debug[4] = conditions;
  finish_exception(pass, {Vector::debug, 0, 0});
}

// The code to run for `pass.rip`; null: fetching it faulted (`fault_`). `once`: a block that is not kept.
const u8* Runtime::find_entry(Pass& pass, Variant variant, bool once) {
  const Block* const next = std::exchange(pass.next, nullptr);
  if (once) {
    const Translation* const code = fetch(pass.rip);
    const Block* const block = code == nullptr ? nullptr : make_block(pass.rip, *code, variant, false);
    return block == nullptr ? nullptr : block->entry;
  }
  if (next != nullptr && !next->dead && variant == next->variant) return next->entry;
  if (const u8* const known = known_entry(pass.rip, variant); known != nullptr) return known;
  const Block* const block = find_block(pass.rip, variant);
  if (block == nullptr) return nullptr;
  if (variant == Variant{} && options_.chain) space_->install_jump(pass.rip, block->entry);
  return block->entry;
}

// Instructions of this run retired before the site, while generated code has
// just been left there.
u64 Runtime::retired_before(const Site& site) const {
  const u64 taken = consumed(site.block->variant.counted);
  if (site.block->variant.counted) return retired_ + taken - 1;  // the one that did not run
  return retired_ + taken + site.index - (site.charged ? site.block->instructions : 0);
}

// What generated code has taken off the budget. `counted`: it was left from such a block.
u64 Runtime::consumed(bool counted) const {
  return static_cast<u64>(frame_->refill.granted - frame_->budget - (counted ? 0 : kBudgetReserve));
}

const Translation* Runtime::fetch(Va va) {
  if (const Translation* cached = space_->cached_fetch(va)) return cached;
  const Translation walked = walk_page_tables(ram_, space_->root(), va, AccessKind::fetch);
  if (!walked.ok()) {
    fault_ = walked.outcome == Translation::Outcome::page_fault ? Fault{Vector::page_fault, walked.error_code, va}
                                                                : Fault{Vector::general_protection, 0, 0};
    return nullptr;
  }
  space_->cache_fetch(va, walked);
  return space_->cached_fetch(va);
}

Block* Runtime::find_block(Va rip, Variant variant, u32 follows) {
  const Translation* first = fetch(rip);
  if (first == nullptr) return nullptr;
  const Translation code = *first;
  if (Block* block = cache_.find(rip, code.frame, variant); block != nullptr) {
    if (!block->crossing) return block;
    // A block across a page boundary holds only as long as the second page is
    // the one it was made from.
    const Translation* second = fetch(page_floor(rip) + kPageSize);
    if (second == nullptr) return nullptr;
    if (second->frame == block->second_frame) return block;
  }
  return make_block(rip, code, variant, true, follows);
}

// Null: the fetch of the second page faulted (`fault_`). `follows`: the chain exit that leads there.
Block* Runtime::make_block(Va rip, const Translation& first, Variant variant, bool cached, u32 follows) {
  if (!cache_.has_room()) {
    flush_cache();
    follows = kNoExit;
  }
  const u8* const bytes = reinterpret_cast<const u8*>(first.host);
  BlockRequest request{rip, first.frame, {bytes, kPageSize}, page_floor(rip), false, {}, variant, cached};
  const u8* const host_before = cache_.hot.here();
  const std::size_t blocks_before = cache_.block_count();
  if (cached && !cache_.has_code(first.frame)) {
    for (TranslatorSpace* space : spaces_) space->revoke_writes(first.host);
  }
  if (options_.all_hot) hot_pages_.make_hot(first.frame);
  request.hot_pages = &hot_pages_;
  request.follows = follows;
  request.now = retired_in_runs_before_ + retired_;
  Block* block = blocks_.translate(request);
  if (block == nullptr) {
    const Translation* second = fetch(page_floor(rip) + kPageSize);
    if (second == nullptr) return nullptr;
    if (cached && !cache_.has_code(second->frame)) {
      for (TranslatorSpace* space : spaces_) space->revoke_writes(second->host);
    }
    std::array<u8, 2 * ZYDIS_MAX_INSTRUCTION_LENGTH> joined{};
    const std::size_t head = kPageSize - (rip & kPageMask);
    std::copy_n(bytes + (rip & kPageMask), head, joined.begin());
    std::copy_n(reinterpret_cast<const u8*>(second->host), ZYDIS_MAX_INSTRUCTION_LENGTH,
                joined.begin() + static_cast<std::ptrdiff_t>(head));
    request.code = {joined.data(), head + ZYDIS_MAX_INSTRUCTION_LENGTH};
    request.code_at = rip;
    request.crossing = true;
    request.second_frame = second->frame;
    block = blocks_.translate(request);
    VITRINE_CHECK(block != nullptr);
  }
  if (cache_.block_count() == blocks_before) return block;  // there was one that serves
  ++statistics_.blocks;
  statistics_.guest_bytes += block->guest_bytes;
  statistics_.host_bytes += static_cast<u64>(cache_.hot.here() - host_before);
  space_->know_far_jumps(cache_.far_jump_count(), misses());
  return block;
}

void Runtime::flush_cache() {
  cache_.clear();
  ++cache_generation_;
  ++statistics_.cache_flushes;
  for (TranslatorSpace* space : spaces_) {
    space->forget_jumps(misses());
    space->forget_ranges();  // their numbers are given out anew
    if (space->frame() != nullptr) space->frame()->refill.scattered_count = 0;
  }
}

// The pages of accesses whose ranges keep missing are translated again, and those accesses ask the TLB.
void Runtime::translate_scattered() {
  Refill& refill = frame_->refill;
  const std::span<const u32> sites(refill.scattered, std::exchange(refill.scattered_count, 0));
  for (const u32 number : sites) {
    const Site& site = cache_.site(number);
    if (site.block->dead || hot_pages_.scattered(site.block->frame, site.rip() & kPageMask)) continue;
    hot_pages_.scatter(site.block->frame, site.rip() & kPageMask);
    ++statistics_.scattered;
  }
  for (const u32 number : sites) (void)drop_blocks(cache_.site(number).block->frame);
}

void Runtime::after_chain(Pass& pass) {
  const u32 number = frame_->exit_argument;
  const ChainExit exit = cache_.exit(number);
  retired_ += consumed(exit.variant.counted);
  pass.rip = exit.target;
  pass.variant = exit.variant;
  if (exit.block->dead) return;
  const u64 generation = cache_generation_;
  const Block* target = find_block(exit.target, pass.variant, number);
  // A fault here is reported when the target is entered; the exit may have gone
  // with a flush of the cache.
  if (target == nullptr || cache_generation_ != generation || target->crossing) return;
  cache_.link(number, target->entry);
  pass.next = target;
  pass.variant = target->variant;  // one that serves for the variant asked for, perhaps
}

// A side exit is taken so often that its count has run over. If that did not take long, the block took the wrong way there,
// and so it did at others of the page that are taken as often: it is translated again.
void Runtime::after_side(Pass& pass) {
  constexpr u64 kOften = 16384;  // instructions from one time to the next, at most
  constexpr u64 kCounts = 256, kLeast = 32;
  retired_ += consumed(false);
  SideExit& exit = cache_.side_exit(frame_->exit_argument);
  pass.rip = exit.target;
  const u64 now = retired_in_runs_before_ + retired_;
  if (exit.block->dead || now - std::exchange(exit.since, now) > kCounts * kOften) return;
  const Pfn frame = exit.block->frame;
  std::bitset<kPageSize> left;  // a jump may have been translated more than once
  left.set(exit.behind & kPageMask);
  for (u32 n = 0; n < cache_.side_exit_count(); ++n) {
    const SideExit& other = cache_.side_exit(n);
    const u64 count = frame_->side[n];
    if (!other.block->dead && other.block->frame == frame && count >= kLeast && now - other.since <= count * kOften)
      left.set(other.behind & kPageMask);
  }
  for (u64 offset = 0; offset < kPageSize; ++offset) {
    if (left.test(offset)) hot_pages_.left_often(frame, offset);
  }
  statistics_.turned += left.count();
  (void)drop_blocks(frame);
}

// The first jump of this space to a target in another page.
void Runtime::after_far(Pass& pass) {
  retired_ += consumed(false);
  const u32 number = frame_->exit_argument;
  pass.rip = cache_.far_jump(number).target;
  const u64 generation = cache_generation_;
  const Block* const target = find_block(pass.rip, {});
  // As above; and a block across a page boundary depends on more than its own page.
  if (target == nullptr || cache_generation_ != generation || target->crossing) return;
  if (debug_.executes() && debug_.executes_in_page(pass.rip)) return;
  space_->install_far_jump(number, target->entry);
  pass.next = target;
}

// `single`: instructions that the block retired and did not count. A jump that its jump cache did not know: the next
// step finds the block and puts it there.
void Runtime::after_rip(Pass& pass, u32 single) {
  retired_ += consumed(false) + single;
  pass.rip = frame_->exit_rip;
}

// The jump cache of the space is also the dispatcher's shortest way to a block.
const u8* Runtime::known_entry(Va rip, Variant variant) const {
  if (variant != Variant{}) return nullptr;
  for (const JumpEntry* entry : {&frame_->jump[jump_index(rip)], &frame_->jump_victims[jump_victim_index(rip)]}) {
    const bool known = entry->va == rip && entry->code != 0 && entry->code != reinterpret_cast<u64>(stubs_.exit_rip);
    if (known) return reinterpret_cast<const u8*>(entry->code);
  }
  return nullptr;
}

void Runtime::after_helper(Pass& pass) {
  const Site& site = cache_.site(frame_->site);
  retired_ = retired_before(site);
  if (retry_without_code_ || step_over_) {
    pass.rip = site.rip();
  } else if (helper_result_ == HelperResult::leave) {
    ++retired_;
    pass.rip = helper_rip_;
  } else {
    pass.rip = site.rip();
    finish_exception(pass, fault_);
  }
}

void Runtime::finish_exception(Pass& pass, const Fault& fault) {
  pass.exit.vector = fault.vector;
  pass.exit.error_code = fault.error_code;
  pass.exit.fault_address = fault.address;
  pass.end(ExitReason::exception);
}

void Runtime::refuse(const Site& site) {
  const char* name = ZydisMnemonicGetString(site.instruction->mnemonic());
  for (Unsupported& known : unsupported_) {
    if (known.mnemonic == name) {
      ++known.count;
      return;
    }
  }
  unsupported_.push_back({name, site.rip(), 1});
}

void Runtime::after_special(Pass& pass, const Site& site) {
  retired_ = retired_before(site);
  pass.rip = site.rip();
  if (pass.remaining(*this) == 0) return;
  switch (site.form) {
    case Form::system_call: {
      ++retired_;
      pass.rip = site.next();
      frame_->gpr[static_cast<u8>(Gpr::rcx)] = site.next();
      frame_->gpr[static_cast<u8>(Gpr::r11)] = rflags();
      return pass.end(ExitReason::system_call);
    }
    case Form::pause:
      ++retired_;
      pass.rip = site.next();
      return pass.end(ExitReason::pause);
    case Form::breakpoint:
    case Form::debug_trap:
    case Form::interrupt: {
      ++retired_;
      pass.rip = site.next();
      const u64 number = site.instruction != nullptr ? site.instruction->operands[0].imm.value.u & 0xFF : 3;
      if (site.form == Form::debug_trap) return finish_exception(pass, {Vector::debug, 0, 0});
      if (number == 3) return finish_exception(pass, {Vector::breakpoint, 0, 0});
      return finish_exception(pass, {Vector::software_interrupt, static_cast<u32>(number), 0});
    }
    case Form::privileged:
      return finish_exception(pass, {Vector::general_protection, 0, 0});
    case Form::string: {
      const u64 limit = (context_->rflags & kFlagTrap) != 0 ? 1 : pass.remaining(*this);
      const StringResult result = execute_string(*this, *site.instruction, limit);
      retired_ += result.done;
      if (result.fault) return finish_exception(pass, fault_);
      if (result.finished)
        pass.rip = site.next();
      else
        resume_after();
      return;
    }
    case Form::refused:
      refuse(site);
      [[fallthrough]];
    default:
      return finish_exception(pass, {Vector::invalid_opcode, 0, 0});
  }
}

// SIGFPE in generated code: the guest unmasked a floating-point exception (SDM
// vol. 1, 4.9 and 8.7).
void Runtime::after_host_fault(Pass& pass) {
  const FaultRange* range = cache_.find_fault_range(reinterpret_cast<const u8*>(frame_->exit_rip));
  VITRINE_CHECK(range != nullptr);
  if (!range->flags_saved) frame_->flags = frame_->temporary & 0xFFFF;
  const Site& site = cache_.site(range->site);
  retired_ = retired_before(site);
  pass.rip = site.rip();
  finish_exception(pass, {static_cast<Vector>(frame_->exit_argument), 0, 0});
}

}  // namespace vitrine::cpu::translator
