// The host's monotonic clock, for what is about the host alone: --timeout, statistics, waiting for input. Nothing that a
// guest can see may be computed from it.
#pragma once

#include "base/types.h"

namespace vitrine::sim {

[[nodiscard]] u64 host_nanoseconds();

}  // namespace vitrine::sim
