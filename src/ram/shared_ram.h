// GuestRam whose pages are a shared mapping of a memfd instead of private memory: the host can take pages away without
// losing their bytes (MADV_DONTNEED), which cpu/kvm needs. A fork of the host process is no checkpoint of it.
#pragma once

#include "ram/guest_ram.h"

namespace vitrine::ram {

// As GuestRam::create.
[[nodiscard]] std::expected<GuestRam, std::string> create_shared_ram(u64 bytes);

}  // namespace vitrine::ram
