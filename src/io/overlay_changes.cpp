#include "io/overlay_changes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "io/host_error.h"

namespace vitrine::io {
namespace {

using Kind = OverlayChange::Kind;

constexpr std::size_t kMaximumDepth = 1024;  // of folders; deeper than any path that a guest can name

class Finder {
 public:
  Result<std::vector<OverlayChange>> find(const HostFolder& root) {
    if (const Status status = visit(root, "", false, 0); !is_success(status)) return Failure(status);
    return std::move(changes_);
  }

 private:
  // `is_new`: the folder itself is none of the host's at this place, so all in it is added.
  Status visit(const HostFolder& folder, const std::string& path, bool is_new, std::size_t depth) {
    if (depth == kMaximumDepth || (!is_new && !folder.overlay()->is_touched(folder.key()))) return Status::success;
    const auto merged = folder.list();
    if (!merged) return merged.error();
    std::set<std::string> names(merged->begin(), merged->end());
    if (!is_new && folder.delta() != nullptr) {
      for (const auto& [name, entry] : folder.delta()->entries) names.insert(name);
    }
    for (const std::string& name : names) VITRINE_TRY(visit_name(folder, name, path + name, is_new, depth));
    return Status::success;
  }

  Status visit_name(const HostFolder& folder, const std::string& name, const std::string& path, bool is_new,
                    std::size_t depth) {
    const auto now = folder.look(name);
    const auto before = is_new ? Result<struct stat>(Failure(Status::object_name_not_found)) : folder.host_look(name);
    const bool same = now && before && key_of(*now) == key_of(*before);
    OverlayChange change{.folder = folder, .name = name};
    change.path = path;
    if (before) change.bytes_before = static_cast<u64>(before->st_size);
    const bool replaced = now && before && !same && S_ISREG(now->st_mode) && S_ISREG(before->st_mode);
    if (before && !same && !replaced) {
      change.kind = Kind::removed;
      change.is_folder = S_ISDIR(before->st_mode);
      changes_.push_back(change);
    }
    if (!now) return Status::success;
    change.is_folder = S_ISDIR(now->st_mode);
    change.bytes = static_cast<u64>(now->st_size);
    if (!same) {
      change.kind = replaced ? Kind::changed : Kind::added;
      changes_.push_back(change);
    } else if (S_ISREG(now->st_mode)) {
      const auto delta = folder.overlay()->find(key_of(*now));
      if (delta == nullptr) return Status::success;
      if (delta->contents_changed())
        change.kind = Kind::changed;
      else if (delta->new_mode() || delta->new_modified())
        change.kind = Kind::attributes;
      else
        return Status::success;
      changes_.push_back(change);
    }
    if (!change.is_folder) return Status::success;
    const auto inside = folder.enter(name);
    return inside ? visit(*inside, path + "/", !same, depth + 1) : inside.error();
  }

  std::vector<OverlayChange> changes_;
};

std::unexpected<std::string> problem(std::string_view what, std::string_view path) {
  return std::unexpected(fmt::format("{} {}: {}", what, path, std::strerror(errno)));
}

}  // namespace

Result<std::vector<OverlayChange>> overlay_changes(const HostFolder& root) { return Finder().find(root); }

Status copy_contents(const HostFolder& folder, const std::string& name, FileKey key, int to, CopyTarget target) {
  const auto file = folder.open_file(name, DataAccess::read, key);
  if (!file) return file.error();
  std::vector<std::byte> buffer(1u << 20);
  for (u64 offset = 0;;) {
    const auto got = file->read(offset, buffer);
    if (!got) return got.error();
    if (*got == 0) return ::ftruncate(to, static_cast<off_t>(offset)) == 0 ? Status::success : status_from_errno(errno);
    const auto end = buffer.begin() + static_cast<std::ptrdiff_t>(*got);
    if (target == CopyTarget::has_data ||
        std::any_of(buffer.begin(), end, [](std::byte b) { return b != std::byte{0}; })) {
      for (u64 done = 0; done < *got;) {
        const ssize_t put = ::pwrite(to, buffer.data() + done, *got - done, static_cast<off_t>(offset + done));
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return put < 0 ? status_from_errno(errno) : Status::disk_full;
        done += static_cast<u64>(put);
      }
    }
    offset += *got;
  }
}

std::expected<void, std::string> keep_changes(const std::vector<OverlayChange>& changes, int target) {
  for (const OverlayChange& change : changes) {
    if (change.kind == Kind::removed || change.kind == Kind::attributes) continue;
    if (change.is_folder) {
      if (::mkdirat(target, change.path.c_str(), 0777) != 0 && errno != EEXIST)
        return problem("cannot make", change.path);
      continue;
    }
    // Folders on the way that did not change themselves.
    for (std::size_t slash = change.path.find('/'); slash != std::string::npos;
         slash = change.path.find('/', slash + 1)) {
      if (::mkdirat(target, change.path.substr(0, slash).c_str(), 0777) != 0 && errno != EEXIST)
        return problem("cannot make", change.path);
    }
    const auto information = change.folder.look(change.name);
    if (!information || !S_ISREG(information->st_mode)) continue;  // a link that was moved along
    const HostFd file(
        ::openat(target, change.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (!file) return problem("cannot make", change.path);
    const Status status =
        copy_contents(change.folder, change.name, key_of(*information), file.get(), CopyTarget::empty);
    if (!is_success(status))
      return std::unexpected(fmt::format("cannot write {}: {}", change.path, status_name(status)));
  }
  return {};
}

}  // namespace vitrine::io
