// The registry as a text file, for `--registry FILE`. Own format, UTF-8, one thing per line; volatile keys are left
// out:
//
//   vitrine-registry 1
//   key "\Registry\Machine\Software\X" [class "C"] [link]
//   value "Name" 1 41004200                      (type in decimal, data in hexadecimal; "" is the default value)
//
// Inside quotes \\ \" and \u{hex} are escapes. Empty lines and lines that begin with # are ignored.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "cm/registry.h"

namespace vitrine::cm {

struct RegistryTextError {
  u32 line = 0;
  std::string message;
};

[[nodiscard]] std::string to_text(const Registry& registry);
// Adds to what is there. Any bytes are accepted as input; the first error ends it, with what came before it kept.
[[nodiscard]] std::expected<void, RegistryTextError> add_from_text(Registry& registry, std::string_view text);

}  // namespace vitrine::cm
