// The extended part of a CONTEXT: an XSAVE image in the standard format without its legacy region, which is the
// CONTEXT's own. CONTEXT_EX says where it is. NT: XSAVE_AREA_HEADER and what follows it. [winnt.h; SDM vol. 1, 13.4]
#pragma once

#include <cstddef>
#include <span>

#include "base/types.h"
#include "cpu/context.h"

namespace vitrine::ps {

// The header: which components the image holds (Mask; the others are in their initial state), and no compaction.
inline constexpr std::size_t kExtendedHeaderBytes = 0x40;
// With the upper halves of YMM0-15; and with the masks and the rest of the ZMM registers as well.
inline constexpr std::size_t kExtendedAvxBytes = 0x140, kExtendedAvx512Bytes = 0x880;

// How long the image of a thread's whole state is: it has AVX-512 once it ran where that is on request.
[[nodiscard]] std::size_t extended_bytes(const cpu::GuestContext& registers);

// Stores the components of `wanted` (a Mask) that `out` has room for and that are not in their initial state. `out` is
// not shorter than the header; other components' bytes stay as they are.
void store_extended(const cpu::GuestContext& registers, u64 wanted, std::span<std::byte> out);

// Loads every component: the initial state where the image does not hold it.
void load_extended(std::span<const std::byte> image, cpu::GuestContext& registers);

// The Mask of an image.
[[nodiscard]] u64 extended_mask(std::span<const std::byte> image);

}  // namespace vitrine::ps
