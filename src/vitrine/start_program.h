// StartProgram: from a host path and arguments to the first process of a machine: what is checked before anything is built, what the
// guest sees of the host, and how the command line and the environment look to it.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "vitrine/machine.h"
#include "vitrine/run.h"
#include "vitrine/temporary_folder.h"

namespace vitrine {

// The private folders behind C:\temp and the user's profile. The error is one line for the user.
[[nodiscard]] std::expected<TemporaryFolder, std::string> make_private_folder();

// C: as the program finds it: the current folder (read-write) as C:\work, the program's folder (read-only) as C:\program unless it lies in
// the current one, system32, and the private folders. The host's other files do not exist for it.
[[nodiscard]] std::vector<io::Mount> program_mounts(const RunOptions& options, const SystemFiles& system,
                                                    const TemporaryFolder& folder);

// Makes the process and its first thread, ready to run. Errors: one line for the user.
[[nodiscard]] std::expected<ob::Ref<ps::Process>, StartError> start_program(Machine& machine, const RunOptions& options);

}  // namespace vitrine
