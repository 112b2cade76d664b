#include "io/host_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>

#include "io/host_error.h"
#include "io/host_open.h"

namespace vitrine::io {
namespace {

Failure last_error() { return Failure(status_from_errno(errno)); }

int flags_of(DataAccess access) {
  return access == DataAccess::read ? O_RDONLY : access == DataAccess::write ? O_WRONLY : O_RDWR;
}

}  // namespace

Result<HostFd> open_verified(int folder, const std::string& name, int flags, FileKey expected) {
  // O_NONBLOCK: should a FIFO take the file's place meanwhile, the open does not hang; the check below refuses it.
  HostFd fd(open_beneath(folder, name, flags | O_NONBLOCK | O_NOCTTY));
  if (!fd) return last_error();
  struct stat information{};
  if (::fstat(fd.get(), &information) != 0) return last_error();
  if (key_of(information) != expected) return Failure(Status::object_name_not_found);
  return fd;
}

Result<HostFolder> HostFolder::open(const std::string& host_path, std::shared_ptr<Overlay> overlay) {
  HostFolder folder;
  const int fd = ::open(host_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return last_error();
  folder.fd_ = std::make_shared<HostFd>(fd);
  folder.overlay_ = std::move(overlay);
  const auto information = folder.look();
  if (!information) return Failure(information.error());
  folder.key_ = key_of(*information);
  return folder;
}

HostFolder::Lookup HostFolder::look_up(const std::string& name) const {
  const FolderDelta* delta = overlay_ == nullptr ? nullptr : overlay_->folder(key_);
  if (delta == nullptr) return {};
  const auto found = delta->entries.find(name);
  if (found == delta->entries.end()) return {};
  return {true, found->second ? &*found->second : nullptr};
}

Result<struct stat> HostFolder::host_look(const std::string& name) const {
  struct stat information{};
  if (fd_ == nullptr) return Failure(Status::object_name_not_found);
  if (::fstatat(fd_->get(), name.c_str(), &information, AT_SYMLINK_NOFOLLOW) != 0) {
    // A name that is longer than the host takes cannot be there.
    return errno == ENAMETOOLONG ? Failure(Status::object_name_not_found) : last_error();
  }
  return information;
}

Result<struct stat> HostFolder::look() const {
  if (fd_ == nullptr) return overlay_folder_status(key_);
  struct stat information{};
  if (::fstat(fd_->get(), &information) != 0) return last_error();
  return information;
}

Result<struct stat> HostFolder::entry_status(const OverlayEntry& entry) const {
  if (entry.object == nullptr && entry.is_folder) return overlay_folder_status(entry.key);
  struct stat information{};
  if (entry.object != nullptr && ::fstat(entry.object->get(), &information) != 0) return last_error();
  if (entry.is_folder) return information;
  const auto delta = overlay_->find(entry.key);
  if (delta != nullptr) delta->apply_to(information);
  return information;
}

Result<struct stat> HostFolder::look(const std::string& name) const {
  const Lookup lookup = look_up(name);
  if (lookup.entry != nullptr) return entry_status(*lookup.entry);
  if (lookup.known) return Failure(Status::object_name_not_found);
  auto information = host_look(name);
  if (!information || overlay_ == nullptr || !S_ISREG(information->st_mode)) return information;
  if (const auto delta = overlay_->find(key_of(*information))) delta->apply_to(*information);
  return information;
}

HostFolder::HostName HostFolder::host_name_of(const std::string& name) const {
  const Lookup lookup = look_up(name);
  if (!lookup.known) return {host_folder(), name};
  if (lookup.entry == nullptr || lookup.entry->origin == nullptr) return {};
  return {lookup.entry->origin->get(), lookup.entry->origin_name};
}

Result<std::string> HostFolder::read_link(const std::string& name) const {
  const HostName host = host_name_of(name);
  if (host.folder < 0) return Failure(Status::object_name_not_found);
  std::array<char, PATH_MAX> target{};
  const ssize_t length = ::readlinkat(host.folder, host.name.c_str(), target.data(), target.size());
  if (length <= 0 || static_cast<std::size_t>(length) == target.size()) return Failure(Status::object_name_not_found);
  return std::string(target.data(), static_cast<std::size_t>(length));
}

Result<HostFolder> HostFolder::enter(const std::string& name) const {
  HostFolder next;
  next.overlay_ = overlay_;
  const Lookup lookup = look_up(name);
  if (lookup.entry != nullptr) {
    if (!lookup.entry->is_folder) return Failure(Status::object_path_not_found);
    next.fd_ = lookup.entry->object;
    next.key_ = lookup.entry->key;
  } else {
    if (lookup.known || fd_ == nullptr) return Failure(Status::object_name_not_found);
    const int fd = open_beneath(fd_->get(), name, O_PATH | O_DIRECTORY);
    if (fd < 0) return last_error();
    next.fd_ = std::make_shared<HostFd>(fd);
    if (overlay_ == nullptr) return next;
    const auto information = next.look();
    if (!information) return Failure(information.error());
    next.key_ = key_of(*information);
  }
  overlay_->note_folder(next.key_, key_);
  return next;
}

Result<std::vector<std::string>> HostFolder::host_names() const {
  std::vector<std::string> names;
  if (fd_ == nullptr) return names;
  const int fd = ::openat(fd_->get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return last_error();
  DIR* stream = ::fdopendir(fd);
  if (stream == nullptr) {
    ::close(fd);
    return last_error();
  }
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(stream);
  return names;
}

Result<std::vector<std::string>> HostFolder::list() const {
  auto names = host_names();
  if (!names) return names;
  if (const FolderDelta* delta = overlay_ == nullptr ? nullptr : overlay_->folder(key_)) {
    std::erase_if(*names, [&](const std::string& name) { return delta->entries.contains(name); });
    for (const auto& [name, entry] : delta->entries) {
      if (entry) names->push_back(name);
    }
  }
  std::sort(names->begin(), names->end());
  return names;
}

Result<HostFd> HostFolder::open_host(const std::string& name, int flags, FileKey expected) const {
  if (fd_ == nullptr) return Failure(Status::object_name_not_found);
  return open_verified(fd_->get(), name, flags, expected);
}

Result<HostNode> HostFolder::hold(const std::string& name, FileKey expected) const {
  if (name.empty()) return HostNode{fd_, nullptr, expected};
  const Lookup lookup = look_up(name);
  HostNode node{nullptr, nullptr, expected};
  if (lookup.entry != nullptr) {
    if (lookup.entry->key != expected) return Failure(Status::object_name_not_found);
    node.fd = lookup.entry->object;
  } else {
    if (lookup.known || fd_ == nullptr) return Failure(Status::object_name_not_found);
    const int fd = open_beneath(fd_->get(), name, O_PATH);
    if (fd < 0) return last_error();
    node.fd = std::make_shared<HostFd>(fd);
  }
  struct stat information{};
  if (node.fd != nullptr) {
    if (::fstat(node.fd->get(), &information) != 0) return last_error();
    if (key_of(information) != expected)
      return Failure(Status::object_name_not_found);  // replaced since it was looked up
    if (overlay_ == nullptr || !S_ISREG(information.st_mode)) return node;
    node.delta = overlay_->open(information, node.fd, key_);
  } else {
    node.delta = overlay_->find(expected);  // null: a folder
  }
  return node;
}

Result<std::shared_ptr<FileDelta>> HostFolder::delta_of(const std::string& name, FileKey expected) const {
  auto node = hold(name, expected);
  if (!node) return Failure(node.error());
  if (node->delta == nullptr) return Failure(Status::file_is_a_directory);
  return std::move(node->delta);
}

Result<std::shared_ptr<FileDelta>> HostFolder::readable_delta(const std::string& name, FileKey expected) const {
  auto delta = delta_of(name, expected);
  if (!delta || !(*delta)->needs_base()) return delta;
  // The host still has the file where it was before the run moved it.
  const HostName host = host_name_of(name);
  if (host.folder < 0) return Failure(Status::object_name_not_found);
  auto base = open_verified(host.folder, host.name, O_RDONLY, expected);
  if (!base) return Failure(base.error());
  (*delta)->set_base(std::move(*base));
  return delta;
}

Result<HostFile> HostFolder::open_file(const std::string& name, DataAccess access, FileKey expected) const {
  if (overlay_ == nullptr) {
    auto fd = open_host(name, flags_of(access), expected);
    if (!fd) return Failure(fd.error());
    return HostFile(std::move(*fd));
  }
  auto delta = readable_delta(name, expected);
  if (!delta) return Failure(delta.error());
  if (access != DataAccess::read && expected.device != kOverlayDevice && !look_up(name).known &&
      ::faccessat(fd_->get(), name.c_str(), W_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) != 0 && errno != ENOSYS &&
      errno != EINVAL) {
    return last_error();
  }
  return HostFile(std::move(*delta));
}

}  // namespace vitrine::io
