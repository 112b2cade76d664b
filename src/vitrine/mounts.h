// Which host folders a program sees, and where: the defaults of docs/running.md and what the user adds to them.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "io/host_volume.h"
#include "vitrine/run.h"
#include "vitrine/system_files.h"
#include "vitrine/temporary_folder.h"

namespace vitrine {

// `C:\x=folder`, `C:\x=folder:ro` or `:rw`; '/' may stand for '\'. The folder must be there. The error is one line for the user.
[[nodiscard]] std::expected<Mount, std::string> parse_mount(std::string_view text);

// "C:\a\b" or "C:/a/b/" as the volume takes it: "\a\b"; the root is "". The error says what is wrong with the path.
[[nodiscard]] std::expected<std::u16string, std::string> volume_path(std::string_view guest_path);

// A folder on the host with what the guest gets as C:\temp and C:\users\vitrine; it must outlive the machine.
[[nodiscard]] std::expected<TemporaryFolder, std::string> make_private_folder();

// A user's mount takes the place of a default one at the same path. The error is one line for the user.
[[nodiscard]] std::expected<std::vector<io::Mount>, std::string> program_mounts(const RunOptions& options, const SystemFiles& system,
                                                                                const TemporaryFolder& folder);

}  // namespace vitrine
