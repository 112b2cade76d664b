// HostFile: the data of one regular file below a mount: a descriptor of the host, or what an overlay has made of it
// (io/overlay.h). HostNode: the same object's identity and metadata, for as long as it is held, whatever happens to its
// name.
#pragma once

#include <sys/stat.h>

#include <compare>
#include <memory>
#include <span>
#include <utility>

#include "base/status.h"
#include "base/types.h"

namespace vitrine::io {

// Owns a host descriptor.
class HostFd {
 public:
  HostFd() = default;
  explicit HostFd(int fd) : fd_(fd) {}
  HostFd(HostFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  HostFd& operator=(HostFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~HostFd();
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};
using SharedFd = std::shared_ptr<HostFd>;

// Which object: device and inode of the host; an object that only an overlay has: {kOverlayDevice, number}; a directory
// of the mount table only: {0, ordinal}.
struct FileKey {
  u64 device = 0, inode = 0;
  auto operator<=>(const FileKey&) const = default;
};
inline constexpr u64 kOverlayDevice = ~0ull;
[[nodiscard]] inline FileKey key_of(const struct stat& information) {
  return {static_cast<u64>(information.st_dev), static_cast<u64>(information.st_ino)};
}

class FileDelta;

class HostFile {
 public:
  HostFile() = default;
  explicit HostFile(HostFd fd) : fd_(std::move(fd)) {}
  explicit HostFile(std::shared_ptr<FileDelta> delta) : delta_(std::move(delta)) {}
  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(fd_) || delta_ != nullptr; }

  // Bytes done; fewer than asked for only at the end of the file. Errors of the host.
  [[nodiscard]] Result<u64> read(u64 offset, std::span<std::byte> into) const;
  // Bytes done; fewer only when the host has no more room for them; an error when not even one was written.
  [[nodiscard]] Result<u64> write(u64 offset, std::span<const std::byte> from) const;
  [[nodiscard]] Status truncate(u64 bytes) const;
  [[nodiscard]] Status flush() const;

 private:
  HostFd fd_;
  std::shared_ptr<FileDelta> delta_;
};

struct HostNode {
  SharedFd fd;                       // O_PATH; null: only an overlay has it
  std::shared_ptr<FileDelta> delta;  // of a file under an overlay
  FileKey key;
  [[nodiscard]] explicit operator bool() const {
    return fd != nullptr || delta != nullptr || key.device == kOverlayDevice;
  }
  [[nodiscard]] Result<struct stat> look() const;
};

}  // namespace vitrine::io
