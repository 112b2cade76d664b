#include "cpu/page_walk.h"

namespace vitrine::cpu {

Translation walk_page_tables(const ram::GuestRam& ram, Pfn root, Va va, AccessKind kind) {
  return walk_page_tables_inline({ram.base(), ram.page_count()}, root, va, kind);
}

}  // namespace vitrine::cpu
