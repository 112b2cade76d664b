// Memory operands: the guest address, the look-up in the software TLB, and the way out when it fails.
#include "cpu/translator/block_translator.h"

namespace vitrine::cpu::translator {

namespace {
constexpr i8 kRsp = 4;

HostMemory group_field(const AccessGroup& group) {
  return frame_field(offsetof(Frame, group) + 8 * static_cast<std::size_t>(group.slot));
}
}  // namespace

BlockTranslator::Access BlockTranslator::access_of(const Instruction& instruction) const {
  return {instruction.memory,
          instruction.memory_size,
          instruction.memory_written,
          instruction.memory_aligned,
          false,
          false};
}

// The guest linear address of an operand into scratch 0. Uses scratch 1; leaves the flags alone.
void BlockTranslator::emit_address(const MemoryOperand& address) {
  in_scratch0_ = nullptr;
  if (address.base < 0 && address.index < 0) {
    e().mov_immediate(kScratch0, address.address32 ? static_cast<u32>(address.disp) : static_cast<u64>(address.disp));
  } else {
    int base = address.base < 0 ? -1 : host_register(address.base);
    int index = address.index < 0 ? -1 : host_register(address.index);
    if (address.base >= 0 && base < 0) e().load(base = kScratch0, spilled_slot(address.base));
    if (address.index >= 0 && index < 0) {
      if (address.index == address.base)
        index = base;
      else
        e().load(index = kScratch1, spilled_slot(address.index));
    }
    if (index >= 0 || address.disp != 0)
      e().lea(kScratch0, {base, index, address.scale, static_cast<i32>(address.disp)});
    else
      e().mov(kScratch0, base);
    if (address.address32) e().mov32(kScratch0, kScratch0);
  }
  if (address.segment != 0) {
    e().load(kScratch1, frame_field(address.segment == 'f' ? offsetof(Frame, fs_base) : offsetof(Frame, gs_base)));
    e().lea(kScratch0, {kScratch0, kScratch1, 0, 0});
  }
}

// The entry of the range cache that an access uses.
u32 BlockTranslator::range_of(const Access& access, Reach reach) {
  if (ranges_ == nullptr || reach == Reach::constant) return kNoRange;
  const MemoryOperand& address = access.address;
  const bool stack = address.base == kRsp && address.segment == 0 && access.size <= kStackAccess[1];
  if (!stack && !hot_) return kNoRange;
  if (hot_ && ranges_->scattered(block_->frame, current().rip & kPageMask)) return kNoRange;
  if (stack) return kStackRange;
  RangeForm form;
  form.code = block_->va;
  form.page = static_cast<i32>(address.disp >> kPageShift);
  form.base = address.base;
  form.index = address.index;
  form.scale = address.scale;
  form.segment = address.segment;
  form.address32 = address.address32;
  form.write = access.write;
  form.size = access.size;
  return cache_.range_number(form);
}

// The look-up. A hit leaves in scratch 0 what `reach` says; a general one lacks scratch 1. A miss is an address that is
// not in the TLB (or the range) with this right, or an access that leaves its page or is not aligned as it must be.
BlockTranslator::LookUp BlockTranslator::emit_look_up(const Access& access, Reach reach) {
  in_scratch0_ = nullptr;
  emit_address(access.address);
  if (current().x87_address) e().store(frame_field(offsetof(Frame, x87_dp_next)), kScratch0);
  if (const u32 range = range_of(access, reach); range != kNoRange) return emit_range_look_up(access, reach, range);
  const auto tags = access.write ? offsetof(Frame, tlb.write_tag) : offsetof(Frame, tlb.read_tag);
  HostMemory entry{kHostRsp, kScratch1, 0, 0};
  if (reach == Reach::constant) {
    entry = {kHostRsp, -1, 0, static_cast<i32>(8 * tlb_index(static_cast<u64>(access.address.disp)))};
  } else {
    e().rotate_right32(kScratch1, kScratch0, kPageShift - 3);
    e().alu_immediate(Width::b32, 4, kScratch1, (kTlbEntries - 1) << 3);
  }
  const auto field = [&](std::size_t array) {
    return HostMemory{entry.base, entry.index, 0, entry.disp + static_cast<i32>(array)};
  };
  // Scratch 0 becomes the offset in the page if the tag matches, and more than that otherwise: one comparison finds a
  // miss and a crossing.
  e().op_memory(Width::b64, 0x33, kScratch0, field(tags));
  LookUp look_up;
  look_up.combined = field(tags);
  look_up.combine = 0x33;
  if (access.aligned) {
    e().op_register(Width::b64, 0xF7, 0, kScratch0);
    e().dword(~static_cast<u32>(kPageMask) | static_cast<u32>(access.size - 1));
    look_up.missed = e().jump(Condition::ne);
  } else {
    e().alu_immediate(Width::b64, 7, kScratch0, static_cast<i32>(kPageSize - access.size));
    look_up.missed = e().jump(Condition::a);
  }
  if (reach == Reach::general)
    e().load(kScratch1, field(offsetof(Frame, tlb.page)));
  else
    e().load(kScratch0, field(reach == Reach::direct ? offsetof(Frame, tlb.delta) : offsetof(Frame, tlb.page)));
  return look_up;
}

// The same with an entry of the range cache; the address is in scratch 0. A general one ends with the address there and
// the delta in scratch 1, so that the access waits for neither comparison.
BlockTranslator::LookUp BlockTranslator::emit_range_look_up(const Access& access, Reach reach, u32 number) {
  const bool stack = number == kStackRange;
  const u32 size_class = access.size <= kStackAccess[0] ? 0 : 1;
  const std::size_t entry = offsetof(Frame, ranges) + sizeof(Range) * number;
  const HostMemory start = frame_field(stack ? offsetof(Frame, stack.start) : entry + offsetof(Range, start));
  const HostMemory limit =
      frame_field(stack ? offsetof(Frame, stack.limit) + sizeof(u64) * size_class : entry + offsetof(Range, limit));
  const HostMemory delta = frame_field(stack ? offsetof(Frame, stack.delta) : entry + offsetof(Range, delta));
  const bool direct = reach == Reach::direct;
  const int distance = direct ? kScratch0 : kScratch1;
  LookUp look_up;
  look_up.range = number;
  e().mov(distance, kScratch0);
  e().op_memory(Width::b64, 0x2B, distance, start);
  if (direct) {
    look_up.combined = start;
    look_up.combine = 0x03;
  }
  e().op_memory(Width::b64, 0x3B, distance, limit);
  look_up.missed = e().jump(Condition::ae);
  if (access.aligned) {
    e().op_register(Width::b32, 0xF7, 0, kScratch0);
    e().dword(access.size - 1u);
    look_up.misaligned = e().jump(Condition::ne);
  }
  e().load(distance, delta);
  return look_up;
}

// In the cold part, where a look-up that missed goes on: the address is in scratch 0 again.
void BlockTranslator::emit_missed(const LookUp& look_up) {
  Emitter::patch(look_up.missed, e().here());
  if (look_up.misaligned != nullptr) Emitter::patch(look_up.misaligned, e().here());
  if (look_up.combine != 0) e().op_memory(Width::b64, look_up.combine, kScratch0, look_up.combined);
}

// The host's operand for a guest's, after the look-up.
HostMemory BlockTranslator::reached(const MemoryOperand& address, Reach reach, bool flat) const {
  const auto disp = static_cast<i32>(address.disp);
  switch (reach) {
    case Reach::direct:
      if (address.base >= 0) return {host_register(address.base), kScratch0, 0, disp};
      return {kScratch0, host_register(address.index), address.scale, disp};
    case Reach::constant:
      return {kScratch0, -1, 0, static_cast<i32>(address.disp & static_cast<i64>(kPageMask))};
    case Reach::general:
      break;
  }
  return {kScratch0, flat ? -1 : kScratch1, 0, 0};
}

// True: the next access of this instruction needs no look-up, and leaves flags and scratch 1 alone.
bool BlockTranslator::group_is_open(bool implicit) {
  i64 position = 0;
  const AccessGroup* const group = groups_.find(index_, implicit, &position);
  return group != nullptr && group->open;
}

// One look-up for all bytes of a group; what it leaves in scratch 0 stays there and in the frame. When
// the bytes are not in one mapped page with the rights that the group needs, nothing has happened yet: the block gives
// back the rest of its budget, and the instructions from here on run as a block whose accesses look up for themselves.
void BlockTranslator::open_group(const Access& access, AccessGroup& group, i64 position) {
  free_flags();
  Access whole = access;
  whole.address.disp += group.low - position;
  whole.size = static_cast<u16>(group.high - group.low);
  whole.write = group.write;
  whole.aligned = false;
  const LookUp look_up = emit_look_up(whole, group.reach);
  if (group.reach == Reach::general) e().lea(kScratch0, {kScratch0, kScratch1, 0, 0});
  u8* const found = e().here();
  u8* misaligned = nullptr;
  if (group.aligned) {
    HostMemory anchor = reached(whole.address, group.reach, true);
    anchor.disp += static_cast<i32>(group.anchor - group.low);
    e().lea(kScratch1, anchor);
    e().op_register(Width::b32, 0xF7, 0, kScratch1);
    e().dword(group.alignment - 1u);
    misaligned = e().jump(Condition::ne);
  }
  e().store(group_field(group), kScratch0);
  group.open = true;
  group.low_va = static_cast<Va>(whole.address.disp);
  Emitter* const outer = emitter_;
  emitter_ = &cache_.cold;
  emit_missed(look_up);
  if (look_up.range != kNoRange) {
    e().store_immediate32(frame_field(offsetof(Frame, site)), make_site(static_cast<u16>(index_)));
    e().mov_immediate(kScratch1, AccessBits(whole.size, 0, group.reach, whole.write, look_up.range, hot_).value);
    e().call(stubs_.range_missed);
    e().jump(Condition::ne, found);
  }
  if (misaligned != nullptr) Emitter::patch(misaligned, e().here());
  if (flags_ == Flags::lost) emit_recover_flags();
  e().alu_memory_immediate(Width::b64, 0, frame_field(offsetof(Frame, budget)), static_cast<i32>(count_ - index_));
  link(e().jump(), current().rip, {.flags_saved = true, .single = true});
  emitter_ = outer;
}

// Emits `operation` on the host's copy of a guest operand. The operation may be emitted twice (once for the bounce
// buffer of an access across pages), so it must depend on nothing that its own emission changes.
void BlockTranslator::emit_access(const Access& access, const Operation& operation) {
  i64 position = 0;
  if (AccessGroup* const group = groups_.find(index_, access.implicit, &position)) {
    if (!group->open)
      open_group(access, *group, position);
    else if (in_scratch0_ != group)
      e().load(kScratch0, group_field(*group));
    in_scratch0_ = group;
    HostMemory operand = reached(access.address, group->reach, true);
    if (group->reach == Reach::general) operand.disp = static_cast<i32>(position - group->low);
    // Counted from the page of the group's first byte, which may be another one when the look-up fails.
    if (group->reach == Reach::constant)
      operand.disp = static_cast<i32>(access.address.disp - static_cast<i64>(page_floor(group->low_va)));
    operation(operand);
    return;
  }
  free_flags();
  const Reach reach = reach_of(access.address);
  const LookUp look_up = emit_look_up(access, reach);
  if (access.flat && reach == Reach::general) e().lea(kScratch0, {kScratch0, kScratch1, 0, 0});
  u8* operation_at = e().here();
  operation(reached(access.address, reach, access.flat));
  emit_slow_path(access, look_up, operation_at, operation);
}

void BlockTranslator::emit_slow_path(const Access& access, const LookUp& look_up, u8* operation_at,
                                     const Operation& operation) {
  u8* const done = e().here();
  const Reach reach = reach_of(access.address);
  Emitter* const outer = emitter_;
  emitter_ = &cache_.cold;
  emit_missed(look_up);
  if (flags_ == Flags::lost) emit_recover_flags();
  Site site = site_at(static_cast<u16>(index_));
  site.size = static_cast<u8>(access.size);
  site.write = access.write;
  site.reach = reach;
  site.stack = access.address.stack;
  site.alignment_mask = access.aligned ? static_cast<u8>(access.size - 1) : 0;
  e().store_immediate32(frame_field(offsetof(Frame, site)), cache_.add_site(site));
  e().mov_immediate(kScratch1,
                    AccessBits(site.size, site.alignment_mask, reach, access.write, look_up.range, hot_).value);
  e().call(stubs_.slow_memory);
  if (!access.write) {
    e().jump(operation_at);
  } else {
    e().jump(Condition::e, operation_at);
    operation(reached(access.address, reach, access.flat));
    e().call(stubs_.finish);
    e().jump(done);
  }
  emitter_ = outer;
}

}  // namespace vitrine::cpu::translator
