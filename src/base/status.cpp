#include "base/status.h"

#include <fmt/format.h>

#include <cctype>

namespace vitrine {
namespace {
std::string_view lower_case_name(Status status) {
  switch (static_cast<u32>(status)) {
#define VITRINE_STATUS(name, value) \
  case value:                       \
    return #name;
#include "base/status.def"
#undef VITRINE_STATUS
    default:
      return {};
  }
}
}  // namespace

std::string status_name(Status status) {
  const std::string_view name = lower_case_name(status);
  if (name.empty()) return fmt::format("0x{:08X}", static_cast<u32>(status));
  std::string result = "STATUS_";
  for (char c : name) result += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return result;
}

}  // namespace vitrine
