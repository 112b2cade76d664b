#include "io/host_open.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace vitrine::io {
namespace {

// Not there, or forbidden by a filter of a container that does not know it.
bool is_missing(int error) { return error == ENOSYS || error == EPERM || error == E2BIG; }

int open_by_name_alone(int folder, const std::string& name, int flags, unsigned mode) {
  if (name.empty() || name == ".." || name.find('/') != name.npos) {
    errno = EXDEV;
    return -1;
  }
  return ::openat(folder, name.c_str(), flags, mode);
}

}  // namespace

int open_beneath(int folder, const std::string& name, int flags, unsigned mode) {
  flags |= O_NOFOLLOW | O_CLOEXEC;
  open_how how{};
  how.flags = static_cast<unsigned>(flags);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;  // openat2 refuses a mode that means nothing
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const long fd = ::syscall(SYS_openat2, folder, name.c_str(), &how, sizeof(how));
  if (fd >= 0 || !is_missing(errno)) return static_cast<int>(fd);
  return open_by_name_alone(folder, name, flags, mode);
}

}  // namespace vitrine::io
