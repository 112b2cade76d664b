// The inside of HostVolume, shared by its source files: control blocks of open files (NT: FCB and CCB), virtual ids,
// and the stamps of what the guest changed.
#pragma once

#include <map>
#include <optional>

#include "base/intrusive_list.h"
#include "io/byte_range_locks.h"
#include "io/file_object.h"
#include "io/host_volume.h"
#include "io/mount_table.h"
#include "mm/file_backing.h"

namespace vitrine::io {

class Fcb;

// Which host file: device and inode; a directory of the mount table only: {0, ordinal}.
struct FileKey {
  u64 device = 0, inode = 0;
  auto operator<=>(const FileKey&) const = default;
};
[[nodiscard]] FileKey key_of(const Located& located);

// What the guest sees of a file, times included.
struct FileTimes {
  i64 creation = 0, access = 0, write = 0, change = 0;
};
struct Metadata {
  HostMetadata host;
  FileTimes times;
  u64 allocation = 0;  // bytes
  u32 attributes = 0;
};

// NT: IoCheckShareAccess's counts [WDK SHARE_ACCESS].
struct ShareAccess {
  u32 open = 0, readers = 0, writers = 0, deleters = 0, shared_read = 0, shared_write = 0, shared_delete = 0;
  [[nodiscard]] Status check(u32 access, u32 share) const;
  void add(u32 access, u32 share) { change(access, share, 1); }
  void remove(u32 access, u32 share) { change(access, share, -1); }

 private:
  void change(u32 access, u32 share, int by);
};

struct DirectorySnapshotEntry {
  std::u16string name;
  Metadata metadata;
};

// One open (CCB).
struct OpenFile final : FileContext {
  FileObject* file = nullptr;
  Fcb* fcb = nullptr;             // null: the volume itself
  std::u16string path;            // guest path, follows renames
  SharedFd parent;                // where the name is; null for roots and synthetic directories
  std::string host_name;
  MountAccess mount_access = MountAccess::read_only;
  bool is_mount_point = false;
  bool counted = false;           // in fcb's share access and handle count
  bool delete_on_close = false;
  bool posix_delete = false;
  HostFd data;                    // host descriptor with the access that reads and writes need
  std::optional<GuestDirectory> directory;
  ListLink fcb_link;

  std::vector<DirectorySnapshotEntry> snapshot;
  std::size_t next_entry = 0;
  std::u16string pattern;
  bool listed = false;
};

// One file, however often it is open (FCB); also what its sections read and write.
class Fcb final : public mm::FileBacking {
 public:
  Fcb(VolumeState& volume, FileKey key, u64 id, bool is_directory)
      : volume(volume), key(key), id(id), is_directory(is_directory) {}

  [[nodiscard]] mm::FileIdentity identity() const override;
  [[nodiscard]] u64 size() const override;
  Status read(u64 offset, std::span<std::byte> into) override;
  Status write(u64 offset, std::span<const std::byte> from) override;
  Status extend(u64 bytes) override;
  void retain() override { ++sections; }
  void release() override;

  VolumeState& volume;
  const FileKey key;
  const u64 id;
  const bool is_directory;
  HostFd node;  // O_PATH: identity and metadata even after a rename; invalid for synthetic directories
  HostFd backing;                 // opened for the first section, reopened when one needs to write
  bool backing_writable = false;
  u32 handles = 0;                // opens that were not cleaned up
  u32 sections = 0;               // control areas of mm
  bool delete_pending = false;
  ShareAccess share;
  ByteRangeLocks locks;
  IrpQueue lock_waiters;
  IntrusiveList<OpenFile, &OpenFile::fcb_link> opens;
};

struct Stamp {
  std::optional<FileTimes> times;  // what the guest's own changes made of them
  std::optional<u32> attributes;   // those that the host cannot store (hidden ...), for this machine's life
};

struct VolumeState {
  MountTable mounts;
  VolumeOptions options;
  HostSnapshot* snapshot = nullptr;
  mm::MemoryManager* memory = nullptr;
  IoManager* manager = nullptr;
  std::map<FileKey, std::unique_ptr<Fcb>> fcbs;
  std::map<FileKey, u64> ids;      // in the order in which the guest first met the files
  std::map<u64, Stamp> stamps;     // by id
  u64 next_id = 5;                 // NT: the first ids of an NTFS volume are its own

  // Finds or makes the control block. Errors of the host.
  Result<Fcb*> acquire_fcb(const Located& located);
  // Frees it when nothing refers to it any more.
  void drop_if_unused(Fcb& fcb);
  [[nodiscard]] u64 id_of(FileKey key);
  // The file is gone: its inode number may come back as another file.
  void forget(FileKey key);

  [[nodiscard]] Metadata describe(FileKey key, const struct stat& information);
  [[nodiscard]] Metadata describe(const Located& located);
  [[nodiscard]] Result<Metadata> describe(Fcb& fcb);
  // The guest changed contents (times.write, change) or only attributes (change).
  void stamp_write(Fcb& fcb);
  void stamp_change(Fcb& fcb);
  [[nodiscard]] FileTimes& times_of(Fcb& fcb);
};

[[nodiscard]] OpenFile& open_file(FileObject& file);
// success, or file_closed for an open that was cleaned up, invalid_device_request for the volume itself.
[[nodiscard]] Status require_file(FileObject& file);

// Opens the host file named by an open; verifies that it is still the same file. `flags` of open(2).
[[nodiscard]] Result<HostFd> open_host_file(const SharedFd& parent, const std::string& name, int flags,
                                            FileKey expected);
// An open descriptor to change owner data (mode, times) with; the caller closes it.
[[nodiscard]] Result<HostFd> open_for_change(const OpenFile& open);
[[nodiscard]] Status truncate_file(OpenFile& open, u64 bytes);
// Completes lock requests that can be granted now.
void grant_waiting_locks(Fcb& fcb);

}  // namespace vitrine::io
