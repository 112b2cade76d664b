// One line per system service, as `--strace` prints it: arguments decoded by their declared types, names of objects read from
// the guest. Reading is read-only and never fails the service.
#pragma once

#include <string>

#include "nt/service.h"

namespace vitrine::nt {

// "NtOpenFile(handle=0x..., access=0x100020, attributes="\??\C:\x", ...)". `raw` holds the arguments as captured.
[[nodiscard]] std::string format_call(Call call, const Service& service, const u64* raw);

// UTF-16 to UTF-8 with unpaired surrogates replaced, control characters escaped, and at most `limit` characters.
[[nodiscard]] std::string printable(std::u16string_view text, std::size_t limit = 200);

}  // namespace vitrine::nt
