#include "io/overlay.h"

namespace vitrine::io {

Result<std::shared_ptr<Overlay>> Overlay::create(const std::string& folder) {
  auto store = BlockStore::create(folder);
  if (!store) return Failure(store.error());
  return std::shared_ptr<Overlay>(new Overlay(std::move(*store)));
}

std::shared_ptr<FileDelta> Overlay::find(FileKey key) const {
  const auto found = open_.find(key);
  return found == open_.end() ? nullptr : found->second.lock();
}

std::shared_ptr<FileDelta> Overlay::open(const struct stat& host, SharedFd pin, FileKey parent) {
  const FileKey key = key_of(host);
  if (auto found = find(key)) return found;
  auto delta = std::make_shared<FileDelta>(*this, key, &host, std::move(pin));
  delta->parent = parent;
  open_[key] = delta;
  return delta;
}

std::shared_ptr<FileDelta> Overlay::make_file(FileKey parent, u32 mode) {
  const FileKey key{kOverlayDevice, next_number_++};
  auto delta = std::make_shared<FileDelta>(*this, key, nullptr, nullptr);
  delta->parent = parent;
  open_[key] = delta;
  delta->set_mode(mode);
  delta->change_links(1);
  return delta;
}

FileKey Overlay::make_folder() {
  const FileKey key{kOverlayDevice, next_number_++};
  folders_[key];
  return key;
}

void Overlay::keep(std::shared_ptr<FileDelta> delta) {
  touch(delta->parent);
  kept_[delta->key()] = std::move(delta);
}

const FolderDelta* Overlay::folder(FileKey key) const {
  const auto found = folders_.find(key);
  return found == folders_.end() ? nullptr : &found->second;
}

FolderDelta& Overlay::change_folder(FileKey key, const SharedFd& host) {
  FolderDelta& delta = folders_[key];
  delta.pin = host;
  touch(key);
  return delta;
}

void Overlay::touch(FileKey folder) {
  // One that is marked has all above it marked; a cycle cannot be, but a folder that the host moved meanwhile may lead
  // anywhere.
  while (touched_.insert(folder).second) {
    const auto above = parents_.find(folder);
    if (above == parents_.end()) return;
    folder = above->second;
  }
}

struct stat overlay_folder_status(FileKey key) {
  struct stat information{};
  information.st_dev = key.device;
  information.st_ino = key.inode;
  information.st_mode = S_IFDIR | 0755;
  information.st_nlink = 1;
  return information;
}

}  // namespace vitrine::io
