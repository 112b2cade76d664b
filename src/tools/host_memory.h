// How much of the host's memory a run may use when nobody says.
#pragma once

#include "base/types.h"

namespace vitrine::tools {

// Bytes: three quarters of what is free now. 0: unknown.
[[nodiscard]] u64 default_host_limit();

}  // namespace vitrine::tools
