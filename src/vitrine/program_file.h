// ProgramFile: the program's file on the host, looked at before anything is built: is it there, is it one that can run, and are
// the DLLs that it names to be had?
#pragma once

#include <expected>
#include <filesystem>

#include "vitrine/run.h"
#include "vitrine/system_files.h"

namespace vitrine {

// Success, or one line that says what the file is or lacks. Exit codes as in docs/running.md: 127 not found, 126 not runnable.
[[nodiscard]] std::expected<void, StartError> check_program_file(const std::filesystem::path& program, const SystemFiles& system);

// The path with links resolved; the path itself when that fails.
[[nodiscard]] std::filesystem::path resolved(const std::filesystem::path& path);

}  // namespace vitrine
