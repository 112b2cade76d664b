// ByteQueue: bytes in flight, first in, first out. Memory grows with what is queued and is given back when it is empty.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "base/check.h"
#include "base/types.h"

namespace vitrine::io {

class ByteQueue {
 public:
  [[nodiscard]] u64 size() const { return bytes_.size() - taken_; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  void append(std::span<const u8> data) { bytes_.insert(bytes_.end(), data.begin(), data.end()); }
  // The first bytes, as many as fit into `out`; they stay queued. Returns how many.
  u64 peek(std::span<u8> out) const {
    const u64 count = std::min<u64>(out.size(), size());
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(taken_), count, out.begin());
    return count;
  }
  // Precondition: count <= size().
  void drop(u64 count) {
    VITRINE_CHECK(count <= size());
    taken_ += count;
    if (taken_ == bytes_.size()) {
      clear();
    } else if (taken_ >= kCompactBytes && taken_ * 2 >= bytes_.size()) {
      bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(taken_));
      taken_ = 0;
    }
  }
  void clear() {
    bytes_ = {};
    taken_ = 0;
  }

 private:
  static constexpr u64 kCompactBytes = 64 << 10;
  std::vector<u8> bytes_;
  u64 taken_ = 0;  // already read, at the front
};

}  // namespace vitrine::io
