// The file behind `--registry FILE`: the registry as text (cm/registry_text.h), read before a run and written after it.
#pragma once

#include <expected>
#include <filesystem>
#include <string>

namespace vitrine {

// The whole text; empty when there is no such file yet. The error is one line for the user.
[[nodiscard]] std::expected<std::string, std::string> read_registry_file(const std::filesystem::path& path);

// All or nothing: a new file takes the old one's place. The error is one line for the user.
[[nodiscard]] std::expected<void, std::string> write_registry_file(const std::filesystem::path& path,
                                                                   const std::string& text);

}  // namespace vitrine
