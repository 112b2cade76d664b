#include "cpu/translator/debug_registers.h"

namespace vitrine::cpu::translator {
namespace {
constexpr std::size_t kDr7 = 5;
}

void DebugRegisters::load(const GuestContext& context) {
  const u64 control = context.debug[kDr7];
  executes_ = watches_ = false;
  met_ = 0;
  if ((control & 0xFF) == 0) return;  // neither a local nor a global enable bit
  for (std::size_t n = 0; n < breakpoints_.size(); ++n) {
    Breakpoint& breakpoint = breakpoints_[n];
    breakpoint = {};
    if ((control >> (2 * n) & 3) == 0) continue;
    constexpr u64 kBytes[] = {1, 2, 8, 4};
    const u64 condition = control >> (16 + 4 * n) & 3, bytes = kBytes[control >> (18 + 4 * n) & 3];
    // R/W: 0 execution, 1 writes, 3 reads and writes; 2 is for ports, which user mode has none of. The low address bits
    // that the length covers are ignored (SDM vol. 3B, 18.2.4 and 18.2.5).
    if (condition == 2) continue;
    breakpoint.kind = condition == 0 ? Kind::execute : condition == 1 ? Kind::write : Kind::access;
    breakpoint.bytes = condition == 0 ? 1 : bytes;
    breakpoint.address = context.debug[n] & ~(breakpoint.bytes - 1);
    (condition == 0 ? executes_ : watches_) = true;
  }
}

u64 DebugRegisters::at_instruction(Va rip) const {
  u64 conditions = 0;
  for (std::size_t n = 0; n < breakpoints_.size(); ++n) {
    if (breakpoints_[n].kind == Kind::execute && breakpoints_[n].address == rip) conditions |= 1ull << n;
  }
  return conditions;
}

bool DebugRegisters::executes_in_page(Va rip) const {
  for (const Breakpoint& breakpoint : breakpoints_) {
    if (breakpoint.kind == Kind::execute && page_floor(breakpoint.address) == page_floor(rip)) return true;
  }
  return false;
}

u64 DebugRegisters::at_access(Va va, u64 bytes, bool write) const {
  u64 conditions = 0;
  for (std::size_t n = 0; n < breakpoints_.size(); ++n) {
    const Breakpoint& breakpoint = breakpoints_[n];
    const bool kind = breakpoint.kind == Kind::access || (breakpoint.kind == Kind::write && write);
    if (kind && va < breakpoint.address + breakpoint.bytes && breakpoint.address < va + bytes) conditions |= 1ull << n;
  }
  return conditions;
}

bool DebugRegisters::watches_page(Va va) const {
  for (const Breakpoint& breakpoint : breakpoints_) {
    const bool data = breakpoint.kind == Kind::write || breakpoint.kind == Kind::access;
    if (data && page_floor(breakpoint.address) == page_floor(va)) return true;
  }
  return false;
}

}  // namespace vitrine::cpu::translator
