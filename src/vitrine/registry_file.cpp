#include "vitrine/registry_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/types.h"
#include "io/host_file.h"

namespace vitrine {
namespace {

constexpr u64 kLargestFile = 1ull << 30;  // what the largest registry takes as text

std::unexpected<std::string> problem(const std::filesystem::path& path, std::string_view why) {
  return std::unexpected(fmt::format("--registry {}: {}", path.string(), why));
}

}  // namespace

std::expected<std::string, std::string> read_registry_file(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0 && errno == ENOENT) return std::string();
  if (descriptor < 0) return problem(path, std::strerror(errno));
  const io::HostFile file{io::HostFd(descriptor)};
  struct stat information{};
  if (::fstat(descriptor, &information) != 0) return problem(path, std::strerror(errno));
  if (!S_ISREG(information.st_mode)) return problem(path, "that is no file; name one, or a new one");
  if (static_cast<u64>(information.st_size) > kLargestFile)
    return problem(path, "larger than any registry; name another file");
  std::string text(static_cast<std::size_t>(information.st_size), '\0');
  const auto got = file.read(0, std::as_writable_bytes(std::span(text)));
  if (!got) return problem(path, status_name(got.error()));
  text.resize(*got);
  return text;
}

std::expected<void, std::string> write_registry_file(const std::filesystem::path& path, const std::string& text) {
  // A link is kept: the file that it means is replaced.
  std::error_code code;
  std::filesystem::path target = std::filesystem::weakly_canonical(path, code);
  if (code) target = path;
  std::string pattern = target.string() + ".XXXXXX";
  const int descriptor = ::mkostemp(pattern.data(), O_CLOEXEC);
  if (descriptor < 0) return problem(path, fmt::format("cannot be written: {}", std::strerror(errno)));
  const io::HostFile file{io::HostFd(descriptor)};
  struct stat before{};
  const mode_t mode = ::stat(target.c_str(), &before) == 0 ? before.st_mode & 07777 : 0644;
  const auto put = file.write(0, std::as_bytes(std::span(text)));
  const bool written = put && *put == text.size() && ::fchmod(descriptor, mode) == 0 && ::fsync(descriptor) == 0 &&
                       ::rename(pattern.c_str(), target.c_str()) == 0;
  if (written) return {};
  const std::string why = !put                  ? std::string(status_name(put.error()))
                          : *put != text.size() ? "the disk is full"
                                                : std::strerror(errno);
  ::unlink(pattern.c_str());
  return problem(path, fmt::format("cannot be written, the old one is as it was: {}", why));
}

}  // namespace vitrine
