#include "vitrine/system_files.h"

#include <fmt/format.h>

#include <array>

namespace vitrine {
namespace {

namespace fs = std::filesystem;

// Debian and Ubuntu, then Fedora and Arch.
constexpr std::array kDllFolders{"/usr/lib/x86_64-linux-gnu/wine/x86_64-windows", "/usr/lib/wine/x86_64-windows",
                                 "/usr/lib64/wine/x86_64-windows"};
constexpr std::array kNlsFolders{"/usr/share/wine/nls"};

constexpr const char* kInstall = "install Debian's package libwine (apt-get install libwine)";

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

// Beside the tool in a build, or where an installation puts them.
fs::path own_dlls() {
  std::error_code error;
  const fs::path tool = fs::read_symlink("/proc/self/exe", error);
  if (error) return {};
  for (const fs::path& folder : {tool.parent_path() / "guest", tool.parent_path().parent_path() / "lib" / "vitrine" / "guest"}) {
    if (is_file(folder / "bcryptprimitives.dll")) return folder;
  }
  return {};
}

}  // namespace

std::expected<SystemFiles, std::string> find_system_files(const fs::path& system32) {
  SystemFiles found;
  if (!system32.empty()) {
    if (!is_file(system32 / "ntdll.dll")) {
      return std::unexpected(fmt::format("--system32 {}: there is no ntdll.dll in it; Wine's DLLs come with Debian's package libwine",
                                         system32.string()));
    }
    found.dlls = system32;
  } else {
    for (const char* folder : kDllFolders) {
      if (found.dlls.empty() && is_file(fs::path(folder) / "ntdll.dll")) found.dlls = folder;
    }
    if (found.dlls.empty()) {
      return std::unexpected(fmt::format("Wine's DLLs are not on this system: {}, or say --system32 FOLDER", kInstall));
    }
  }
  for (const char* folder : kNlsFolders) {
    if (found.nls.empty() && is_file(fs::path(folder) / "locale.nls")) found.nls = folder;
  }
  if (found.nls.empty() && is_file(found.dlls / "locale.nls")) found.nls = found.dlls;
  if (found.nls.empty()) return std::unexpected(fmt::format("Wine's NLS files are not on this system: {}", kInstall));
  found.own = own_dlls();
  return found;
}

}  // namespace vitrine
