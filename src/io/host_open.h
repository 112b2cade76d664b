// open_beneath: the one way to open something in a folder of the host. `name` is a single component: the kernel itself (openat2 with
// RESOLVE_BENEATH) or, where it has no openat2, a check of the name sees to it that the result lies in the folder and that no link is
// followed.
#pragma once

#include <string>

namespace vitrine::io {

// As openat: a descriptor, or -1 with errno. ELOOP or ENOTDIR: a link is in the way; EXDEV: the name leads out of the folder.
// Links themselves open with O_PATH | O_NOFOLLOW. O_NOFOLLOW and O_CLOEXEC are added.
[[nodiscard]] int open_beneath(int folder, const std::string& name, int flags, unsigned mode = 0);

}  // namespace vitrine::io
