#include <fmt/format.h>

#include <cstdio>

#include "tools/commands.h"

namespace vitrine::tools {

int fail(int exit_code, std::string_view message) {
  fmt::print(stderr, "vitrine: {}\n", message);
  return exit_code;
}

}  // namespace vitrine::tools
