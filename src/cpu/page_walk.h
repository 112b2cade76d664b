// page_walk: what the processor's page-table walker does, shared by the back ends that have no hardware for it. Pure
// but for the accessed and dirty bits, which it sets in guest RAM as hardware does: only when the access is allowed.
// Source: Intel SDM vol. 3A ch. 4.5-4.8.
#pragma once

#include "cpu/page_walk_inline.h"
#include "ram/guest_ram.h"

namespace vitrine::cpu {

// Walks four levels from `root` for a user-mode access to the page of `va`. A table or frame outside guest RAM gives a
// page fault with the reserved bit (1 << 3).
[[nodiscard]] Translation walk_page_tables(const ram::GuestRam& ram, Pfn root, Va va, AccessKind kind);

}  // namespace vitrine::cpu
