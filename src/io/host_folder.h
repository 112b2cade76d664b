// HostFolder: one folder of the host, held open, and everything that is done to a name in it; plain, or with an overlay
// between. Names are single components, never links that are followed: HostPlace decides where a path may go. With an
// overlay no function here changes the host, and what the host would refuse (a folder without the right to write) is
// refused all the same.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/host_file.h"
#include "io/overlay.h"

namespace vitrine::io {

enum class DataAccess : u8 { read, write, read_write };

class HostFolder {
 public:
  HostFolder() = default;  // none
  // The folder that a user named: links in the path are followed. `overlay` may be null.
  static Result<HostFolder> open(const std::string& host_path, std::shared_ptr<Overlay> overlay);

  [[nodiscard]] explicit operator bool() const { return fd_ != nullptr || key_.device == kOverlayDevice; }
  [[nodiscard]] Result<struct stat> look() const;
  // The name itself, links not followed.
  [[nodiscard]] Result<struct stat> look(const std::string& name) const;
  [[nodiscard]] Result<std::string> read_link(const std::string& name) const;
  [[nodiscard]] Result<HostFolder> enter(const std::string& name) const;
  // All names but "." and "..", sorted by bytes.
  [[nodiscard]] Result<std::vector<std::string>> list() const;

  // The object that `name` (empty: the folder itself) means; object_name_not_found when it is no longer `expected`.
  [[nodiscard]] Result<HostNode> hold(const std::string& name, FileKey expected) const;
  [[nodiscard]] Result<HostFile> open_file(const std::string& name, DataAccess access, FileKey expected) const;
  struct MadeFile {
    HostFile file;
    struct stat information;
  };
  // object_name_collision when the name is taken.
  [[nodiscard]] Result<MadeFile> make_file(const std::string& name, u32 mode) const;
  [[nodiscard]] Status make_folder(const std::string& name) const;
  // A file's name, or an empty folder.
  [[nodiscard]] Status remove(const std::string& name, FileKey expected) const;
  // `new_name` in `to` must be free, or (move) another spelling of the same object's name.
  [[nodiscard]] Status move(const std::string& name, const HostFolder& to, const std::string& new_name) const;
  [[nodiscard]] Status link(const std::string& name, const HostFolder& to, const std::string& new_name) const;
  [[nodiscard]] Status set_mode(const std::string& name, FileKey expected, u32 mode) const;
  [[nodiscard]] Status set_modified(const std::string& name, FileKey expected, timespec time) const;

  // For whoever shows or applies what an overlay holds: the host below it. Names not sorted.
  [[nodiscard]] Result<struct stat> host_look(const std::string& name) const;
  [[nodiscard]] Result<std::vector<std::string>> host_names() const;
  [[nodiscard]] int host_folder() const { return fd_ == nullptr ? -1 : fd_->get(); }
  [[nodiscard]] FileKey key() const { return key_; }
  [[nodiscard]] const FolderDelta* delta() const { return overlay_ == nullptr ? nullptr : overlay_->folder(key_); }
  [[nodiscard]] Overlay* overlay() const { return overlay_.get(); }
  // Where the host has the object that this name means now; a folder of -1: nowhere.
  struct HostName {
    int folder = -1;
    std::string name;
  };
  [[nodiscard]] HostName host_name_of(const std::string& name) const;

 private:
  // What the overlay says of a name: nothing (the host's counts), gone, or an entry.
  struct Lookup {
    bool known = false;
    const OverlayEntry* entry = nullptr;
  };
  [[nodiscard]] Lookup look_up(const std::string& name) const;
  [[nodiscard]] Result<struct stat> entry_status(const OverlayEntry& entry) const;
  [[nodiscard]] Status may_change() const;  // with an overlay: would the host let us?
  // An entry that stands for what `name` is now.
  [[nodiscard]] Result<OverlayEntry> entry_of(const std::string& name) const;
  // With an overlay: the delta of a file, ready to be read.
  [[nodiscard]] Result<std::shared_ptr<FileDelta>> delta_of(const std::string& name, FileKey expected) const;
  [[nodiscard]] Result<std::shared_ptr<FileDelta>> readable_delta(const std::string& name, FileKey expected) const;
  [[nodiscard]] Result<HostFd> open_host(const std::string& name, int flags, FileKey expected) const;
  [[nodiscard]] Result<bool> is_empty() const;
  [[nodiscard]] Status take_name_away(const std::string& name) const;
  [[nodiscard]] FolderDelta& change() const { return overlay_->change_folder(key_, fd_); }

  SharedFd fd_;  // O_PATH; null: none, or only the overlay has it
  FileKey key_;  // set when there is an overlay
  std::shared_ptr<Overlay> overlay_;
};

// Opens a file by name and makes sure that it is the one that was meant. `flags` of open(2).
[[nodiscard]] Result<HostFd> open_verified(int folder, const std::string& name, int flags, FileKey expected);

}  // namespace vitrine::io
