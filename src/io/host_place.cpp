#include "io/host_place.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <deque>

#include "ex/unicode.h"
#include "io/host_error.h"
#include "io/name_rules.h"

namespace vitrine::io {
namespace {

constexpr int kMaximumLinks = 40;  // as Linux allows in one look-up
constexpr std::size_t kMaximumSteps = 4096;  // components in one walk, links expanded

Failure last_error() { return Failure(status_from_errno(errno)); }

SharedFd open_directory_at(int parent, const char* name) {
  const int fd = ::openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? nullptr : std::make_shared<HostFd>(fd);
}

}  // namespace

HostFd::~HostFd() {
  if (fd_ >= 0) ::close(fd_);
}

std::u16string guest_name(std::string_view host_name) {
  std::u16string name = ex::from_utf8(host_name);
  if (!is_legal_component(name) || ex::to_utf8(name) != host_name) return {};
  return name;
}

Result<HostPlace> HostPlace::open_folder(const std::string& host_path) {
  HostPlace place;
  // The folder itself is the user's choice, so a link to it is followed.
  const int fd = ::open(host_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return last_error();
  place.directories_.push_back(std::make_shared<HostFd>(fd));
  return place;
}

Result<std::string> HostPlace::find(std::u16string_view component) const {
  if (!is_legal_component(component)) return Failure(Status::object_name_invalid);
  const std::string exact = ex::to_utf8(component);
  struct stat information{};
  if (::fstatat(directory(), exact.c_str(), &information, AT_SYMLINK_NOFOLLOW) == 0) return exact;
  if (errno != ENOENT && errno != ENAMETOOLONG) return last_error();
  const auto names = list();
  if (!names) return Failure(names.error());
  for (const std::string& name : *names) {
    if (ex::equal_ignoring_case(guest_name(name), component)) return name;
  }
  return Failure(Status::object_name_not_found);
}

Result<std::vector<std::string>> HostPlace::list() const {
  const int fd = ::openat(directory(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return last_error();
  DIR* stream = ::fdopendir(fd);
  if (stream == nullptr) {
    ::close(fd);
    return last_error();
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == ".." || guest_name(name).empty()) continue;
    names.emplace_back(name);
  }
  ::closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

struct HostPlace::Walk {
  std::deque<std::string> rest;
  int links_left = kMaximumLinks;
  HostLeaf leaf;  // set at the end
};

// Takes walk.rest component by component; the last one becomes the leaf and, if it is a directory, is entered.
Status HostPlace::walk(Walk& walk) {
  for (std::size_t steps = 0; !walk.rest.empty(); ++steps) {
    if (steps == kMaximumSteps) return Status::object_name_not_found;
    const std::string name = std::move(walk.rest.front());
    walk.rest.pop_front();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (directories_.size() == 1) return Status::object_name_not_found;
      directories_.pop_back();
      continue;
    }
    struct stat information{};
    if (::fstatat(directory(), name.c_str(), &information, AT_SYMLINK_NOFOLLOW) != 0) return status_from_errno(errno);
    if (S_ISLNK(information.st_mode)) {
      if (walk.links_left-- == 0) return Status::object_name_not_found;
      std::array<char, PATH_MAX> target{};
      const ssize_t length = ::readlinkat(directory(), name.c_str(), target.data(), target.size());
      if (length <= 0 || static_cast<std::size_t>(length) == target.size()) return Status::object_name_not_found;
      std::string_view text(target.data(), static_cast<std::size_t>(length));
      if (text.front() == '/') return Status::object_name_not_found;
      std::vector<std::string> parts;
      for (std::size_t end = 0; end != text.npos; text.remove_prefix(end == text.npos ? 0 : end + 1)) {
        end = text.find('/');
        parts.emplace_back(text.substr(0, end));
      }
      walk.rest.insert(walk.rest.begin(), parts.begin(), parts.end());
      continue;
    }
    if (S_ISDIR(information.st_mode)) {
      SharedFd next = open_directory_at(directory(), name.c_str());
      if (next == nullptr) return status_from_errno(errno);
      walk.leaf = {shared_directory(), name, information};
      directories_.push_back(std::move(next));
      continue;
    }
    if (!S_ISREG(information.st_mode)) return Status::object_name_not_found;
    const bool last =
        std::ranges::all_of(walk.rest, [](const std::string& part) { return part.empty() || part == "."; });
    if (!last) return Status::object_path_not_found;
    walk.leaf = {shared_directory(), name, information};
    return Status::success;
  }
  // A walk that ends with ".." or "." stands on a directory that it did not name: describe it from inside.
  struct stat here{};
  if (::fstat(directory(), &here) != 0) return status_from_errno(errno);
  if (walk.leaf.parent == nullptr || here.st_ino != walk.leaf.information.st_ino ||
      here.st_dev != walk.leaf.information.st_dev) {
    walk.leaf = {shared_directory(), "", here};
  }
  return Status::success;
}

Result<HostLeaf> HostPlace::inspect(const std::string& name) const {
  HostPlace copy = *this;
  Walk steps{.rest = {name}, .leaf = {}};
  if (const Status status = copy.walk(steps); !is_success(status)) return Failure(status);
  return std::move(steps.leaf);
}

Status HostPlace::enter(const std::string& name) {
  HostPlace copy = *this;
  Walk steps{.rest = {name}, .leaf = {}};
  VITRINE_TRY(copy.walk(steps));
  if (!S_ISDIR(steps.leaf.information.st_mode)) return Status::object_path_not_found;
  *this = std::move(copy);
  return Status::success;
}

}  // namespace vitrine::io
