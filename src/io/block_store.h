// BlockStore: blocks of 16 KiB in one host file without a name, so that nothing stays behind however the process ends.
// Blocks that were given back are used again; contents of a new block are undefined.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "io/host_file.h"

namespace vitrine::io {

class BlockStore {
 public:
  static constexpr u64 kBlockBytes = 16ull << 10;

  // In a folder of the host. Errors of the host.
  static Result<BlockStore> create(const std::string& folder);

  [[nodiscard]] u64 take();
  void give_back(u64 block) { free_.push_back(block); }
  // A part of one block. write: disk_full and other errors of the host.
  [[nodiscard]] Status read(u64 block, u64 offset, std::span<std::byte> into) const;
  [[nodiscard]] Status write(u64 block, u64 offset, std::span<const std::byte> from) const;

 private:
  explicit BlockStore(HostFd fd) : file_(std::move(fd)) {}
  HostFile file_;
  u64 next_ = 0;
  std::vector<u64> free_;
};

}  // namespace vitrine::io
