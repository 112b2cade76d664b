#include "vitrine/folder_copy.h"

#include <fmt/format.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <vector>

namespace vitrine {
namespace {

namespace fs = std::filesystem;

constexpr u64 kMostFiles = 100'000;

// To the nanosecond, as the guest can see them.
bool copy_times(const fs::path& from, const fs::path& to) {
  struct stat information{};
  if (lstat(from.c_str(), &information) != 0) return false;
  const timespec times[2] = {information.st_atim, information.st_mtim};
  return utimensat(AT_FDCWD, to.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0;
}

// Regular files, folders and links; nothing else exists for a guest.
void copy_entry(const fs::directory_entry& entry, const fs::path& to, std::error_code& code) {
  if (entry.is_symlink(code)) fs::copy_symlink(entry.path(), to, code);
  else if (entry.is_directory(code)) fs::create_directory(to, entry.path(), code);
  else if (entry.is_regular_file(code)) fs::copy_file(entry.path(), to, code);
}

std::string copy_tree(const fs::path& source, const fs::path& target, u64 limit_bytes) {
  std::error_code code;
  u64 bytes = 0, files = 0;
  std::vector<fs::path> folders;  // their times are set last: filling them changes them
  for (fs::recursive_directory_iterator it(source, code), end; !code && it != end; it.increment(code)) {
    const fs::path to = target / it->path().lexically_relative(source);
    if (it->is_regular_file(code) && !it->is_symlink(code)) bytes += it->file_size(code);
    if (++files > kMostFiles || bytes > limit_bytes) {
      return fmt::format("{} holds more than {} MiB or {} files; run --verify in a smaller folder", source.string(),
                         limit_bytes >> 20, kMostFiles);
    }
    copy_entry(*it, to, code);
    if (code) return fmt::format("{}: {}", it->path().string(), code.message());
    if (it->is_directory(code) && !it->is_symlink(code)) folders.push_back(it->path());
    else if (fs::symlink_status(to, code).type() != fs::file_type::not_found) copy_times(it->path(), to);
  }
  if (code) return fmt::format("{}: {}", source.string(), code.message());
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) {
    copy_times(*folder, target / folder->lexically_relative(source));
  }
  copy_times(source, target);
  return {};
}

}  // namespace

std::expected<TemporaryFolder, std::string> copy_folder(const fs::path& source, u64 limit_bytes) {
  auto copy = TemporaryFolder::create("vitrine-copy");
  if (!copy) return copy;
  const std::string problem = copy_tree(source, copy->path(), limit_bytes);
  if (!problem.empty()) return std::unexpected(problem);
  return copy;
}

}  // namespace vitrine
