// A private copy of a folder with the same names, contents, modes and modification times, so that a second run can start from what
// the first one found.
#pragma once

#include "base/types.h"
#include "vitrine/temporary_folder.h"

namespace vitrine {

// Refuses more than `limit_bytes` in files, or more than 100,000 files. The error is one line for the user.
[[nodiscard]] std::expected<TemporaryFolder, std::string> copy_folder(const std::filesystem::path& source, u64 limit_bytes);

}  // namespace vitrine
