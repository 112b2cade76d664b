// Stubs: the few generated routines that lead from C++ into guest code and
// back. Emitted once per code cache.
#pragma once

#include "cpu/translator/emitter.h"
#include "cpu/translator/frame.h"

namespace vitrine::cpu::translator {

struct Stubs {
  // Enters guest code at `code` with the vectors of Frame::image. Returns when
  // it exits, with Frame::exit_kind set. The second also puts the flags in the
  // host's register.
  using Enter = void (*)(Frame*, const u8* code);
  Enter enter_flags_saved = nullptr;
  Enter enter_flags_live = nullptr;

  // Jumped to with the flags saved in the frame.
  const u8* exit_chain = nullptr;    // Frame::exit_argument set
  const u8* exit_side = nullptr;     // the same
  const u8* exit_far = nullptr;      // the number of the jump in scratch 1
  const u8* exit_rip = nullptr;      // the guest target in scratch 0
  const u8* jump_missed = nullptr;   // the same, after the first jump cache: asks
                                     // the second, then exits
  const u8* exit_budget = nullptr;   // Frame::site set
  const u8* exit_special = nullptr;  // Frame::site set
  const u8* host_fault = nullptr;    // Frame::exit_rip set; scratch registers are
                                     // lost, host flags go to Frame::temporary

  // Called with Frame::site set; every guest register is in the frame while C++
  // runs.
  const u8* callout = nullptr;
  // Called with the guest address in scratch 0 and AccessBits in scratch 1. Returns what Site::reach says in
  // scratch 0, and 0 in scratch 1; ZF set unless the access goes to
  // Frame::bounce and must be followed by `finish`.
  const u8* slow_memory = nullptr;
  const u8* finish = nullptr;  // preserves the flags
  // The range of a group missed: as above, but ZF says that the TLB does not have its page either, and nothing has
  // happened.
  const u8* range_missed = nullptr;
};

// What the stubs call, in runtime.cpp. Non-zero: leave generated code.
extern "C" u32 vitrine_translator_callout(Frame* frame);
extern "C" u32 vitrine_translator_slow_memory(Frame* frame);
extern "C" u32 vitrine_translator_finish(Frame* frame);

// `avx512`: the state that it adds goes in and out, too.
[[nodiscard]] Stubs emit_stubs(Emitter& emitter, bool avx512 = false);

// The flag moves that blocks and stubs share. Both use scratch 1 and leave the
// flags in the host's register as they say.
void emit_save_flags(Emitter& emitter, i32 offset);  // host flags unchanged
void emit_restore_flags(Emitter& emitter);

[[nodiscard]] inline HostMemory frame_field(std::size_t offset, i32 bias = 0) {
  return {kHostRsp, -1, 0, static_cast<i32>(offset) + bias};
}
[[nodiscard]] inline HostMemory guest_slot(int guest, i32 bias = 0) {
  return frame_field(offsetof(Frame, gpr) + 8 * static_cast<std::size_t>(guest), bias);
}
// Of a register that lives in the frame.
[[nodiscard]] inline HostMemory spilled_slot(int guest, i32 bias = 0) {
  const std::size_t n = guest == 15 ? 2 : static_cast<std::size_t>(guest) - 10;
  return frame_field(offsetof(Frame, spilled) + 8 * n, bias);
}
// The host register that holds a guest register, or -1: it lives in the frame.
[[nodiscard]] constexpr int host_register(int guest) {
  if (guest == 4) return kGuestRspHost;
  return guest == 10 || guest == 11 || guest == 15 ? -1 : guest;
}

}  // namespace vitrine::cpu::translator
