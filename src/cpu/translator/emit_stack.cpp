// Instructions whose memory operand is the stack. The guest's RSP changes only after every access has succeeded.
#include "cpu/translator/block_translator.h"

namespace vitrine::cpu::translator {
namespace {
constexpr i8 kRsp = 4, kRbp = 5;

MemoryOperand stack_slot(i8 base, i64 disp) {
  MemoryOperand slot;
  slot.base = base;
  slot.disp = disp;
  slot.stack = true;
  return slot;
}
}  // namespace

void BlockTranslator::emit_load_guest(int host, int guest) {
  if (host_register(guest) >= 0)
    e().mov(host, host_register(guest));
  else
    e().load(host, spilled_slot(guest));
}

void BlockTranslator::emit_store_guest(int guest, int host) {
  if (host_register(guest) >= 0)
    e().mov(host_register(guest), host);
  else
    e().store(spilled_slot(guest), host);
}

// Pushes a 64-bit constant.
void BlockTranslator::emit_push_value(u64 value) {
  const bool fits = static_cast<i64>(value) == static_cast<i32>(value);
  emit_access({stack_slot(kRsp, -8), 8, true, false, !fits, true}, [&](HostMemory memory) {
    if (fits) {
      e().store_immediate64(memory, static_cast<i32>(value));
    } else {
      e().mov_immediate(kScratch1, value);
      e().store(memory, kScratch1);
    }
  });
  e().lea(kGuestRspHost, {kGuestRspHost, -1, 0, -8});
}

void BlockTranslator::emit_push() {
  const Instruction& instruction = current();
  const u16 bytes = instruction.z.operand_width == 16 ? 2 : 8;
  const ZydisDecodedOperand& operand = instruction.operands[0];
  const auto store_sized = [&](HostMemory memory, int reg) {
    if (bytes == 2) e().byte(0x66);
    e().op_memory(bytes == 2 ? Width::b32 : Width::b64, 0x89, reg, memory);
  };
  if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE && bytes == 8) {
    emit_push_value(static_cast<u64>(operand.imm.value.s));
    return;
  }
  const Access slot{stack_slot(kRsp, -i64{bytes}), bytes, true, false, true, true};
  if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    const auto value = static_cast<u16>(operand.imm.value.s);
    emit_access(slot, [&](HostMemory memory) {
      e().mov_immediate(kScratch1, value);
      store_sized(memory, kScratch1);
    });
  } else if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
    const int guest = general_register(operand.reg.value).number;
    Access direct = slot;
    direct.flat = host_register(guest) < 0;
    emit_access(direct, [&](HostMemory memory) {
      int host = host_register(guest);
      if (host < 0) e().load(host = kScratch1, spilled_slot(guest));
      store_sized(memory, host);
    });
  } else {
    emit_access(access_of(instruction), [&](HostMemory memory) {
      if (bytes == 2)
        e().op_memory(Width::b32, 0x0FB7, kScratch1, memory);
      else
        e().load(kScratch1, memory);
      e().store(frame_field(offsetof(Frame, temporary)), kScratch1);
    });
    emit_access(slot, [&](HostMemory memory) {
      e().load(kScratch1, frame_field(offsetof(Frame, temporary)));
      store_sized(memory, kScratch1);
    });
  }
  e().lea(kGuestRspHost, {kGuestRspHost, -1, 0, -i32{bytes}});
}

void BlockTranslator::emit_pop() {
  const Instruction& instruction = current();
  const u16 bytes = instruction.z.operand_width == 16 ? 2 : 8;
  const ZydisDecodedOperand& operand = instruction.operands[0];
  const Access slot{stack_slot(kRsp, 0), bytes, false, false, false, true};
  emit_access(slot, [&](HostMemory memory) {
    if (bytes == 2)
      e().op_memory(Width::b32, 0x0FB7, kScratch1, memory);
    else
      e().load(kScratch1, memory);
  });
  if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
    const int guest = general_register(operand.reg.value).number;
    e().lea(kGuestRspHost, {kGuestRspHost, -1, 0, bytes});
    if (bytes == 8) {
      emit_store_guest(guest, kScratch1);
    } else {
      const int host = host_register(guest);
      e().byte(0x66);
      if (host >= 0)
        e().op_register(Width::b32, 0x89, kScratch1, host);
      else
        e().op_memory(Width::b32, 0x89, kScratch1, spilled_slot(guest));
    }
    return;
  }
  e().store(frame_field(offsetof(Frame, temporary)), kScratch1);
  Access target = access_of(instruction);
  target.write = target.flat = true;
  target.size = bytes;
  // SDM, POP: an address that uses RSP is computed after the increment.
  if (target.address.base == kRsp) target.address.disp += bytes;
  emit_access(target, [&](HostMemory memory) {
    e().load(kScratch1, frame_field(offsetof(Frame, temporary)));
    if (bytes == 2) e().byte(0x66);
    e().op_memory(bytes == 2 ? Width::b32 : Width::b64, 0x89, kScratch1, memory);
  });
  e().lea(kGuestRspHost, {kGuestRspHost, -1, 0, bytes});
}

void BlockTranslator::emit_leave() {
  emit_access({stack_slot(kRbp, 0), 8, false, false, false, true},
              [&](HostMemory memory) { e().load(kScratch1, memory); });
  e().lea(kGuestRspHost, {host_register(kRbp), -1, 0, 8});
  e().mov(host_register(kRbp), kScratch1);
}

}  // namespace vitrine::cpu::translator
