// The shared user data page and the page after it, written into their frames. The first shows version, processor features and
// the clocks to every process [seen in Wine 8.0's user mode]; the second holds the stub through which Wine's DLLs ask for
// their Unix halves: a system call of our own.
#pragma once

#include "abi/user_shared_data.h"
#include "base/types.h"
#include "hal/machine.h"

namespace vitrine::ldr {

inline constexpr Va kUnixCallStubAddress = abi::kUserSharedDataAddress + kPageSize + 0x800;
inline constexpr u32 kUnixCallNumber = 0x7FF;
inline constexpr u8 kWineDebugErrors = 2;  // bit of Wine's debug class "err"

// `page` is the frame's 4,096 bytes, zero before. `seed` draws the cookie.
void write_shared_data(std::byte* page, const hal::Machine& machine, u64 physical_pages, u64 seed, bool avx512 = false);
void write_shared_time(std::byte* page, const hal::Machine& machine);
void write_unix_call_stub(std::byte* page);

}  // namespace vitrine::ldr
