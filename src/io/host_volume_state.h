// The inside of HostVolume, shared by its source files: control blocks of open files (NT: FCB and CCB), virtual ids,
// and the stamps of what the guest changed.
#pragma once

#include <map>
#include <optional>

#include "base/intrusive_list.h"
#include "cc/cache_manager.h"
#include "io/byte_range_locks.h"
#include "io/directory_watch.h"
#include "io/file_object.h"
#include "io/host_volume.h"
#include "io/mount_table.h"
#include "mm/file_backing.h"

namespace vitrine::io {

class Fcb;

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
  Fcb* fcb = nullptr;   // null: the volume itself
  std::u16string path;  // guest path, follows renames
  HostFolder parent;    // where the name is; none for synthetic directories
  std::string host_name;
  MountAccess mount_access = MountAccess::read_only;
  bool is_mount_point = false;
  bool counted = false;  // in fcb's share access and handle count
  bool delete_on_close = false;
  bool posix_delete = false;
  HostFile data;  // opened with the access that reads and writes need
  std::optional<GuestDirectory> directory;
  ListLink fcb_link;

  std::vector<DirectorySnapshotEntry> snapshot;
  std::size_t next_entry = 0;
  std::u16string pattern;
  bool listed = false;
  std::optional<DirectoryWatch> watch;  // since the first request to be told of changes
};

// One file, however often it is open (FCB); also what its sections read and write.
class Fcb final : public mm::FileBacking {
 public:
  Fcb(VolumeState& volume, FileKey key, u64 id, bool is_directory)
      : volume(volume), key(key), id(id), is_directory(is_directory) {}

  [[nodiscard]] mm::FileIdentity identity() const override;
  [[nodiscard]] u64 size() const override;
  [[nodiscard]] std::u16string name() const override { return section_name; }
  Status read(u64 offset, std::span<std::byte> into) override;
  Status write(u64 offset, std::span<const std::byte> from) override;
  Status extend(u64 bytes) override;
  void retain() override { ++sections; }
  void release() override;

  VolumeState& volume;
  const FileKey key;
  const u64 id;
  const bool is_directory;
  HostNode node;     // identity and metadata even after a rename; none for synthetic directories
  std::u16string section_name;  // of the open that the last section was made from
  HostFile backing;  // opened for the first section, reopened when one needs to write
  bool backing_writable = false;
  u32 handles = 0;                                // opens that were not cleaned up
  u32 sections = 0;                               // control areas of mm
  std::unique_ptr<cc::SharedCacheMap> cache_map;  // since the first cached transfer, until the last handle is gone
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
  cc::CacheManager* cache = nullptr;  // null: nothing is cached
  IoManager* manager = nullptr;
  std::map<FileKey, std::unique_ptr<Fcb>> fcbs;
  std::map<FileKey, u64> ids;       // in the order in which the guest first met the files
  std::map<u64, Stamp> stamps;      // by id
  std::vector<OpenFile*> watchers;  // opens with a watch, in the order of their first request
  u64 next_id = 5;                  // NT: the first ids of an NTFS volume are its own

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
  // A name in this folder was made, removed or changed. NT: that counts as a write of the folder [MS-FSA 2.1.5].
  void stamp_folder(const HostFolder& folder);
  [[nodiscard]] FileTimes& times_of(Fcb& fcb);

  // Changes of names or files for whoever watches, told together; `kinds`: FILE_NOTIFY_CHANGE_xxx bits.
  struct Change {
    abi::NotifyAction action;
    std::u16string_view path;
  };
  void tell(std::initializer_list<Change> changes, u32 kinds);
  // The requests that wait for news of this open directory (of every open of it) end with `status`.
  void end_watch(OpenFile& open, Status status);
  void end_watches(Fcb& fcb, Status status);
};

[[nodiscard]] OpenFile& open_file(FileObject& file);
// success, or file_closed for an open that was cleaned up, invalid_device_request for the volume itself.
[[nodiscard]] Status require_file(FileObject& file);

[[nodiscard]] Status truncate_file(OpenFile& open, u64 bytes);
// Completes lock requests that can be granted now.
void grant_waiting_locks(Fcb& fcb);

}  // namespace vitrine::io
