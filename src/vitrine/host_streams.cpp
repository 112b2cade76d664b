#include "vitrine/host_streams.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/host_error.h"

namespace vitrine {

using Outcome = sim::InputLog::Outcome;

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
  if (taken_ == arrived_.size() && look(0) == Outcome::nothing && source_ == Source::host) {
    log_.record({Outcome::nothing, {}});  // that it was not there yet is something the run learned, too
  }
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

Outcome HostStreams::look(int milliseconds) {
  if (ended_) return Outcome::ended;
  if (source_ == Source::replay) {
    // A log that is used up means that the runs have parted; the end of input lets this one finish and be compared.
    sim::InputLog::Entry entry = log_.next().value_or(sim::InputLog::Entry{Outcome::ended, {}});
    arrived_.insert(arrived_.end(), entry.bytes.begin(), entry.bytes.end());
    ended_ = entry.outcome == Outcome::ended;
    return entry.outcome;
  }
  pollfd request{descriptors_[0], POLLIN, 0};
  if (::poll(&request, 1, milliseconds) <= 0) return Outcome::nothing;
  std::vector<u8> bytes(kInputChunk);
  const ssize_t count = ::read(descriptors_[0], bytes.data(), bytes.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return Outcome::nothing;
  bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  arrived_.insert(arrived_.end(), bytes.begin(), bytes.end());
  ended_ = bytes.empty();  // a descriptor that cannot be read has nothing more to say
  const Outcome outcome = ended_ ? Outcome::ended : Outcome::arrived;
  log_.record({outcome, std::move(bytes)});
  return outcome;
}

std::optional<bool> HostStreams::wait(int milliseconds) {
  switch (look(milliseconds)) {
    case Outcome::nothing: return std::nullopt;
    case Outcome::timer_first: return false;
    case Outcome::arrived:
    case Outcome::ended: return true;
  }
  return std::nullopt;
}

void HostStreams::timer_came_first() {
  if (source_ == Source::replay) {
    (void)log_.next();  // the first run wrote the same here
  } else {
    log_.record({Outcome::timer_first, {}});
  }
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
