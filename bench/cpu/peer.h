// Peer: Unicorn, the emulator that the distribution packages, for comparison. Only the benchmark knows it.
#pragma once

#include <memory>
#include <span>

#include "base/types.h"

namespace vitrine::bench {

class Peer {
 public:
  virtual ~Peer() = default;
  virtual void clear() = 0;
  virtual u64 run(u64 kernel, u64 count) = 0;
  // Null when built without it.
  [[nodiscard]] static std::unique_ptr<Peer> create(std::span<const u8> image);
};

}  // namespace vitrine::bench
