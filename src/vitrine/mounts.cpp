#include "vitrine/mounts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "ex/unicode.h"
#include "io/name_rules.h"
#include "vitrine/program_file.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

constexpr std::u16string_view kSystem32 = u"\\windows\\system32", kProgram = u"\\program";

bool is_inside(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

bool has_mount(const std::vector<io::Mount>& mounts, std::u16string_view path) {
  return std::ranges::any_of(mounts, [&](const io::Mount& mount) { return ex::equal_ignoring_case(mount.guest_path, path); });
}

std::expected<std::vector<io::Mount>, std::string> user_mounts(const RunOptions& options) {
  std::vector<io::Mount> mounts;
  for (const Mount& mount : options.mounts) {
    auto path = volume_path(mount.guest_path);
    if (!path) return std::unexpected(fmt::format("--mount {}={}: {}", mount.guest_path, mount.host_folder.string(), path.error()));
    if (has_mount(mounts, *path)) {
      return std::unexpected(fmt::format("--mount {}: two folders cannot have the same place; choose another path for one of them",
                                         mount.guest_path));
    }
    if (ex::equal_ignoring_case(*path, kSystem32)) {
      return std::unexpected(fmt::format("--mount {}: Wine's DLLs are there; say --system32 FOLDER to take others", mount.guest_path));
    }
    mounts.push_back({std::move(*path), {mount.host_folder.string()},
                      mount.read_only ? io::MountAccess::read_only : io::MountAccess::read_write});
  }
  return mounts;
}

}  // namespace

std::expected<std::u16string, std::string> volume_path(std::string_view guest_path) {
  std::u16string path = ex::from_utf8(guest_path);
  std::ranges::replace(path, u'/', u'\\');
  const bool drive = path.size() >= 2 && path[1] == u':' && (path[0] | 0x20) >= u'a' && (path[0] | 0x20) <= u'z';
  if (drive && (path[0] | 0x20) != u'c') return std::unexpected("there is only drive C:; begin the path with C:\\");
  if (!drive || (path.size() > 2 && path[2] != u'\\')) return std::unexpected("expected a path such as C:\\data");
  path.erase(0, 2);
  while (path.ends_with(u'\\')) path.pop_back();
  if (!io::split_path(path)) {
    return std::unexpected(
        "that is no path for Windows: a name in it is empty, \".\" or \"..\", longer than 255, or holds one of \" * : < > ? |");
  }
  return path;
}

std::expected<Mount, std::string> parse_mount(std::string_view text) {
  const auto refuse = [&](std::string_view why) { return std::unexpected(fmt::format("--mount {}: {}", text, why)); };
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return refuse("expected 'C:\\path=folder' or 'C:\\path=folder:ro'");
  Mount mount;
  mount.guest_path = text.substr(0, equals);
  std::string_view folder = text.substr(equals + 1);
  mount.read_only = folder.ends_with(":ro");
  if (mount.read_only || folder.ends_with(":rw")) folder.remove_suffix(3);
  if (const auto path = volume_path(mount.guest_path); !path) return refuse(path.error());
  if (folder.empty()) return refuse("which folder? Say 'C:\\path=folder'");
  mount.host_folder = folder;
  std::error_code code;
  const fs::file_status status = fs::status(mount.host_folder, code);
  if (status.type() == fs::file_type::not_found) return refuse(fmt::format("there is no folder {}", folder));
  if (code) return refuse(code.message());
  if (!fs::is_directory(status)) return refuse(fmt::format("{} is no folder", folder));
  if (::access(mount.host_folder.c_str(), R_OK | X_OK) != 0) return refuse(fmt::format("you may not read {}", folder));
  return mount;
}

std::expected<TemporaryFolder, std::string> make_private_folder() {
  auto folder = TemporaryFolder::create("vitrine");
  if (!folder) return folder;
  for (const char* name : {"temp", "profile"}) {
    std::error_code code;
    fs::create_directory(folder->path() / name, code);
    if (code) return std::unexpected(fmt::format("{}: {}", (folder->path() / name).string(), code.message()));
  }
  return folder;
}

std::expected<std::vector<io::Mount>, std::string> program_mounts(const RunOptions& options, const SystemFiles& system,
                                                                  const TemporaryFolder& folder) {
  auto mounts = user_mounts(options);
  if (!mounts) return mounts;
  std::vector<std::string> system_folders;
  // Ours first: they replace a stub of Wine's (avrt).
  if (!system.own.empty()) system_folders.push_back(system.own.string());
  for (const fs::path& path : system.folders()) {
    if (path != system.own) system_folders.push_back(path.string());
  }
  std::error_code code;
  const fs::path current = options.current_folder.empty() ? fs::current_path(code) : options.current_folder;
  if (code) return std::unexpected(fmt::format("the current folder: {}; go to one that exists", code.message()));
  const io::Mount defaults[] = {
      {std::u16string(kSystem32), std::move(system_folders), io::MountAccess::read_only},
      {u"\\temp", {(folder.path() / "temp").string()}, io::MountAccess::read_write, false},
      {u"\\users\\vitrine", {(folder.path() / "profile").string()}, io::MountAccess::read_write, false},
      {u"\\work", {current.string()}, io::MountAccess::read_write}};
  for (const io::Mount& mount : defaults) {
    if (!has_mount(*mounts, mount.guest_path)) mounts->push_back(mount);
  }
  const fs::path program_folder = resolved(options.program).parent_path();
  const bool visible = std::ranges::any_of(*mounts, [&](const io::Mount& mount) {
    return mount.host_folders.size() == 1 && is_inside(program_folder, resolved(mount.host_folders.front()));
  });
  if (visible) return mounts;
  if (has_mount(*mounts, kProgram)) {
    return std::unexpected("--mount: C:\\program is where the program's own folder goes; choose another path");
  }
  mounts->push_back({std::u16string(kProgram), {program_folder.string()}, io::MountAccess::read_only});
  return mounts;
}

}  // namespace vitrine
