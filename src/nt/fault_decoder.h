// Two questions that NT's trap handlers ask of a faulting instruction's bytes: whether a division failed by zero or by
// overflow, and whether a protection fault came from a privileged instruction. Pure functions; what cannot be decoded
// is "no".
#pragma once

#include "cpu/context.h"
#include "mm/address_space.h"

namespace vitrine::nt {

// The instruction at RIP divides and its divisor is zero. NT: KiDivideErrorFault; otherwise the quotient did not fit.
[[nodiscard]] bool divides_by_zero(mm::AddressSpace& space, const cpu::GuestContext& registers);

// The instruction at RIP may only run in kernel mode (or with I/O rights). [SDM vol. 3A 5.9 "Privileged Instructions"]
[[nodiscard]] bool is_privileged_instruction(mm::AddressSpace& space, const cpu::GuestContext& registers);

}  // namespace vitrine::nt
