#include "tools/size.h"

#include <fmt/format.h>

#include <charconv>

namespace vitrine::tools {

std::expected<u64, std::string> parse_size(std::string_view text) {
  const std::string expected = "expected a size such as 512M, 4G or 1T";
  u64 number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::unexpected(expected);
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit.ends_with("iB")) unit.remove_suffix(2);
  else if (unit.ends_with("B")) unit.remove_suffix(1);
  static constexpr std::string_view kUnits = "KMGT";
  unsigned shift = 0;
  if (!unit.empty()) {
    const std::size_t index = unit.size() == 1 ? kUnits.find(unit[0]) : std::string_view::npos;
    if (index == std::string_view::npos) return std::unexpected(expected);
    shift = static_cast<unsigned>(10 * (index + 1));
  }
  if (number > (~0ull >> shift)) return std::unexpected("that is more than 64 bits of bytes");
  if (number == 0) return std::unexpected(expected);
  return number << shift;
}

std::string format_size(u64 bytes) {
  static constexpr std::string_view kNames[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kNames)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kNames[unit]);
}

}  // namespace vitrine::tools
