#include "vitrine/run_overlay.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "ex/unicode.h"
#include "io/overlay_changes.h"
#include "vitrine/program_file.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;
using Kind = io::OverlayChange::Kind;

bool is_inside(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

std::expected<io::RootChanges, std::string> changes_of(const std::string& host_path,
                                                       const std::shared_ptr<io::Overlay>& overlay) {
  auto root = io::HostFolder::open(host_path, overlay);
  if (!root) return std::unexpected(fmt::format("overlay: {}: {}", host_path, status_name(root.error())));
  auto changes = io::overlay_changes(*root);
  if (!changes) return std::unexpected(fmt::format("overlay: {}: {}", host_path, status_name(changes.error())));
  return io::RootChanges{std::move(*root), std::move(*changes)};
}

std::string describe(const io::OverlayChange& change, const std::string& guest_path) {
  std::string path = guest_path + "\\" + change.path;
  std::ranges::replace(path, '/', '\\');
  if (change.is_folder) return fmt::format("{} {}\\", change.kind == Kind::removed ? "deleted" : "added  ", path);
  switch (change.kind) {
    case Kind::removed:
      return fmt::format("deleted {} ({} bytes)", path, change.bytes_before);
    case Kind::added:
      return fmt::format("added   {} ({} bytes)", path, change.bytes);
    case Kind::changed:
      return fmt::format("changed {} ({} to {} bytes)", path, change.bytes_before, change.bytes);
    case Kind::attributes:
      return fmt::format("changed {} (attributes or time)", path);
  }
  return path;
}

}  // namespace

RunOverlay::RunOverlay(std::shared_ptr<io::Overlay> overlay, const std::vector<io::Mount>& mounts)
    : overlay_(std::move(overlay)) {
  for (const io::Mount& mount : mounts) {
    if (mount.access == io::MountAccess::read_only || !mount.overlaid) continue;
    for (const std::string& folder : mount.host_folders) {
      roots_.push_back({"C:" + ex::to_utf8(mount.guest_path), resolved(folder).string()});
    }
  }
  // What two mounts show is told once: below the outer folder, and below the first of two equal ones.
  std::ranges::stable_sort(roots_, {}, [](const Root& root) { return root.host_path.size(); });
  for (std::size_t i = 0; i < roots_.size(); ++i) {
    const auto outer = std::find_if(roots_.begin(), roots_.begin() + static_cast<std::ptrdiff_t>(i),
                                    [&](const Root& other) { return is_inside(roots_[i].host_path, other.host_path); });
    if (outer != roots_.begin() + static_cast<std::ptrdiff_t>(i))
      roots_.erase(roots_.begin() + static_cast<std::ptrdiff_t>(i--));
  }
  std::ranges::sort(roots_, {}, &Root::guest_path);
}

std::expected<std::vector<std::string>, std::string> RunOverlay::list() const {
  std::vector<std::string> lines;
  for (const Root& root : roots_) {
    const auto found = changes_of(root.host_path, overlay_);
    if (!found) return std::unexpected(found.error());
    for (const io::OverlayChange& change : found->changes) lines.push_back(describe(change, root.guest_path));
  }
  return lines;
}

std::expected<void, std::string> RunOverlay::keep(const fs::path& folder) const {
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) return std::unexpected(fmt::format("--overlay-keep {}: {}", folder.string(), code.message()));
  if (!fs::is_empty(folder, code) || code) {
    return std::unexpected(fmt::format("--overlay-keep {}: the folder is not empty; name a new one", folder.string()));
  }
  const auto lines = list();
  if (!lines) return std::unexpected(lines.error());
  std::ofstream text(folder / "changes.txt");
  for (const std::string& line : *lines) text << line << '\n';
  text.close();
  if (!text)
    return std::unexpected(fmt::format("--overlay-keep {}: changes.txt could not be written", folder.string()));
  for (const Root& root : roots_) {
    const auto found = changes_of(root.host_path, overlay_);
    if (!found) return std::unexpected(found.error());
    if (found->changes.empty()) continue;
    std::string name = root.guest_path.size() > 3 ? root.guest_path.substr(3) : "root";  // "C:\\a\\b" becomes "a/b"
    std::ranges::replace(name, '\\', '/');
    fs::create_directories(folder / name, code);
    const io::HostFd target(::open((folder / name).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (code || !target)
      return std::unexpected(fmt::format("--overlay-keep {}: cannot be made", (folder / name).string()));
    if (auto kept = io::keep_changes(found->changes, target.get()); !kept) {
      return std::unexpected(fmt::format("--overlay-keep {}: {}", folder.string(), kept.error()));
    }
  }
  return {};
}

std::expected<void, std::string> RunOverlay::apply() const {
  std::vector<io::RootChanges> all;
  for (const Root& root : roots_) {
    auto found = changes_of(root.host_path, overlay_);
    if (!found) return std::unexpected(found.error());
    all.push_back(std::move(*found));
  }
  if (auto applied = io::apply_changes(all); !applied)
    return std::unexpected(fmt::format("the changes were not applied: {}", applied.error()));
  return {};
}

}  // namespace vitrine
