// The short way of an access that missed the software TLB: most misses only need the page's entry. The stub that calls
// it leaves the guest's vectors in the host's registers, so it is compiled without them (src/CMakeLists.txt) and
// includes nothing that has floating point.
#pragma once

#include "cpu/page_walk_inline.h"
#include "cpu/translator/range_cache.h"

namespace vitrine::cpu::translator {

// How an access finds its bytes once the look-up is done, and what scratch 0 holds then.
enum class Reach : u8 {
  general,   // the host address, perhaps with scratch 1 to be added
  direct,    // the page's Tlb::delta: added to the operand's one register, which the host holds
  constant,  // the host address of the page: the guest address is known
};

// What scratch 0 must hold for an access to find its bytes at `host`.
[[nodiscard]] constexpr u64 reached(Reach reach, Va va, u64 host) {
  switch (reach) {
    case Reach::direct:
      return host - va;
    case Reach::constant:
      return host - (va & kPageMask);
    case Reach::general:
      break;
  }
  return host;
}

// An access as a number that generated code passes.
struct AccessBits {
  static constexpr u32 kRangeMask = (1u << 14) - 1;
  static_assert(kStackRange <= kRangeMask);
  u32 value = 0;
  constexpr AccessBits() = default;
  // `range`: its number, or kNoRange. `may_leave`: it goes back to the TLB if that keeps missing.
  constexpr AccessBits(u32 size, u32 alignment_mask, Reach reach, bool write, u32 range, bool may_leave)
      : value(size | (write ? 1u << 10 : 0) | static_cast<u32>(reach) << 11 | range << 13 | (may_leave ? 1u << 27 : 0) |
              static_cast<u32>(__builtin_popcount(alignment_mask)) << 28) {}
  [[nodiscard]] constexpr u32 size() const { return value & 1023; }
  [[nodiscard]] constexpr u32 alignment_mask() const { return (1u << (value >> 28 & 7)) - 1; }
  [[nodiscard]] constexpr Reach reach() const { return static_cast<Reach>(value >> 11 & 3); }
  [[nodiscard]] constexpr bool write() const { return (value >> 10 & 1) != 0; }
  [[nodiscard]] constexpr bool may_leave() const { return (value >> 27 & 1) != 0; }
  [[nodiscard]] constexpr u32 range() const { return value >> 13 & kRangeMask; }
};

inline constexpr u32 kTlbEntries = 16384;  // reach 64 MiB
[[nodiscard]] constexpr u32 tlb_index(Va va) { return static_cast<u32>(va >> kPageShift) & (kTlbEntries - 1); }
[[nodiscard]] constexpr u64 tlb_invalid_tag(u32 index) { return static_cast<u64>(index ^ 1) << kPageShift; }

// The software TLB, direct-mapped by tlb_index: of each page a tag for either right, the host's address of its frame
// (`page`) and what leads from guest addresses in it to the host's (`delta`). Arrays of words, because an access
// touches two of the four. A tag that may not match names a page with another index; in fresh (zero) memory only entry
// 0 needs that. A tag that names a page says that `page` and `delta` are that page's.
struct Tlb {
  u64 read_tag[kTlbEntries], write_tag[kTlbEntries], page[kTlbEntries], delta[kTlbEntries];
};

// Bits that say which parts of the TLB have entries, and which frames (by the low bits of their number) may have write
// entries: most frames that are translated have none.
inline constexpr u32 kTlbChunk = 256;
inline constexpr u32 kWrittenFrames = 1u << 15;
struct TlbUse {
  RangeUse ranges;
  u64 chunks[kTlbEntries / kTlbChunk / 64];
  u64 written[kWrittenFrames / 64];
};
[[nodiscard]] inline u64 written_frame(const std::byte* host) {
  return (reinterpret_cast<u64>(host) >> kPageShift) % kWrittenFrames;
}

// A page enters the TLB.
inline void install(Tlb& tlb, TlbUse& use, Va va, const std::byte* host, bool write) {
  const u32 index = tlb_index(va);
  const Va page = page_floor(va);
  const u64 to = reinterpret_cast<u64>(host);
  if (write)
    tlb.write_tag[index] = page;
  else if (tlb.write_tag[index] != page || tlb.page[index] != to)
    tlb.write_tag[index] = tlb_invalid_tag(index);
  tlb.read_tag[index] = page;
  tlb.page[index] = to;
  tlb.delta[index] = to - page;
  use.chunks[index / kTlbChunk / 64] |= 1ull << index / kTlbChunk % 64;
  if (write) use.written[written_frame(host) / 64] |= 1ull << written_frame(host) % 64;
}

inline constexpr u32 kScattered = 32;

// What the short way needs of its space and machine. A part of Frame.
struct Refill {
  WalkedRam ram;
  Pfn root;
  Tlb* tlb = nullptr;
  TlbUse* use = nullptr;
  const u64* with_code = nullptr;  // a bit for each frame: it has translations, and a write takes the long way
  u64* misses = nullptr;           // counted here
  u64* range_misses = nullptr;
  Range* ranges = nullptr;
  StackRange* stack = nullptr;
  Range stack_record{};            // how that has been doing
  i64* budget = nullptr;           // of this entry into generated code, what is left
  i64 granted = 0;                 // the same, at its beginning
  u64 entered = 0;                 // instructions retired until then
  const u32* site = nullptr;       // of the access
  u32 scattered[kScattered] = {};  // sites whose ranges keep missing: to be translated without
  u32 scattered_count = 0;
  // Of the misses of ranges (refill.cpp).
  u32 reviewed_misses = 0, review = 0;
  u64 reviewed_at = 0;
  bool often = false;
  bool off = false;  // a breakpoint watches accesses

  [[nodiscard]] u64 now() const { return entered + static_cast<u64>(granted - *budget); }
};

// Fills the TLB for an access and returns what scratch 0 must hold. Zero: nothing has happened, and the long way must
// see to it: a fault, two pages, a breakpoint, translated code.
extern "C" u64 vitrine_translator_refill(Refill* refill, Va va, AccessBits access);

// Fills the range of an access (its only page is at `va`) if the TLB has the page, and returns what scratch 0 must
// hold. Zero: it has not.
extern "C" u64 vitrine_translator_range_missed(Refill* refill, Va va, AccessBits access);

}  // namespace vitrine::cpu::translator
