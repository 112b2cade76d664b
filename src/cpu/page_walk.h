// page_walk: what the processor's page-table walker does, shared by the back ends that have no hardware for it. Pure
// but for the accessed and dirty bits, which it sets in guest RAM as hardware does: only when the access is allowed.
// Source: Intel SDM vol. 3A ch. 4.5-4.8.
#pragma once

#include "cpu/page_table.h"
#include "ram/guest_ram.h"

namespace vitrine::cpu {

enum class AccessKind : u8 { read, write, fetch };

struct Translation {
  enum class Outcome : u8 { ok, page_fault, non_canonical };
  Outcome outcome = Outcome::ok;
  u32 error_code = 0;         // page_fault only
  Pfn frame;                  // ok only
  std::byte* host = nullptr;  // ok only: the frame's bytes
  [[nodiscard]] bool ok() const { return outcome == Outcome::ok; }
};

[[nodiscard]] constexpr bool is_canonical(Va va) { return static_cast<Va>(static_cast<i64>(va << 16) >> 16) == va; }

// Walks four levels from `root` for a user-mode access to the page of `va`. A table or frame outside guest RAM gives a
// page fault with the reserved bit (1 << 3).
[[nodiscard]] Translation walk_page_tables(const ram::GuestRam& ram, Pfn root, Va va, AccessKind kind);

}  // namespace vitrine::cpu
