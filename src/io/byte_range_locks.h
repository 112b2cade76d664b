// ByteRangeLocks: the locks on one file [MS-FSA 2.1.5.8]. A range belongs to an open file and a key. Exclusive ranges
// conflict with everything of others, shared ones with writes and exclusive locks (also of their own owner's, for
// writes).
#pragma once

#include <optional>
#include <vector>

#include "base/status.h"
#include "base/types.h"

namespace vitrine::io {

struct FileObject;

enum class LockKind : u8 { shared, exclusive };
enum class TransferKind : u8 { read, write };

class ByteRangeLocks {
 public:
  struct Range {
    u64 offset, length;  // bytes; a range of length 0 conflicts with what lies strictly around it
    const FileObject* owner;
    u32 key;
    LockKind kind;
  };
  // A process may not pile up ranges without bound.
  static constexpr std::size_t kMaximumRanges = 1u << 16;

  // success, lock_not_granted, invalid_lock_range (wraps around), insufficient_resources.
  Status lock(const Range& range);
  // Whether it would be granted now.
  [[nodiscard]] bool is_free(const Range& range) const;
  // The exact range must be held: range_not_locked.
  Status unlock(const FileObject& owner, u64 offset, u64 length, u32 key);
  void unlock_all(const FileObject& owner);
  // success or file_lock_conflict, for a transfer by `owner` with `key`.
  [[nodiscard]] Status check(TransferKind kind, u64 offset, u64 length, const FileObject& owner, u32 key) const;
  [[nodiscard]] bool empty() const { return ranges_.empty(); }

 private:
  std::vector<Range> ranges_;  // in order of granting
};

}  // namespace vitrine::io
