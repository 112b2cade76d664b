#include "cpu/translator/stubs.h"

namespace vitrine::cpu::translator {
namespace {

constexpr int kRax = 0, kRbx = 3, kRdi = 7, kRsi = 6;
constexpr int kCalleeSaved[] = {3, 5, 12, 13, 14, 15};

void push(Emitter& e, int reg) {
  if (reg >= 8) e.byte(0x41);
  e.byte(0x50u | static_cast<u32>(reg & 7));
}
void pop(Emitter& e, int reg) {
  if (reg >= 8) e.byte(0x41);
  e.byte(0x58u | static_cast<u32>(reg & 7));
}

// VMOVUPS ymm, [memory] (opcode 0x10) or [memory], ymm (0x11). The base is RSP
// or RDI.
void vmovups(Emitter& e, u32 opcode, int ymm, HostMemory memory) {
  e.byte(0xC5);
  e.byte((ymm >= 8 ? 0x00u : 0x80u) | 0x7Cu);
  e.byte(opcode);
  e.modrm_memory(ymm, memory);
}
void vzeroupper(Emitter& e) {
  e.byte(0xC5);
  e.byte(0xF8);
  e.byte(0x77);
}
void ldmxcsr(Emitter& e, HostMemory memory) { e.op_memory(Width::b32, 0x0FAE, 2, memory); }
void stmxcsr(Emitter& e, HostMemory memory) { e.op_memory(Width::b32, 0x0FAE, 3, memory); }

// `bias`: distance from RSP up to the frame.
void store_registers(Emitter& e, i32 bias) {
  for (int guest = 0; guest < 16; ++guest) {
    if (host_register(guest) >= 0) e.store(guest_slot(guest, bias), host_register(guest));
  }
  for (int guest = 0; guest < 16; ++guest) {
    if (host_register(guest) >= 0) continue;
    e.load(kRax, spilled_slot(guest, bias));
    e.store(guest_slot(guest, bias), kRax);
  }
}
void load_registers(Emitter& e, i32 bias) {
  for (int guest = 0; guest < 16; ++guest) {
    if (host_register(guest) >= 0) continue;
    e.load(kRax, guest_slot(guest, bias));
    e.store(spilled_slot(guest, bias), kRax);
  }
  for (int guest = 0; guest < 16; ++guest) {
    if (host_register(guest) >= 0) e.load(host_register(guest), guest_slot(guest, bias));
  }
}
HostMemory ymm_field(int base, int ymm, i32 bias) {
  return {base, -1, 0, static_cast<i32>(offsetof(Frame, ymm)) + 32 * ymm + bias};
}
// EVEX.512 with a memory operand at RSP; `zmm` is also the second source where there is one.
void evex512(Emitter& e, u32 first, u32 second, u32 opcode, int zmm, bool two_sources, i32 disp) {
  const auto number = static_cast<u32>(zmm);
  const u32 source = two_sources ? ~number : ~0u;
  e.byte(0x62);
  e.byte(first | ((number >> 3 & 1) != 0 ? 0u : 0x80u) | 0x60u | ((number >> 4 & 1) != 0 ? 0u : 0x10u));
  e.byte((second & 0x87u) | (source & 15u) << 3 | 4u);
  e.byte(0x40u | (source >> 4 & 1u) << 3);
  e.byte(opcode);
  e.modrm_memory_wide(zmm, {kHostRsp, -1, 0, disp});
}
// What AVX-512 adds, between the frame at RSP and the registers. Loads: after the lower halves.
void move_avx512(Emitter& e, i32 bias, bool load) {
  const auto at = [bias](std::size_t offset, int n, int bytes) { return static_cast<i32>(offset) + n * bytes + bias; };
  for (int n = 0; n < 16; ++n) {  // VINSERTF64X4, VEXTRACTF64X4
    evex512(e, 3, 0x81, load ? 0x1A : 0x1B, n, load, at(offsetof(Frame, zmm_high), n, 32));
    e.byte(1);
  }
  for (int n = 0; n < 16; ++n)  // VMOVUPS
    evex512(e, 1, 0, load ? 0x10 : 0x11, n + 16, false, at(offsetof(Frame, zmm_upper), n, 64));
  for (int n = 0; n < 8; ++n) {  // KMOVQ
    for (const u32 byte : {0xC4u, 0xE1u, 0xF8u, load ? 0x90u : 0x91u}) e.byte(byte);
    e.modrm_memory_wide(n, {kHostRsp, -1, 0, at(offsetof(Frame, mask), n, 8)});
  }
}
// Gives C++ its own floating-point control and clean upper halves.
void leave_vectors(Emitter& e, i32 bias) {
  stmxcsr(e, frame_field(offsetof(Frame, guest_mxcsr), bias));
  ldmxcsr(e, frame_field(offsetof(Frame, host_mxcsr), bias));
  vzeroupper(e);
}
void store_vectors(Emitter& e, i32 bias, bool avx512) {
  for (int ymm = 0; ymm < 16; ++ymm) vmovups(e, 0x11, ymm, ymm_field(kHostRsp, ymm, bias));
  if (avx512) move_avx512(e, bias, false);
  leave_vectors(e, bias);
}
void load_vectors(Emitter& e, int base, i32 bias, bool avx512) {
  for (int ymm = 0; ymm < 16; ++ymm) vmovups(e, 0x10, ymm, ymm_field(base, ymm, bias));
  if (avx512) move_avx512(e, bias, true);
  ldmxcsr(e, {base, -1, 0, static_cast<i32>(offsetof(Frame, guest_mxcsr)) + bias});
}

// Between the image of the context and the registers: XMM and the upper halves
// lie apart (SDM vol. 1, 13.4).
constexpr i32 kImageXmm = 160, kImageHigh = 576;
void load_image(Emitter& e, int base) {
  for (int ymm = 0; ymm < 16; ++ymm) {
    const u32 high = ymm >= 8 ? 0x00u : 0x80u;
    e.byte(0xC5);
    e.byte(high | 0x78u);
    e.byte(0x10);  // vmovups xmm, [low]
    e.modrm_memory(ymm, {base, -1, 0, kImageXmm + 16 * ymm});
    e.byte(0xC4);
    e.byte(high | 0x63u);
    e.byte(((~static_cast<u32>(ymm) & 15) << 3) | 0x05u);
    e.byte(0x18);  // vinsertf128 ymm, ymm, [high], 1
    e.modrm_memory(ymm, {base, -1, 0, kImageHigh + 16 * ymm});
    e.byte(1);
  }
}
void store_image(Emitter& e, int base) {
  for (int ymm = 0; ymm < 16; ++ymm) {
    const u32 high = ymm >= 8 ? 0x00u : 0x80u;
    e.byte(0xC5);
    e.byte(high | 0x78u);
    e.byte(0x11);  // vmovups [low], xmm
    e.modrm_memory(ymm, {base, -1, 0, kImageXmm + 16 * ymm});
    e.byte(0xC4);
    e.byte(high | 0x63u);
    e.byte(0x7D);
    e.byte(0x19);  // vextractf128 [high], ymm, 1
    e.modrm_memory(ymm, {base, -1, 0, kImageHigh + 16 * ymm});
    e.byte(1);
  }
}

Stubs::Enter emit_enter(Emitter& e, bool flags_live, bool avx512) {
  u8* start = e.here();
  for (int reg : kCalleeSaved) push(e, reg);
  e.alu_immediate(Width::b64, 5, kHostRsp,
                  8);  // C++ called from stubs finds the stack aligned
  e.store({kRdi, -1, 0, static_cast<i32>(offsetof(Frame, host_rsp))}, kHostRsp);
  stmxcsr(e, {kRdi, -1, 0, static_cast<i32>(offsetof(Frame, host_mxcsr))});
  e.load(kRax, {kRdi, -1, 0, static_cast<i32>(offsetof(Frame, image))});
  load_image(e, kRax);
  ldmxcsr(e, {kRdi, -1, 0, static_cast<i32>(offsetof(Frame, guest_mxcsr))});
  e.mov(kHostRsp, kRdi);
  if (avx512) move_avx512(e, 0, true);
  e.mov(kScratch0, kRsi);
  load_registers(e, 0);
  if (flags_live) emit_restore_flags(e);
  e.op_register(Width::b32, 0xFF, 4, kScratch0);
  return reinterpret_cast<Stubs::Enter>(start);
}

// Leaves generated code; the registers are stored already.
const u8* emit_leave(Emitter& e) {
  const u8* start = e.here();
  e.load(kHostRsp, frame_field(offsetof(Frame, host_rsp)));
  e.alu_immediate(Width::b64, 0, kHostRsp, 8);
  for (int n = 5; n >= 0; --n) pop(e, kCalleeSaved[n]);
  e.byte(0xC3);
  return start;
}

const u8* emit_exit(Emitter& e, ExitKind kind, const u8* common) {
  const u8* start = e.here();
  if (kind == ExitKind::rip) e.store(frame_field(offsetof(Frame, exit_rip)), kScratch0);
  if (kind == ExitKind::far) e.op_memory(Width::b32, 0x89, kScratch1, frame_field(offsetof(Frame, exit_argument)));
  if (kind == ExitKind::host_fault) emit_save_flags(e, static_cast<i32>(offsetof(Frame, temporary)));
  e.store_immediate32(frame_field(offsetof(Frame, exit_kind)), static_cast<u32>(kind));
  e.jump(common);
  return start;
}

const u8* emit_jump_missed(Emitter& e, const u8* exit_rip) {
  static_assert(kJumpVictims == 1 << 14 && sizeof(JumpEntry) == 1 << 4);
  const u8* start = e.here();
  e.mov(kScratch1, kScratch0);
  e.shift_right(Width::b64, kScratch1, kPageShift);
  e.op_register(Width::b32, 0x69, kScratch1, kScratch1);
  e.dword(kJumpFactor);
  e.shift_right(Width::b32, kScratch1, kJumpShift);
  e.op_register(Width::b32, 0x33, kScratch1, kScratch0);
  e.alu_immediate(Width::b32, 4, kScratch1, kJumpVictims - 1);
  e.shift_left(Width::b32, kScratch1, 4);
  const auto table = static_cast<i32>(offsetof(Frame, jump_victims));
  e.op_memory(Width::b64, 0x3B, kScratch0, {kHostRsp, kScratch1, 0, table});
  e.jump(Condition::ne, exit_rip);
  e.jump_memory({kHostRsp, kScratch1, 0, table + static_cast<i32>(offsetof(JumpEntry, code))});
  return start;
}

enum class Returns { registers, address, flags };

// The body of a call into C++. On entry the return address is at [RSP] (and the
// flags below it for Returns::flags).
const u8* emit_call_out(Emitter& e, u32 (*function)(Frame*), Returns returns, const u8* leave, bool avx512) {
  const u8* start = e.here();
  const i32 bias = returns == Returns::flags ? 16 : 8;
  if (returns == Returns::flags) e.byte(0x9C);  // pushfq
  e.store(frame_field(offsetof(Frame, scratch0), bias), kScratch0);
  e.store(frame_field(offsetof(Frame, scratch1), bias), kScratch1);
  store_registers(e, bias);
  store_vectors(e, bias, avx512);
  e.lea(kRdi, {kHostRsp, -1, 0, bias});
  e.mov(kRbx, kRdi);
  e.load(kHostRsp, {kRdi, -1, 0, static_cast<i32>(offsetof(Frame, host_rsp))});
  e.mov_immediate(kRax, reinterpret_cast<u64>(function));
  e.op_register(Width::b32, 0xFF, 2, kRax);
  e.lea(kHostRsp, {kRbx, -1, 0, -bias});
  e.op_register(Width::b32, 0x85, kRax, kRax);
  u8* go_on = e.jump(Condition::e);
  e.mov(kHostRsp, kRbx);
  e.jump(leave);
  Emitter::patch(go_on, e.here());
  load_vectors(e, kHostRsp, bias, avx512);
  load_registers(e, bias);
  e.load(kScratch0, frame_field(offsetof(Frame, scratch0), bias));
  if (returns == Returns::address) {
    e.load32(kScratch1, frame_field(offsetof(Frame, bounced), bias));
    e.op_register(Width::b32, 0x85, kScratch1, kScratch1);
    e.mov_immediate(kScratch1, 0);
  } else {
    e.load(kScratch1, frame_field(offsetof(Frame, scratch1), bias));
  }
  if (returns == Returns::flags) e.byte(0x9D);  // popfq
  e.byte(0xC3);
  return start;
}

// The registers that C++ may change, but for the scratch registers.
constexpr int kCallerSaved[] = {0, 1, 2, 6, 7, 8, 9};

// The short way of a miss (refill.h): `function`, then `slow_memory` if there is one. On entry as there.
const u8* emit_refill(Emitter& e, u64 (*function)(Refill*, Va, AccessBits), const u8* slow_memory) {
  const u8* start = e.here();
  constexpr i32 kBias = 8;
  constexpr int kRdx = 2;
  for (int reg : kCallerSaved) e.store(guest_slot(reg, kBias), reg);
  e.store(frame_field(offsetof(Frame, scratch0), kBias), kScratch0);
  e.mov(kRsi, kScratch0);
  e.mov(kRdx, kScratch1);
  e.lea(kRdi, {kHostRsp, -1, 0, kBias + static_cast<i32>(offsetof(Frame, refill))});
  e.mov(kScratch0, kHostRsp);
  e.load(kHostRsp, frame_field(offsetof(Frame, host_rsp), kBias));
  push(e, kScratch0);
  push(e, kScratch0);  // twice: C++ finds the stack aligned
  e.mov_immediate(kRax, reinterpret_cast<u64>(function));
  e.op_register(Width::b32, 0xFF, 2, kRax);
  e.load(kHostRsp, {kHostRsp, -1, 0, 0});
  e.mov(kScratch1, kRax);
  for (int reg : kCallerSaved) e.load(reg, guest_slot(reg, kBias));
  e.load(kScratch0, frame_field(offsetof(Frame, scratch0), kBias));
  e.op_register(Width::b64, 0x85, kScratch1, kScratch1);
  if (slow_memory != nullptr) e.jump(Condition::e, slow_memory);
  e.mov(kScratch0, kScratch1);
  if (slow_memory != nullptr) e.op_register(Width::b32, 0x33, kScratch1, kScratch1);
  e.byte(0xC3);
  return start;
}

}  // namespace

void emit_save_flags(Emitter& e, i32 offset) {
  e.mov(kScratch1, kRax);
  e.byte(0x9F);  // lahf
  e.byte(0x0F);
  e.byte(0x90);
  e.byte(0xC0);  // seto al
  e.byte(0x66);
  e.op_memory(Width::b32, 0x89, kRax, {kHostRsp, -1, 0, offset});
  e.mov(kRax, kScratch1);
}

void emit_restore_flags(Emitter& e) {
  e.mov(kScratch1, kRax);
  e.op_memory(Width::b32, 0x0FB7, kRax, frame_field(offsetof(Frame, flags)));
  e.byte(0x04);
  e.byte(0x7F);  // add al, 0x7F: OF
  e.byte(0x9E);  // sahf: the rest
  e.mov(kRax, kScratch1);
}

Stubs emit_stubs(Emitter& e, bool avx512) {
  Stubs stubs;
  stubs.enter_flags_saved = emit_enter(e, false, avx512);
  stubs.enter_flags_live = emit_enter(e, true, avx512);
  const u8* common = e.here();
  store_registers(e, 0);
  e.load(kRax, frame_field(offsetof(Frame, image)));
  store_image(e, kRax);
  if (avx512) move_avx512(e, 0, false);
  leave_vectors(e, 0);
  const u8* leave = emit_leave(e);
  stubs.exit_chain = emit_exit(e, ExitKind::chain, common);
  stubs.exit_side = emit_exit(e, ExitKind::side, common);
  stubs.exit_far = emit_exit(e, ExitKind::far, common);
  stubs.exit_rip = emit_exit(e, ExitKind::rip, common);
  stubs.jump_missed = emit_jump_missed(e, stubs.exit_rip);
  stubs.exit_budget = emit_exit(e, ExitKind::budget, common);
  stubs.exit_special = emit_exit(e, ExitKind::special, common);
  stubs.host_fault = emit_exit(e, ExitKind::host_fault, common);
  stubs.callout = emit_call_out(e, vitrine_translator_callout, Returns::registers, leave, avx512);
  stubs.slow_memory = emit_refill(e, vitrine_translator_refill,
                                  emit_call_out(e, vitrine_translator_slow_memory, Returns::address, leave, avx512));
  stubs.range_missed = emit_refill(e, vitrine_translator_range_missed, nullptr);
  stubs.finish = emit_call_out(e, vitrine_translator_finish, Returns::flags, leave, avx512);
  return stubs;
}

}  // namespace vitrine::cpu::translator
