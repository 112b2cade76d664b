#include "io/host_file.h"

#include <unistd.h>

#include <cerrno>

#include "io/file_delta.h"
#include "io/host_error.h"
#include "io/overlay.h"

namespace vitrine::io {
namespace {

// Repeats a transfer until all is done; the bytes done, or the error of the first attempt.
template <typename Transfer>
Result<u64> transfer_all(u64 bytes, Transfer&& transfer) {
  u64 done = 0;
  while (done < bytes) {
    const ssize_t moved = transfer(done);
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0 && done == 0) return Failure(status_from_errno(errno));
    if (moved <= 0) break;
    done += static_cast<u64>(moved);
  }
  return done;
}

}  // namespace

HostFd::~HostFd() {
  if (fd_ >= 0) ::close(fd_);
}

Result<u64> HostFile::read(u64 offset, std::span<std::byte> into) const {
  if (delta_ != nullptr) return delta_->read(offset, into);
  return transfer_all(into.size(), [&](u64 at) {
    return ::pread(fd_.get(), into.data() + at, into.size() - at, static_cast<off_t>(offset + at));
  });
}

Result<u64> HostFile::write(u64 offset, std::span<const std::byte> from) const {
  if (delta_ != nullptr) return delta_->write(offset, from);
  return transfer_all(from.size(), [&](u64 at) {
    return ::pwrite(fd_.get(), from.data() + at, from.size() - at, static_cast<off_t>(offset + at));
  });
}

Status HostFile::truncate(u64 bytes) const {
  if (delta_ != nullptr) return delta_->truncate(bytes);
  return ::ftruncate(fd_.get(), static_cast<off_t>(bytes)) == 0 ? Status::success : status_from_errno(errno);
}

Status HostFile::flush() const {
  if (delta_ != nullptr) return Status::success;  // an overlay promises nothing beyond the run
  return ::fdatasync(fd_.get()) == 0 || errno == EINVAL || errno == EROFS ? Status::success : status_from_errno(errno);
}

Result<struct stat> HostNode::look() const {
  struct stat information{};
  if (fd != nullptr) {
    if (::fstat(fd->get(), &information) != 0) return Failure(status_from_errno(errno));
  } else if (delta == nullptr) {
    return overlay_folder_status(key);
  }
  if (delta != nullptr) delta->apply_to(information);
  return information;
}

}  // namespace vitrine::io
