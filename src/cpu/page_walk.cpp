#include "cpu/page_walk.h"

namespace vitrine::cpu {
namespace {

constexpr u32 kReservedBit = 1u << 3;

Translation fault(AccessKind kind, u32 cause) {
  const u32 access = kind == AccessKind::write   ? page_fault::kWrite
                     : kind == AccessKind::fetch ? page_fault::kFetch
                                                 : 0;
  return {Translation::Outcome::page_fault, cause | access | page_fault::kUser, {}, nullptr};
}

}  // namespace

Translation walk_page_tables(const ram::GuestRam& ram, Pfn root, Va va, AccessKind kind) {
  if (!is_canonical(va)) return {Translation::Outcome::non_canonical, 0, {}, nullptr};
  u64* entries[4];
  int levels = 0;
  u64 rights = pte::kUser | pte::kWrite, no_execute = 0;
  Pfn table = root, frame;
  for (int shift = 39;; shift -= 9) {
    if (table.value >= ram.page_count()) return fault(kind, page_fault::kProtection | kReservedBit);
    auto* entry = reinterpret_cast<u64*>(ram.base() + table.address()) + ((va >> shift) & 511);
    const u64 value = *entry;
    if ((value & pte::kPresent) == 0) return fault(kind, 0);
    entries[levels++] = entry;
    rights &= value;
    no_execute |= value & pte::kNoExecute;
    const bool leaf = shift == 12 || (shift != 39 && (value & pte::kLarge) != 0);
    if (leaf) {
      const u64 below = (1ull << shift) - 1;
      frame = Pfn{(((value & pte::kFrameMask) & ~below) | (va & below)) >> kPageShift};
      break;
    }
    table = pte::frame(value);
  }
  const bool allowed = (rights & pte::kUser) != 0 && (kind != AccessKind::write || (rights & pte::kWrite) != 0) &&
                       (kind != AccessKind::fetch || no_execute == 0);
  if (!allowed) return fault(kind, page_fault::kProtection);
  if (frame.value >= ram.page_count()) return fault(kind, page_fault::kProtection | kReservedBit);
  for (int level = 0; level < levels; ++level) {
    const u64 set = pte::kAccessed | (level == levels - 1 && kind == AccessKind::write ? pte::kDirty : 0);
    if ((*entries[level] & set) != set) *entries[level] |= set;
  }
  return {Translation::Outcome::ok, 0, frame, ram.base() + frame.address()};
}

}  // namespace vitrine::cpu
