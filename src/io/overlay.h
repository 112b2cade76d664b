// Overlay: all that a run changes below mounted folders, kept apart from the host. It maps the identity of a host
// object to what has become of it: for a folder the names that differ (new, moved here, or gone), for a file a
// FileDelta. Identities survive renames, so a moved folder takes the changes below it along, and hard links stay one
// file.
//
// HostFolder looks every name up here first. Data lies in a BlockStore, so nothing is left when the process ends.
// Objects that an entry refers to are pinned by a descriptor: their inode numbers cannot come back as something else.
#pragma once

#include <sys/stat.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "io/block_store.h"
#include "io/file_delta.h"
#include "io/host_file.h"

namespace vitrine::io {

// A name that differs from the host's folder.
struct OverlayEntry {
  FileKey key;
  bool is_folder = false;
  // An object of the host that has this name now: held, and where the host itself has it. All null: only the overlay
  // has it.
  SharedFd object, origin;
  std::string origin_name;
};

struct FolderDelta {
  SharedFd pin;                                                // the host's folder; null: only the overlay has it
  std::map<std::string, std::optional<OverlayEntry>> entries;  // nullopt: the host's name is gone
};

class Overlay {
 public:
  // Keeps its data in `folder` of the host.
  static Result<std::shared_ptr<Overlay>> create(const std::string& folder);

  [[nodiscard]] BlockStore& store() { return store_; }

  // The delta of a file of the host, made if there is none yet; it lives as long as it is used, or for the run once it
  // was changed.
  [[nodiscard]] std::shared_ptr<FileDelta> open(const struct stat& host, SharedFd pin, FileKey parent);
  // One that is in use or was changed; null: neither.
  [[nodiscard]] std::shared_ptr<FileDelta> find(FileKey key) const;
  [[nodiscard]] std::shared_ptr<FileDelta> make_file(FileKey parent, u32 mode);
  [[nodiscard]] FileKey make_folder();
  // Called by a delta: it changed, lost its last name, ended.
  void keep(std::shared_ptr<FileDelta> delta);
  void release(FileKey key) { kept_.erase(key); }
  void file_is_gone(FileKey key) { open_.erase(key); }

  // Null: nothing in it has changed.
  [[nodiscard]] const FolderDelta* folder(FileKey key) const;
  [[nodiscard]] FolderDelta& change_folder(FileKey key, const SharedFd& host);
  void forget_folder(FileKey key) { folders_.erase(key); }
  // `child` was found in `parent`: whoever looks for changes must pass through there.
  void note_folder(FileKey child, FileKey parent) { parents_[child] = parent; }
  // Something in this folder or below it may have changed.
  [[nodiscard]] bool is_touched(FileKey folder) const { return touched_.contains(folder); }
  void touch(FileKey folder);

 private:
  explicit Overlay(BlockStore store) : store_(std::move(store)) {}
  BlockStore store_;
  u64 next_number_ = 1;
  std::map<FileKey, FolderDelta> folders_;
  std::map<FileKey, std::weak_ptr<FileDelta>> open_;
  std::map<FileKey, std::shared_ptr<FileDelta>> kept_;  // changed ones that have a name
  std::map<FileKey, FileKey> parents_;
  std::set<FileKey> touched_;
};

// What fstat would say of a folder that only an overlay has.
[[nodiscard]] struct stat overlay_folder_status(FileKey key);

}  // namespace vitrine::io
