#include "io/block_store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "io/host_error.h"

namespace vitrine::io {

Result<BlockStore> BlockStore::create(const std::string& folder) {
  HostFd fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd) {  // a file system without unnamed files
    std::string pattern = folder + "/blocks-XXXXXX";
    fd = HostFd(::mkostemp(pattern.data(), O_CLOEXEC));
    if (!fd) return Failure(status_from_errno(errno));
    ::unlink(pattern.c_str());
  }
  return BlockStore(std::move(fd));
}

u64 BlockStore::take() {
  if (free_.empty()) return next_++;
  const u64 block = free_.back();
  free_.pop_back();
  return block;
}

Status BlockStore::read(u64 block, u64 offset, std::span<std::byte> into) const {
  const auto done = file_.read(block * kBlockBytes + offset, into);
  if (!done) return done.error();
  std::fill(into.begin() + static_cast<std::ptrdiff_t>(*done), into.end(), std::byte{0});
  return Status::success;
}

Status BlockStore::write(u64 block, u64 offset, std::span<const std::byte> from) const {
  const auto done = file_.write(block * kBlockBytes + offset, from);
  if (!done) return done.error();
  return *done == from.size() ? Status::success : Status::disk_full;
}

}  // namespace vitrine::io
