// Memory operands: the guest address, the look-up in the software TLB, and the way out when it fails.
#include "cpu/translator/block_translator.h"

namespace vitrine::cpu::translator {

BlockTranslator::Access BlockTranslator::access_of(const Instruction& instruction) const {
  return {instruction.memory, instruction.memory_size, instruction.memory_written, instruction.memory_aligned, false};
}

// The guest linear address of an operand into scratch 0. Uses scratch 1; leaves the flags alone.
void BlockTranslator::emit_address(const MemoryOperand& address) {
  if (address.base < 0 && address.index < 0) {
    e().mov_immediate(kScratch0, address.address32 ? static_cast<u32>(address.disp) : static_cast<u64>(address.disp));
  } else {
    int base = address.base < 0 ? -1 : host_register(address.base);
    int index = address.index < 0 ? -1 : host_register(address.index);
    if (address.base >= 0 && base < 0) e().load(base = kScratch0, guest_slot(address.base));
    if (address.index >= 0 && index < 0) {
      if (address.index == address.base)
        index = base;
      else
        e().load(index = kScratch1, guest_slot(address.index));
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

// Emits `operation` on the host's copy of a guest operand. The operation may be emitted twice (once for the bounce
// buffer of an access across pages), so it must depend on nothing that its own emission changes.
void BlockTranslator::emit_access(const Access& access, const Operation& operation) {
  clobber_flags();
  emit_address(access.address);
  if (current().x87_address) e().store(frame_field(offsetof(Frame, x87_dp)), kScratch0);
  const std::size_t tag =
      offsetof(Frame, tlb) + (access.write ? offsetof(TlbEntry, tag_write) : offsetof(TlbEntry, tag_read));
  static_assert(sizeof(TlbEntry) == 1 << 5);
  e().rotate_right32(kScratch1, kScratch0, kPageShift - 5);
  e().alu_immediate(Width::b32, 4, kScratch1, (kTlbEntries - 1) << 5);
  // Scratch 0 becomes the offset in the page if the tag matches, and more than that otherwise: one comparison finds a
  // miss and a crossing.
  e().op_memory(Width::b64, 0x33, kScratch0, {kHostRsp, kScratch1, 0, static_cast<i32>(tag)});
  u8* slow;
  if (access.aligned) {
    e().op_register(Width::b64, 0xF7, 0, kScratch0);
    e().dword(~static_cast<u32>(kPageMask) | static_cast<u32>(access.size - 1));
    slow = e().jump(Condition::ne);
  } else {
    e().alu_immediate(Width::b64, 7, kScratch0, static_cast<i32>(kPageSize - access.size));
    slow = e().jump(Condition::a);
  }
  e().load(kScratch1, {kHostRsp, kScratch1, 0, static_cast<i32>(offsetof(Frame, tlb) + offsetof(TlbEntry, page))});
  if (access.flat) e().lea(kScratch0, {kScratch0, kScratch1, 0, 0});
  u8* operation_at = e().here();
  operation(access.flat ? HostMemory{kScratch0} : HostMemory{kScratch0, kScratch1, 0, 0});
  emit_slow_path(access, slow, operation_at, e().here(), operation);
}

void BlockTranslator::emit_slow_path(const Access& access, u8* from, u8* operation_at, u8* done,
                                     const Operation& operation) {
  Emitter* const outer = emitter_;
  emitter_ = &cache_.cold;
  Emitter::patch(from, e().here());
  const std::size_t tag =
      offsetof(Frame, tlb) + (access.write ? offsetof(TlbEntry, tag_write) : offsetof(TlbEntry, tag_read));
  e().op_memory(Width::b64, 0x33, kScratch0, {kHostRsp, kScratch1, 0, static_cast<i32>(tag)});
  Site site = cache_.site(make_site(static_cast<u16>(index_)));
  site.size = static_cast<u8>(access.size);
  site.write = access.write;
  site.stack = access.address.stack;
  site.alignment_mask = access.aligned ? static_cast<u8>(access.size - 1) : 0;
  e().store_immediate32(frame_field(offsetof(Frame, site)), cache_.add_site(site));
  e().call(stubs_.slow_memory);
  if (!access.write) {
    e().jump(operation_at);
  } else {
    e().jump(Condition::e, operation_at);
    operation(access.flat ? HostMemory{kScratch0} : HostMemory{kScratch0, kScratch1, 0, 0});
    e().call(stubs_.finish);
    e().jump(done);
  }
  emitter_ = outer;
}

}  // namespace vitrine::cpu::translator
