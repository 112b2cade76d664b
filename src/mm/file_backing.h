// FileBacking: the file behind a section, as mm sees it. Implemented by io (on top of the file cache), so that what a
// view shows and what a read of the file returns come from one place.
//
// Coherence: a data section's pages, while resident, are the truth of their range. After the owner reads from its store
// it calls MemoryManager::overlay_file_read, after it writes to the store apply_file_write; mm writes dirty pages back
// with `write`. `read` and `write` here are the store itself and must not call back into those two.
#pragma once

#include <compare>
#include <span>
#include <string>

#include "base/status.h"
#include "base/types.h"

namespace vitrine::mm {

// Two handles to the same file have the same identity. Never a host pointer; unique while any section of it lives.
struct FileIdentity {
  u64 volume = 0;
  u64 file = 0;
  auto operator<=>(const FileIdentity&) const = default;
};

// A file object outlives its sections by reference: mm calls `retain` once per control area and `release` when that
// ends.
class FileBacking {
 public:
  virtual ~FileBacking() = default;
  [[nodiscard]] virtual FileIdentity identity() const = 0;
  [[nodiscard]] virtual u64 size() const = 0;  // bytes
  // Absolute NT path of the file ("\\Device\\HarddiskVolume1\\x.dll"); empty when it has none any more.
  [[nodiscard]] virtual std::u16string name() const { return {}; }
  // Fills `into` from `offset`; what lies beyond the end reads as zero. Error: in_page_error or the device's own
  // status.
  virtual Status read(u64 offset, std::span<std::byte> into) = 0;
  virtual Status write(u64 offset, std::span<const std::byte> from) = 0;
  // Grows the file to `bytes` (a data section larger than its file). Error: disk_full, access_denied.
  virtual Status extend(u64 bytes) = 0;
  // Tells that the contents may not be read as they were before: an image section exists or ended.
  virtual void retain() = 0;
  virtual void release() = 0;
};

}  // namespace vitrine::mm
