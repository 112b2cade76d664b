// HostFolder: what changes a name, on the host or in the overlay.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "io/host_error.h"
#include "io/host_open.h"
#include "io/host_folder.h"

namespace vitrine::io {

// The mode that the host would give a new file.
namespace {
u32 with_umask(u32 mode) {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return mode & ~static_cast<u32>(mask);
}
}  // namespace

Status HostFolder::may_change() const {
  if (fd_ == nullptr || ::faccessat(fd_->get(), ".", W_OK | X_OK, AT_EACCESS) == 0) return Status::success;
  return status_from_errno(errno);
}

Result<HostFolder::MadeFile> HostFolder::make_file(const std::string& name, u32 mode) const {
  MadeFile made{};
  if (overlay_ == nullptr) {
    HostFd fd(open_beneath(fd_->get(), name, O_RDWR | O_CREAT | O_EXCL, mode));
    if (!fd || ::fstat(fd.get(), &made.information) != 0) return Failure(status_from_errno(errno));
    made.file = HostFile(std::move(fd));
    return made;
  }
  if (const Status status = may_change(); !is_success(status)) return Failure(status);
  if (look(name)) return Failure(Status::object_name_collision);
  auto delta = overlay_->make_file(key_, with_umask(mode));
  change().entries[name] =
      OverlayEntry{.key = delta->key(), .is_folder = false, .object = {}, .origin = {}, .origin_name = {}};
  delta->apply_to(made.information);
  made.file = HostFile(std::move(delta));
  return made;
}

Status HostFolder::make_folder(const std::string& name) const {
  if (overlay_ == nullptr)
    return ::mkdirat(fd_->get(), name.c_str(), 0777) == 0 ? Status::success : status_from_errno(errno);
  VITRINE_TRY(may_change());
  if (look(name)) return Status::object_name_collision;
  const FileKey key = overlay_->make_folder();
  change().entries[name] = OverlayEntry{.key = key, .is_folder = true, .object = {}, .origin = {}, .origin_name = {}};
  overlay_->note_folder(key, key_);
  overlay_->touch(key);
  return Status::success;
}

// Also of names that no guest can see: the host would keep such a folder.
Result<bool> HostFolder::is_empty() const {
  const auto names = list();
  if (!names) return Failure(names.error());
  return names->empty();
}

// A name of the host becomes one that is gone; one that only the overlay has is forgotten.
Status HostFolder::take_name_away(const std::string& name) const {
  FolderDelta& delta = change();
  if (host_look(name))
    delta.entries[name] = std::nullopt;
  else
    delta.entries.erase(name);
  return Status::success;
}

Status HostFolder::remove(const std::string& name, FileKey expected) const {
  const auto information = look(name);
  if (!information) return information.error();
  if (key_of(*information) != expected) return Status::object_name_not_found;
  const bool folder = S_ISDIR(information->st_mode);
  if (overlay_ == nullptr) {
    return ::unlinkat(fd_->get(), name.c_str(), folder ? AT_REMOVEDIR : 0) == 0 ? Status::success
                                                                                : status_from_errno(errno);
  }
  VITRINE_TRY(may_change());
  if (folder) {
    const auto inside = enter(name);
    if (!inside) return inside.error();
    const auto empty = inside->is_empty();
    if (!empty) return empty.error();
    if (!*empty) return Status::directory_not_empty;
    if (expected.device == kOverlayDevice) overlay_->forget_folder(expected);
    return take_name_away(name);
  }
  auto delta = delta_of(name, expected);
  if (!delta) return delta.error();
  if (information->st_nlink > 1)
    (*delta)->change_links(-1);
  else
    (*delta)->drop();
  return take_name_away(name);
}

Result<OverlayEntry> HostFolder::entry_of(const std::string& name) const {
  const Lookup lookup = look_up(name);
  if (lookup.entry != nullptr) return *lookup.entry;
  const auto information = look(name);
  if (!information) return Failure(information.error());
  auto node = hold(name, key_of(*information));
  if (!node) return Failure(node.error());
  return OverlayEntry{key_of(*information), S_ISDIR(information->st_mode), node->fd, fd_, name};
}

Status HostFolder::move(const std::string& name, const HostFolder& to, const std::string& new_name) const {
  if (overlay_ != to.overlay_) return Status::not_same_device;
  if (overlay_ == nullptr) {
    const auto from_status = look(name), to_status = to.look(new_name);
    // A name that appeared since it was looked up must not be overwritten; another spelling of the same name may.
    const bool same = from_status && to_status && key_of(*from_status) == key_of(*to_status);
    const unsigned flags = same ? 0 : RENAME_NOREPLACE;
    int result = ::renameat2(fd_->get(), name.c_str(), to.fd_->get(), new_name.c_str(), flags);
    if (result != 0 && (errno == EINVAL || errno == ENOSYS)) {
      result = ::renameat(fd_->get(), name.c_str(), to.fd_->get(), new_name.c_str());
    }
    return result == 0 ? Status::success : status_from_errno(errno);
  }
  if (key_ == to.key_ && name == new_name) return Status::success;
  VITRINE_TRY(may_change());
  VITRINE_TRY(to.may_change());
  auto entry = entry_of(name);
  if (!entry) return entry.error();
  if (to.fd_ != nullptr && fd_ != nullptr) {  // the host moves nothing between file systems
    struct stat here{}, there{};
    if (::fstat(fd_->get(), &here) == 0 && ::fstat(to.fd_->get(), &there) == 0 && here.st_dev != there.st_dev) {
      return Status::not_same_device;
    }
  }
  if (entry->is_folder) {
    overlay_->note_folder(entry->key, to.key_);
  } else if (const auto delta = overlay_->find(entry->key)) {
    delta->parent = to.key_;
  }
  VITRINE_TRY(take_name_away(name));
  FolderDelta& target = to.change();
  const auto host = to.host_look(new_name);
  if (host && key_of(*host) == entry->key)
    target.entries.erase(new_name);  // back where it was
  else
    target.entries[new_name] = std::move(*entry);
  return Status::success;
}

Status HostFolder::link(const std::string& name, const HostFolder& to, const std::string& new_name) const {
  if (overlay_ != to.overlay_) return Status::not_same_device;
  if (overlay_ == nullptr) {
    const int result = ::linkat(fd_->get(), name.c_str(), to.fd_->get(), new_name.c_str(), 0);
    return result == 0 ? Status::success : status_from_errno(errno);
  }
  VITRINE_TRY(to.may_change());
  auto entry = entry_of(name);
  if (!entry) return entry.error();
  auto delta = delta_of(name, entry->key);
  if (!delta) return delta.error();
  (*delta)->change_links(1);
  to.change().entries[new_name] = std::move(*entry);
  return Status::success;
}

Status HostFolder::set_mode(const std::string& name, FileKey expected, u32 mode) const {
  if (overlay_ != nullptr) {
    auto delta = delta_of(name, expected);
    if (!delta) return delta.error();
    (*delta)->set_mode(mode);
    return Status::success;
  }
  const auto fd = open_host(name, O_RDONLY, expected);
  if (!fd) return fd.error();
  return ::fchmod(fd->get(), mode) == 0 ? Status::success : status_from_errno(errno);
}

Status HostFolder::set_modified(const std::string& name, FileKey expected, timespec time) const {
  if (overlay_ != nullptr) {
    auto node = hold(name, expected);
    if (!node) return node.error();
    if (node->delta != nullptr) node->delta->set_modified(time);  // a folder's time stays with the run
    return Status::success;
  }
  const auto fd = open_host(name.empty() ? "." : name, O_RDONLY, expected);
  if (!fd) return fd.error();
  const timespec times[2] = {{0, UTIME_OMIT}, time};
  return ::futimens(fd->get(), times) == 0 ? Status::success : status_from_errno(errno);
}

}  // namespace vitrine::io
