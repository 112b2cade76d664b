#include "tools/duration.h"

#include <charconv>
#include <utility>

namespace vitrine::tools {

std::expected<u64, std::string> parse_duration(std::string_view text) {
  constexpr std::pair<std::string_view, double> kUnits[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
  constexpr double kLongest = 1e18;  // nanoseconds: thirty years
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const auto& [name, nanoseconds] : kUnits) {
    const double value = number * nanoseconds;
    if (error == std::errc() && unit == name && value >= 0 && value <= kLongest) return static_cast<u64>(value);
  }
  return std::unexpected("expected a time such as 20ms or 1.5s");
}

}  // namespace vitrine::tools
