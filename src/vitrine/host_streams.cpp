#include "vitrine/host_streams.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/host_error.h"

namespace vitrine {
namespace {

constexpr std::size_t kInputChunk = 64 * 1024;

io::StreamKind kind_of(int descriptor) {
  struct stat information{};
  if (fstat(descriptor, &information) != 0) return io::StreamKind::null;
  if (S_ISREG(information.st_mode)) return io::StreamKind::file;
  if (S_ISCHR(information.st_mode)) return isatty(descriptor) != 0 ? io::StreamKind::terminal : io::StreamKind::null;
  return io::StreamKind::pipe;
}

}  // namespace

io::StreamKinds HostStreams::kinds() const {
  return {kind_of(descriptors_[0]), kind_of(descriptors_[1]), kind_of(descriptors_[2])};
}

Result<std::optional<u64>> HostStreams::take(io::InputSource, std::span<u8> out) {
  if (taken_ == arrived_.size() && !ended_) poll(0);
  const std::size_t count = std::min(out.size(), arrived_.size() - taken_);
  if (count == 0) return ended_ ? std::optional<u64>(0) : std::nullopt;
  std::memcpy(out.data(), arrived_.data() + taken_, count);
  trace_.absorb(out.data(), count);
  taken_ += count;
  if (taken_ == arrived_.size()) {
    arrived_.clear();
    taken_ = 0;
  }
  return std::optional<u64>(count);
}

u64 HostStreams::available(io::InputSource) { return arrived_.size() - taken_; }

void HostStreams::want(io::InputSource, bool wanted) { wanted_ = wanted; }

bool HostStreams::poll(int milliseconds) {
  if (ended_) return true;
  pollfd request{descriptors_[0], POLLIN, 0};
  if (::poll(&request, 1, milliseconds) <= 0) return false;
  const std::size_t old_size = arrived_.size();
  arrived_.resize(old_size + kInputChunk);
  const ssize_t count = ::read(descriptors_[0], arrived_.data() + old_size, kInputChunk);
  arrived_.resize(old_size + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  // A descriptor that cannot be read has nothing more to say.
  if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) ended_ = true;
  return ended_ || count > 0;
}

Status HostStreams::write(Sink sink, std::span<const u8> bytes) {
  const u8 stream = static_cast<u8>(sink);
  trace_.absorb(&stream, 1);
  trace_.absorb(bytes.data(), bytes.size());
  if (!show_output_) return Status::success;
  const int descriptor = descriptors_[sink == Sink::standard_output ? 1 : 2];
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {  // somebody made the descriptor non-blocking: wait for room
        pollfd request{descriptor, POLLOUT, 0};
        (void)::poll(&request, 1, -1);
        continue;
      }
      return io::status_from_errno(errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return Status::success;
}

}  // namespace vitrine
