// StartProgram: from a host path and arguments to the first process of a machine: where it starts, its standard streams, and how its
// command line and environment look to it.
#pragma once

#include <expected>

#include "vitrine/machine.h"
#include "vitrine/run.h"

namespace vitrine {

// Makes the process and its first thread, ready to run. Errors: one line for the user.
[[nodiscard]] std::expected<ob::Ref<ps::Process>, StartError> start_program(Machine& machine, const RunOptions& options);

}  // namespace vitrine
