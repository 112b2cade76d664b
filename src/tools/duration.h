// Spans of virtual time on the command line: a number, with or without a fraction, and ns, us, ms or s.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/types.h"

namespace vitrine::tools {

// Nanoseconds. The error says what was expected.
[[nodiscard]] std::expected<u64, std::string> parse_duration(std::string_view text);

}  // namespace vitrine::tools
