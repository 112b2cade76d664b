// Pte: one x64 page-table entry, in the hardware form when valid and in NT's software forms when not. A plain 64-bit
// value with constructors and predicates; the processor's walk reads the same bits (cpu/page_table.h).
//
// NT: x64 forms [VOL win7_sp1_x64, facts 8.1]:
//   valid       0 V, 1 W, 2 owner, 5 A, 6 D, 9 copy-on-write, 11 write allowed, 12-47 PFN, 63 no-execute
//   demand zero 5-9 protection, everything else 0
//   page file   1-4 file, 5-9 protection, 32-63 offset in pages
//   transition  5-9 protection, 10 = 0, 11 = 1, 12-47 PFN
//   prototype   8 read-only, 10 = 1, 11-15 protection, 16-63 address; all ones: "ask the VAD"
//   subsection  5-9 protection, 10 = 1, 16-63 address (only inside prototype arrays)
// One form is ours: *shadow*, a transition entry with bit 48 set: the frame is owned and charged, its bytes are made at
// the first touch by a PageInitializer.
#pragma once

#include "base/status.h"
#include "base/types.h"
#include "cpu/page_table.h"

namespace vitrine::mm {

// NT: the five-bit protection code of software entries and VADs [facts 8.1].
struct Protection {
  u8 code = 0;
  auto operator<=>(const Protection&) const = default;

  static constexpr u8 kNone = 0, kRead = 1, kExecute = 2, kExecuteRead = 3, kReadWrite = 4, kWriteCopy = 5;
  static constexpr u8 kExecuteReadWrite = 6, kExecuteWriteCopy = 7;
  static constexpr u8 kNoCache = 0x08, kGuard = 0x10, kNoAccess = 0x18, kDecommitted = 0x10;

  [[nodiscard]] constexpr u8 base() const { return code & 7; }
  [[nodiscard]] constexpr bool is_no_access() const { return code == kNoAccess || code == kNone; }
  [[nodiscard]] constexpr bool is_guard() const { return (code & kNoAccess) == kGuard && base() != 0; }
  [[nodiscard]] constexpr bool is_decommitted() const { return code == kDecommitted; }
  [[nodiscard]] constexpr bool is_write_copy() const { return base() == kWriteCopy || base() == kExecuteWriteCopy; }
  // Copy-on-write counts: a write succeeds, on a private copy.
  [[nodiscard]] constexpr bool allows_write() const { return base() >= kReadWrite; }
  [[nodiscard]] constexpr bool allows_execute() const { return (base() & 2) != 0; }
  [[nodiscard]] constexpr bool allows_read() const { return base() != kNone; }
  [[nodiscard]] constexpr Protection without_guard() const {
    return is_guard() ? Protection{static_cast<u8>(code & ~kGuard)} : *this;
  }
  // What a private copy of a write-copy page gets: writable for good.
  [[nodiscard]] constexpr Protection after_copy() const {
    return is_write_copy() ? Protection{static_cast<u8>(code - 1)} : *this;
  }
};

// Error: invalid_page_protection (unknown bits, none or several base protections, guard or cache bits with no access,
// or both cache bits).
[[nodiscard]] Result<Protection> protection_from_win32(u32 win32);
// PAGE_* of a code; 0 for decommitted.
[[nodiscard]] u32 protection_to_win32(Protection protection);
// Whether everything that `wanted` allows is allowed by `granted` (a section's or file's protection); write-copy needs
// read only [NT: MiIsProtectionCompatible's table, WI6p2 ch. 10].
[[nodiscard]] bool is_compatible(Protection granted, Protection wanted);

struct Pte {
  u64 bits = 0;
  bool operator==(const Pte&) const = default;

  static constexpr u64 kCopyOnWrite = 1ull << 9;  // valid
  static constexpr u64 kPrototype = 1ull << 10;   // not valid: prototype or subsection; valid: maps a shared page (5.2)
  static constexpr u64 kSoftwareWrite = 1ull << 11;  // valid
  static constexpr u64 kTransition = 1ull << 11;     // not valid
  static constexpr u64 kShadow = 1ull << 48;         // transition
  static constexpr u64 kPfnMask = 0x0000'FFFF'FFFF'F000ull;
  static constexpr u64 kVadLookupAddress = 0xFFFF'FFFF'FFFFull;

  // A user page, accessed already, as NT makes them. `dirty`: the hardware write bit is given at once only then (NT
  // sets dirty in software through a fault on MP x86; x64 hardware sets it, so that write pages are writable from the
  // start).
  [[nodiscard]] static Pte valid(Pfn pfn, Protection protection, bool is_prototype);
  // A page-table page: writable, user, executable; the leaf decides.
  [[nodiscard]] static constexpr Pte table(Pfn pfn) {
    return {pfn.address() | cpu::pte::kPresent | cpu::pte::kWrite | cpu::pte::kUser | cpu::pte::kAccessed};
  }
  [[nodiscard]] static constexpr Pte demand_zero(Protection p) { return {static_cast<u64>(p.code) << 5}; }
  [[nodiscard]] static constexpr Pte decommitted() { return demand_zero({Protection::kDecommitted}); }
  [[nodiscard]] static constexpr Pte page_file(u32 file, u32 offset, Protection p) {
    return {static_cast<u64>(offset) << 32 | static_cast<u64>(p.code) << 5 | static_cast<u64>(file & 0xF) << 1};
  }
  [[nodiscard]] static constexpr Pte transition(Pfn pfn, Protection p) {
    return {pfn.address() | kTransition | static_cast<u64>(p.code) << 5};
  }
  [[nodiscard]] static constexpr Pte shadow(Pfn pfn, Protection p) { return {transition(pfn, p).bits | kShadow}; }
  [[nodiscard]] static constexpr Pte vad_lookup(Protection p) {
    return {kVadLookupAddress << 16 | static_cast<u64>(p.code) << 11 | kPrototype};
  }
  // In a prototype array: the page comes from the file; the array's owner knows from where.
  [[nodiscard]] static constexpr Pte subsection(u64 address, Protection p) {
    return {address << 16 | kPrototype | static_cast<u64>(p.code) << 5};
  }

  [[nodiscard]] constexpr bool is_empty() const { return bits == 0; }
  [[nodiscard]] constexpr bool is_valid() const { return (bits & cpu::pte::kPresent) != 0; }
  [[nodiscard]] constexpr bool is_vad_lookup() const {
    return !is_valid() && (bits & kPrototype) != 0 && (bits >> 16) == kVadLookupAddress;
  }
  [[nodiscard]] constexpr bool is_prototype() const { return !is_valid() && (bits & kPrototype) != 0; }
  [[nodiscard]] constexpr bool is_transition() const { return (bits & (1 | kPrototype | kTransition)) == kTransition; }
  [[nodiscard]] constexpr bool is_shadow() const { return is_transition() && (bits & kShadow) != 0; }
  [[nodiscard]] constexpr bool is_page_file() const {
    return (bits & (1 | kPrototype | kTransition)) == 0 && (bits >> 32) != 0;
  }
  [[nodiscard]] constexpr bool is_demand_zero() const {
    return bits != 0 && (bits & (1 | kPrototype | kTransition)) == 0 && (bits >> 32) == 0 && !is_decommitted();
  }
  [[nodiscard]] constexpr bool is_decommitted() const { return bits == decommitted().bits; }
  [[nodiscard]] constexpr bool is_copy_on_write() const { return is_valid() && (bits & kCopyOnWrite) != 0; }
  [[nodiscard]] constexpr bool maps_prototype() const { return is_valid() && (bits & kPrototype) != 0; }
  [[nodiscard]] constexpr bool is_dirty() const { return is_valid() && (bits & cpu::pte::kDirty) != 0; }
  // Precondition: valid or transition.
  [[nodiscard]] constexpr Pfn pfn() const { return Pfn{(bits & kPfnMask) >> kPageShift}; }
  // The code kept in a software form; for a valid entry, the one that its bits amount to (guard never).
  [[nodiscard]] Protection protection() const;
  // Precondition: a software form that keeps a code (not empty, not valid).
  [[nodiscard]] Pte with_protection(Protection p) const;
};
static_assert(sizeof(Pte) == 8);

}  // namespace vitrine::mm
