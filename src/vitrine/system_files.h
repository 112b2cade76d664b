// Where the user-mode half lies on the host: Wine's PE DLLs and NLS files, from the distribution's package libwine.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <vector>

namespace vitrine {

struct SystemFiles {
  std::filesystem::path dlls;  // ntdll.dll and friends
  std::filesystem::path nls;   // locale.nls and friends
  std::filesystem::path own;   // DLLs of ours (src/guest), beside the tool; empty: there are none

  // In the order in which a name in C:\windows\system32 is looked up.
  [[nodiscard]] std::vector<std::filesystem::path> folders() const {
    return own.empty() ? std::vector{dlls, nls} : std::vector{dlls, nls, own};
  }
};

// `system32` overrides the search for the DLLs when not empty. The error is one line that says what to install.
[[nodiscard]] std::expected<SystemFiles, std::string> find_system_files(const std::filesystem::path& system32);

}  // namespace vitrine
