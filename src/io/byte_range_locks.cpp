#include "io/byte_range_locks.h"

#include <algorithm>

namespace vitrine::io {
namespace {

// The last byte, so that a range up to the very end of 64 bits does not wrap.
u64 last_byte(u64 offset, u64 length) { return offset + (length - 1); }

// NT: an empty range conflicts with one that has bytes on both sides of its position [MS-FSA 2.1.4.10].
bool overlaps(u64 a, u64 a_length, u64 b, u64 b_length) {
  if (a_length == 0 && b_length == 0) return false;
  if (a_length == 0) return b < a && a <= last_byte(b, b_length);
  if (b_length == 0) return a < b && b <= last_byte(a, a_length);
  return a <= last_byte(b, b_length) && b <= last_byte(a, a_length);
}

}  // namespace

bool ByteRangeLocks::is_free(const Range& range) const {
  return std::ranges::none_of(ranges_, [&](const Range& held) {
    if (!overlaps(held.offset, held.length, range.offset, range.length)) return false;
    // NT: an exclusive lock conflicts with everything, even its own owner's earlier lock.
    return held.kind == LockKind::exclusive || range.kind == LockKind::exclusive;
  });
}

Status ByteRangeLocks::lock(const Range& range) {
  if (range.length != 0 && range.offset + (range.length - 1) < range.offset) return Status::invalid_lock_range;
  if (!is_free(range)) return Status::lock_not_granted;
  if (ranges_.size() >= kMaximumRanges) return Status::insufficient_resources;
  ranges_.push_back(range);
  return Status::success;
}

Status ByteRangeLocks::unlock(const FileObject& owner, u64 offset, u64 length, u32 key) {
  const auto found = std::ranges::find_if(ranges_, [&](const Range& held) {
    return held.owner == &owner && held.offset == offset && held.length == length && held.key == key;
  });
  if (found == ranges_.end()) return Status::range_not_locked;
  ranges_.erase(found);
  return Status::success;
}

void ByteRangeLocks::unlock_all(const FileObject& owner) {
  std::erase_if(ranges_, [&](const Range& held) { return held.owner == &owner; });
}

Status ByteRangeLocks::check(TransferKind kind, u64 offset, u64 length, const FileObject& owner, u32 key) const {
  if (length == 0) return Status::success;
  for (const Range& held : ranges_) {
    if (!overlaps(held.offset, held.length, offset, length)) continue;
    const bool own = held.owner == &owner && held.key == key;
    if (held.kind == LockKind::exclusive ? !own : kind == TransferKind::write) return Status::file_lock_conflict;
  }
  return Status::success;
}

}  // namespace vitrine::io
