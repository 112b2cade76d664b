// DebugRegisters: DR0-DR3 and DR7 of the thread that runs, taken apart, and the conditions that its current instruction
// has met. With no breakpoint set nothing asks it anything but `executes`, `watches` and `met`.
//
// In GuestContext::debug, DR6 and DR7 are without their fixed bits: zero when nothing was met and nothing is set. A
// debug exception leaves what it met in DR6, and nothing of earlier ones.
//
// Knows nothing of blocks and page tables: Runtime runs pages with an execution breakpoint instruction by instruction,
// and keeps watched pages out of the software TLB, so that every access to them comes by here.
#pragma once

#include <array>

#include "cpu/context.h"
#include "cpu/page_table.h"

namespace vitrine::cpu::translator {

// DR6: the condition of a single step; bits 0-3 are the breakpoints (SDM vol. 3B, 18.2.3).
inline constexpr u64 kDr6SingleStep = 1u << 14;

class DebugRegisters {
 public:
  void load(const GuestContext& context);

  [[nodiscard]] bool executes() const { return executes_; }
  [[nodiscard]] bool watches() const { return watches_; }
  // DR6 bits of the execution breakpoints at `rip`.
  [[nodiscard]] u64 at_instruction(Va rip) const;
  [[nodiscard]] bool executes_in_page(Va rip) const;
  // DR6 bits of the data breakpoints that an access meets.
  [[nodiscard]] u64 at_access(Va va, u64 bytes, bool write) const;
  [[nodiscard]] bool watches_page(Va va) const;
  // A data breakpoint is aligned to its length, so that it lies in one page.
  template <typename Visit>
  void for_each_page(const Visit& visit) const {
    for (const Breakpoint& breakpoint : breakpoints_) {
      if (breakpoint.kind != Kind::off) visit(page_floor(breakpoint.address), breakpoint.kind == Kind::execute);
    }
  }

  // Conditions met by the instruction that runs.
  void note(u64 conditions) { met_ |= conditions; }
  [[nodiscard]] bool met() const { return met_ != 0; }
  [[nodiscard]] u64 take() {
    const u64 met = met_;
    met_ = 0;
    return met;
  }

 private:
  enum class Kind : u8 { off, execute, write, access };
  struct Breakpoint {
    Kind kind = Kind::off;
    Va address = 0;
    u64 bytes = 1;
  };
  std::array<Breakpoint, 4> breakpoints_{};
  bool executes_ = false, watches_ = false;
  u64 met_ = 0;
};

}  // namespace vitrine::cpu::translator
