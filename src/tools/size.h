// Sizes on the command line: a number and K, M, G or T (powers of 1024), with or without a B or iB behind it.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/types.h"

namespace vitrine::tools {

// Bytes. The error says what was expected.
[[nodiscard]] std::expected<u64, std::string> parse_size(std::string_view text);
// "1.5 MiB"
[[nodiscard]] std::string format_size(u64 bytes);

}  // namespace vitrine::tools
