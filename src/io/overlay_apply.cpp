// Applying an overlay: everything new is staged in a folder of its own inside the root, then put in place by renames.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <list>
#include <map>
#include <set>

#include "io/host_error.h"
#include "io/host_open.h"
#include "io/overlay_changes.h"

namespace vitrine::io {
namespace {

using Kind = OverlayChange::Kind;
using Problem = std::expected<void, std::string>;

std::unexpected<std::string> problem(std::string_view what, std::string_view path, std::string_view why) {
  return std::unexpected(fmt::format("cannot {} {}: {}", what, path, why));
}

class Applier {
 public:
  Applier(const RootChanges& what, std::set<FileKey>& all_staged)
      : changes_(what.changes), root_(what.root), all_staged_(all_staged) {}
  Applier(const Applier&) = delete;
  Applier& operator=(const Applier&) = delete;
  ~Applier() {
    if (staging_name_.empty()) return;
    for (std::size_t i = 0; i < changes_.size(); ++i) ::unlinkat(staging_.get(), staged_name(i).c_str(), 0);
    ::unlinkat(root_.host_folder(), staging_name_.c_str(), AT_REMOVEDIR);
  }

  Problem stage_all() {
    if (changes_.empty()) return {};
    if (auto made = make_staging_folder(); !made) return made;
    for (std::size_t i = 0; i < changes_.size(); ++i) {
      if (auto staged = stage(i); !staged) return staged;
    }
    return {};
  }
  // Precondition: everything that moves is staged, wherever it goes.
  Problem remove_all() {
    for (const OverlayChange& change : changes_) {
      if (change.kind != Kind::removed) continue;
      if (auto removed = remove(change.folder.host_folder(), change.name, change.path); !removed) return removed;
    }
    return {};
  }
  Problem place_all() {
    for (std::size_t i = 0; i < changes_.size(); ++i) {
      if (auto placed = place(i); !placed) return placed;
    }
    return {};
  }

 private:
  static std::string staged_name(std::size_t index) { return fmt::format("{}", index); }

  Problem make_staging_folder() {
    for (unsigned attempt = 0; attempt < 100; ++attempt) {
      std::string name = fmt::format(".vitrine-apply-{}-{}", ::getpid(), attempt);
      if (::mkdirat(root_.host_folder(), name.c_str(), 0700) != 0) {
        if (errno == EEXIST) continue;
        return problem("make", name, std::strerror(errno));
      }
      staging_ = HostFd(open_beneath(root_.host_folder(), name, O_PATH | O_DIRECTORY));
      staging_name_ = std::move(name);
      if (staging_) return {};
      break;
    }
    return problem("make", "a folder for new contents", std::strerror(errno));
  }

  // A file that the host has as it should become is linked; any other is written out.
  Problem stage(std::size_t index) {
    const OverlayChange& change = changes_[index];
    if (change.is_folder || change.kind == Kind::removed || change.kind == Kind::attributes) return {};
    const auto information = change.folder.look(change.name);
    if (!information) return problem("read", change.path, status_name(information.error()));
    const FileKey key = key_of(*information);
    all_staged_.insert(key);
    const std::string name = staged_name(index);
    if (const auto other = staged_.find(key); other != staged_.end()) {  // one more name of the same file
      const int linked = ::linkat(staging_.get(), staged_name(other->second).c_str(), staging_.get(), name.c_str(), 0);
      return linked == 0 ? Problem{} : problem("link", change.path, std::strerror(errno));
    }
    const auto delta = change.folder.overlay()->find(key);
    const HostFolder::HostName host = change.folder.host_name_of(change.name);
    if (host.folder >= 0 && (delta == nullptr || !delta->contents_changed())) {
      struct stat now{};
      const bool there =
          ::fstatat(host.folder, host.name.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 && key_of(now) == key;
      if (there && ::linkat(host.folder, host.name.c_str(), staging_.get(), name.c_str(), 0) == 0) {
        staged_[key] = index;
        return {};
      }
    }
    const HostFd file(
        open_beneath(staging_.get(), name, O_WRONLY | O_CREAT | O_EXCL, 0600));
    if (!file) return problem("write", change.path, std::strerror(errno));
    const Status status = copy_contents(change.folder, change.name, key, file.get(), CopyTarget::empty);
    if (!is_success(status)) return problem("write", change.path, status_name(status));
    if (::fchmod(file.get(), information->st_mode & 07777) != 0)
      return problem("write", change.path, std::strerror(errno));
    if (delta != nullptr && delta->new_modified()) {
      const timespec times[2] = {{0, UTIME_OMIT}, *delta->new_modified()};
      (void)::futimens(file.get(), times);
    }
    staged_[key] = index;
    return {};
  }

  // Takes away what the program took away: never a name that appeared on the host meanwhile.
  Problem remove(int folder, const std::string& name, const std::string& path) {
    struct stat host{};
    if (::fstatat(folder, name.c_str(), &host, AT_SYMLINK_NOFOLLOW) != 0) return {};
    if (!S_ISDIR(host.st_mode)) {
      return ::unlinkat(folder, name.c_str(), 0) == 0 ? Problem{} : problem("delete", path, std::strerror(errno));
    }
    const HostFd fd(open_beneath(folder, name, O_PATH | O_DIRECTORY));
    const auto inside =
        fd ? HostFolder::open(fmt::format("/proc/self/fd/{}", fd.get()), nullptr) : Failure(status_from_errno(errno));
    const auto names = inside ? inside->list() : Failure(inside.error());
    if (!names) return problem("delete", path, status_name(names.error()));
    const FolderDelta* delta = root_.overlay()->folder(key_of(host));
    for (const std::string& child : *names) {
      const auto information = inside->look(child);
      const bool gone = delta != nullptr && delta->entries.contains(child);
      const bool moved = information && (S_ISDIR(information->st_mode) || all_staged_.contains(key_of(*information)));
      if (!gone && !moved) continue;
      if (auto removed = remove(fd.get(), child, path + "/" + child); !removed) return removed;
    }
    return ::unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0 ? Problem{}
                                                               : problem("delete", path, std::strerror(errno));
  }

  // The host's own folder for a change: it may have been made a moment ago.
  Result<HostFd> host_parent(const OverlayChange& change) const {
    const std::size_t slash = change.path.rfind('/');
    HostFd at(::openat(root_.host_folder(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    std::string_view rest =
        slash == std::string::npos ? std::string_view() : std::string_view(change.path).substr(0, slash);
    while (at && !rest.empty()) {
      const std::size_t end = rest.find('/');
      at = HostFd(
          open_beneath(at.get(), std::string(rest.substr(0, end)), O_PATH | O_DIRECTORY));
      rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    }
    return at ? Result<HostFd>(std::move(at)) : Failure(status_from_errno(errno));
  }

  Problem place(std::size_t index) {
    const OverlayChange& change = changes_[index];
    if (change.kind == Kind::removed) return {};
    const auto parent = host_parent(change);
    if (!parent) return problem("reach", change.path, status_name(parent.error()));
    const int folder = parent->get();
    const char* name = change.name.c_str();
    if (change.is_folder) {
      return ::mkdirat(folder, name, 0777) == 0 || errno == EEXIST ? Problem{}
                                                                   : problem("make", change.path, std::strerror(errno));
    }
    if (change.kind == Kind::attributes) return place_attributes(change, folder);
    struct stat there{};
    const auto information = change.folder.look(change.name);
    const bool several_names = ::fstatat(folder, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && there.st_nlink > 1 &&
                               information && key_of(there) == key_of(*information);
    if (several_names) {  // a rename would part them
      auto file = open_verified(folder, change.name, O_WRONLY, key_of(there));
      const Status status =
          file ? copy_contents(change.folder, change.name, key_of(there), file->get(), CopyTarget::has_data)
               : file.error();
      return is_success(status) ? Problem{} : problem("write", change.path, status_name(status));
    }
    return ::renameat(staging_.get(), staged_name(index).c_str(), folder, name) == 0
               ? Problem{}
               : problem("put", change.path, std::strerror(errno));
  }

  static Problem place_attributes(const OverlayChange& change, int folder) {
    const auto information = change.folder.look(change.name);
    const auto delta = information ? change.folder.overlay()->find(key_of(*information)) : nullptr;
    if (delta == nullptr) return {};
    const auto file = open_verified(folder, change.name, O_RDONLY, delta->key());
    if (!file) return problem("change", change.path, status_name(file.error()));
    if (delta->new_mode() && ::fchmod(file->get(), *delta->new_mode()) != 0)
      return problem("change", change.path, std::strerror(errno));
    if (!delta->new_modified()) return {};
    const timespec times[2] = {{0, UTIME_OMIT}, *delta->new_modified()};
    return ::futimens(file->get(), times) == 0 ? Problem{} : problem("change", change.path, std::strerror(errno));
  }

  const std::vector<OverlayChange>& changes_;
  const HostFolder& root_;
  HostFd staging_;
  std::string staging_name_;
  std::map<FileKey, std::size_t> staged_;  // the first name of each
  std::set<FileKey>& all_staged_;          // of all roots
};

}  // namespace

std::expected<void, std::string> apply_changes(const std::vector<RootChanges>& roots) {
  std::set<FileKey> all_staged;
  std::list<Applier> appliers;
  for (const RootChanges& root : roots) appliers.emplace_back(root, all_staged);
  for (auto step : {&Applier::stage_all, &Applier::remove_all, &Applier::place_all}) {
    for (Applier& applier : appliers) {
      if (auto done = (applier.*step)(); !done) return done;
    }
  }
  return {};
}

}  // namespace vitrine::io
