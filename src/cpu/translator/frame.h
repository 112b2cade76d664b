// Frame: what generated code sees of the machine. The host's RSP points at it
// while guest code runs, so that every field is one short operand away and
// memory renaming works on the hot ones. One per space; the memory below it is
// stack for signals and stubs only.
//
// Owned by TranslatorSpace. Plain data: generated code knows the offsets.
#pragma once

#include <array>
#include <cstddef>

#include "base/types.h"
#include "cpu/translator/refill.h"

namespace vitrine::cpu::translator {

// Host registers that generated code keeps for itself. The guest's own values
// of these live in Frame::spilled, except RSP, whose value lives in the host's R15.
inline constexpr int kScratch0 = 10;
inline constexpr int kScratch1 = 11;
inline constexpr int kGuestRspHost = 15;
inline constexpr int kHostRsp = 4;

inline constexpr int kSpilledRegisters = 3;
inline constexpr u32 kGroupSlots = 4;       // groups of accesses of a block that share a look-up
inline constexpr u32 kJumpEntries = 65536;  // indexed by the low 16 bits of an address
// What another address pushed out of its entry is found in a second, smaller
// table with another index.
inline constexpr u32 kJumpVictims = 16384;
inline constexpr u32 kJumpFactor = 0x9E37'79B1;  // spreads page numbers
inline constexpr int kJumpShift = 18;            // leaves as many bits of a 32-bit product as an index has

inline constexpr u32 kFarJumps = 1u << 18;  // direct jumps to other pages; more of them ask the jump cache

inline constexpr u32 kSideExits = 1u << 16;  // ways out of the middle of blocks; when there are no more, jumps end blocks

// Why generated code returned to the dispatcher.
enum class ExitKind : u32 {
  chain,       // the end of a block: `exit_argument` is the chain exit to link,
               // `exit_rip` is unset
  side,        // the count of a side exit has run over: `exit_argument` is its number
  far,         // a jump to another page that this space has not made yet: `exit_argument` is its number
  rip,         // go on at `exit_rip`
  budget,      // the budget check failed: `site` says where
  helper,      // a helper or the slow memory path ended the block; Runtime::pending
               // says how
  special,     // an instruction that the dispatcher executes: `site` says which
  host_fault,  // SIGFPE in generated code at `exit_rip` (a host address)
};

struct JumpEntry {
  Va va;
  u64 code;
};

class Runtime;

struct alignas(kPageSize) Frame {
  i64 budget = 0;
  u64 flags = 0;                                 // low 16 bits: AL = OF, AH = LAHF image; true whenever C++ runs
  std::array<u64, kSpilledRegisters> spilled{};  // the truth about the guest's R10, R11 and R15 outside C++
  std::array<u64, 2> kept{};  // operands that lost flags are made from again (FlagSource), once their registers change
  // What a block found out for its groups of accesses (group_field); dead at its end.
  std::array<u64, kGroupSlots> group{};
  StackRange stack{};
  // Untouched entries cost no host memory: zero is an entry that never matches, except for index 0, which the space
  // initialises.
  Tlb tlb;
  std::array<u64, 16> gpr{};  // guest order; true only while C++ runs
  u64 scratch0 = 0, scratch1 = 0;
  u64 temporary = 0;
  Va fs_base = 0, gs_base = 0;
  u32 site = 0;
  ExitKind exit_kind = ExitKind::chain;
  u64 exit_rip = 0;
  u32 exit_argument = 0;
  u32 bounced = 0;  // the slow path handed out `bounce` for a write: `finish`
                    // must copy it back
  u64 host_rsp = 0;
  u32 host_mxcsr = 0, guest_mxcsr = 0;
  u8 x87_loaded = 0;  // the host x87 state is the guest's
  u64 direction = 0;  // guest DF, 0 or 1; the host's is always clear
  Va x87_ip = 0,
     x87_dp = 0;       // of the last x87 instruction, as FNSTENV shows them
  Va x87_dp_next = 0;  // of the one that runs, which may yet fault
  Va bounce_va = 0;
  u64 bounce_size = 0;
  Refill refill;
  Runtime* runtime = nullptr;
  std::byte* image = nullptr;  // GuestContext::xsave of the thread that runs:
                               // the truth about vectors outside call-outs
  alignas(64) std::array<u8, 64> bounce{};
  alignas(64) std::array<std::array<u8, 32>, 16> ymm{};  // the truth about vectors during a call-out
  // The same for AVX-512, and true whenever C++ runs; unused where it is not on request.
  alignas(64) std::array<u64, 8> mask;
  std::array<std::array<u8, 32>, 16> zmm_high;   // of ZMM0-15
  std::array<std::array<u8, 64>, 16> zmm_upper;  // ZMM16-31
  // Direct-mapped, by jump_index; fresh memory as in the TLB.
  alignas(kPageSize) std::array<JumpEntry, kJumpEntries> jump;  // whole pages, so that they can
                                                                // be given back
  alignas(kPageSize) std::array<JumpEntry, kJumpVictims> jump_victims;
  // Where the direct jumps to other pages lead in this space. Only the first
  // TranslatorSpace::far_known_ are valid.
  alignas(kPageSize) std::array<u64, kFarJumps> far;
  alignas(kPageSize) std::array<Range, kRanges> ranges;  // fresh memory: zero
  // How often blocks have been left in the middle, by the number of the side exit; the carry leads to the dispatcher.
  std::array<u8, kSideExits> side;
};

static_assert(offsetof(Frame, tlb) <= 120, "a displacement of one byte reaches the first read tag");

// The addresses of one page share a run of kPageSize entries, one each.
[[nodiscard]] constexpr u32 jump_index(Va va) { return static_cast<u32>(va) & (kJumpEntries - 1); }
[[nodiscard]] constexpr u32 jump_victim_index(Va va) {
  const u32 page = static_cast<u32>(va >> kPageShift) * kJumpFactor >> kJumpShift;
  return (page ^ static_cast<u32>(va)) & (kJumpVictims - 1);
}

// RFLAGS bits that generated code keeps in the host's flags.
inline constexpr u32 kArithmeticFlags = 0x8D5;
inline constexpr u32 kFlagDirection = 1u << 10;
inline constexpr u32 kFlagTrap = 1u << 8;
[[nodiscard]] constexpr u64 pack_flags(u64 rflags) { return ((rflags & 0xD5) | 2) << 8 | ((rflags >> 11) & 1); }
[[nodiscard]] constexpr u64 unpack_flags(u64 packed) { return ((packed >> 8) & 0xD5) | ((packed & 1) << 11); }

}  // namespace vitrine::cpu::translator
