// Writes RTL_USER_PROCESS_PARAMETERS with its strings and the environment into a new address space, normalised (pointers, not
// offsets), in one private read-write allocation.
#pragma once

#include <string>

#include "mm/address_space.h"

namespace vitrine::ldr {

struct ParameterBlock;

// Its address. Errors: invalid_parameter (a string over 64 KB), no_memory, commitment_limit.
[[nodiscard]] Result<Va> write_parameters(mm::AddressSpace& space, const ParameterBlock& parameters);

}  // namespace vitrine::ldr
