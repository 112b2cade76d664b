// The page-table walk as code that is compiled into its caller. Includes nothing that needs floating point: one caller
// is compiled without vector registers (translator/refill.cpp).
#pragma once

#include "cpu/page_table.h"

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

// Guest RAM as the walker needs it.
struct WalkedRam {
  std::byte* base = nullptr;
  u64 pages = 0;
};

[[nodiscard]] constexpr bool is_canonical(Va va) { return static_cast<Va>(static_cast<i64>(va << 16) >> 16) == va; }

// `walk_page_tables` (page_walk.h), which says what it does.
[[nodiscard, gnu::always_inline]] inline Translation walk_page_tables_inline(const WalkedRam& ram, Pfn root, Va va,
                                                                             AccessKind kind) {
  constexpr u32 kReservedBit = 1u << 3;
  const u32 access = kind == AccessKind::write   ? page_fault::kWrite
                     : kind == AccessKind::fetch ? page_fault::kFetch
                                                 : 0;
  Translation result{Translation::Outcome::page_fault, access | page_fault::kUser, {}, nullptr};
  if (!is_canonical(va)) return {Translation::Outcome::non_canonical, 0, {}, nullptr};
  u64* entries[4];
  int levels = 0;
  u64 rights = pte::kUser | pte::kWrite, no_execute = 0;
  Pfn table = root, frame;
  for (int shift = 39;; shift -= 9) {
    if (table.value >= ram.pages) {
      result.error_code |= page_fault::kProtection | kReservedBit;
      return result;
    }
    auto* entry = reinterpret_cast<u64*>(ram.base + table.address()) + ((va >> shift) & 511);
    const u64 value = *entry;
    if ((value & pte::kPresent) == 0) return result;
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
  result.error_code |= page_fault::kProtection;
  const bool allowed = (rights & pte::kUser) != 0 && (kind != AccessKind::write || (rights & pte::kWrite) != 0) &&
                       (kind != AccessKind::fetch || no_execute == 0);
  if (!allowed) return result;
  if (frame.value >= ram.pages) {
    result.error_code |= kReservedBit;
    return result;
  }
  for (int level = 0; level < levels; ++level) {
    const u64 set = pte::kAccessed | (level == levels - 1 && kind == AccessKind::write ? pte::kDirty : 0);
    if ((*entries[level] & set) != set) *entries[level] |= set;
  }
  return {Translation::Outcome::ok, 0, frame, ram.base + frame.address()};
}

}  // namespace vitrine::cpu
