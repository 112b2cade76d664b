#include "vitrine/temporary_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace vitrine {

namespace fs = std::filesystem;

std::expected<TemporaryFolder, std::string> TemporaryFolder::create(std::string_view prefix) {
  std::error_code code;
  const fs::path parent = fs::temp_directory_path(code);
  std::string pattern = ((code ? fs::path("/tmp") : parent) / fmt::format("{}-XXXXXX", prefix)).string();
  if (mkdtemp(pattern.data()) == nullptr) {
    return std::unexpected(fmt::format("no temporary folder {}: {}; set TMPDIR", pattern, std::strerror(errno)));
  }
  return TemporaryFolder(pattern);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;  // nobody is left to tell
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace vitrine
