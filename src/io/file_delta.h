// FileDelta: what a run has made of one regular file under an overlay: the blocks that were written, the size, the
// mode, the number of names. Bytes that were never written come from the host's file, which is opened for reading and
// never changed; so changing one byte of a large file costs one block. A file that only the overlay has is a delta
// without a base.
//
// Invariants: a block that is held covers its whole range, zeros beyond the size; base_bytes_ only shrinks, so what was
// cut off does not come back when the file grows again.
#pragma once

#include <sys/stat.h>

#include <map>
#include <memory>
#include <optional>

#include "io/block_store.h"
#include "io/host_file.h"

namespace vitrine::io {

class Overlay;

class FileDelta final : public std::enable_shared_from_this<FileDelta> {
 public:
  // `host`: the file as the host has it; null: there is none there. `pin` keeps its inode number from being used again.
  FileDelta(Overlay& owner, FileKey key, const struct stat* host, SharedFd pin);
  ~FileDelta();
  FileDelta(const FileDelta&) = delete;
  FileDelta& operator=(const FileDelta&) = delete;

  [[nodiscard]] FileKey key() const { return key_; }
  [[nodiscard]] u64 size() const { return size_; }
  [[nodiscard]] u64 host_size() const { return host_size_; }
  // Overwrites in what the host says the parts that have changed; for a file without a base, all of it.
  void apply_to(struct stat& information) const;

  // Where unwritten bytes come from; must be set before the first read or write of a file that has a base.
  void set_base(HostFd base) { base_ = HostFile(std::move(base)); }
  [[nodiscard]] bool needs_base() const { return pin_ != nullptr && !base_; }

  // As HostFile's.
  [[nodiscard]] Result<u64> read(u64 offset, std::span<std::byte> into) const;
  [[nodiscard]] Result<u64> write(u64 offset, std::span<const std::byte> from);
  [[nodiscard]] Status truncate(u64 bytes);
  void set_mode(u32 mode);
  void set_modified(timespec time);
  void change_links(int by);
  // Its last name is gone: whoever has it open keeps it, nobody else.
  void drop();

  // For whoever shows or applies the changes.
  [[nodiscard]] bool contents_changed() const {
    return !blocks_.empty() || size_ != host_size_ || base_bytes_ != host_size_;
  }
  [[nodiscard]] std::optional<u32> new_mode() const { return mode_; }
  [[nodiscard]] std::optional<timespec> new_modified() const { return modified_; }

  FileKey parent;  // a folder in which it has a name

 private:
  void changed();
  [[nodiscard]] Status read_base(u64 offset, std::span<std::byte> into) const;
  [[nodiscard]] Status write_block(u64 index, u64 offset, std::span<const std::byte> from);

  Overlay& owner_;
  const FileKey key_;
  SharedFd pin_;
  HostFile base_;
  u64 base_bytes_ = 0;  // how much of the base still counts
  u64 host_size_ = 0, size_ = 0;
  std::map<u64, u64> blocks_;  // index in the file to the store's block
  std::optional<u32> mode_;    // permission bits
  std::optional<timespec> modified_;
  int links_change_ = 0;
  bool dropped_ = false;
};

}  // namespace vitrine::io
