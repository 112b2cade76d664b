#include "csr/strategy.h"

#include <charconv>

namespace vitrine::csr {
namespace {

constexpr std::string_view kCounted = ",counted";
constexpr std::string_view kChained = "chained:";

std::unexpected<std::string> refuse(std::string_view text) {
  return std::unexpected("'" + std::string(text) +
                         "' is no strategy; say chained:N with N from 1 to 16777216, constant, resizing or bypass");
}

}  // namespace

std::expected<Strategy, std::string> parse_strategy(std::string_view text) {
  Strategy strategy;
  std::string_view name = text;
  if (name.ends_with(kCounted)) {
    strategy.walk = Walk::counted;
    name.remove_suffix(kCounted.size());
  }
  if (name == "constant") {
    strategy.kind = TableKind::constant;
    strategy.buckets = 1;
    return strategy;
  }
  if (name.starts_with(kChained)) {
    const std::string_view digits = name.substr(kChained.size());
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, strategy.buckets);
    if (error != std::errc{} || stop != end || strategy.buckets == 0 || strategy.buckets > kMaximumBuckets)
      return refuse(text);
    return strategy;
  }
  if (strategy.walk == Walk::counted) return refuse(text);  // the others walk nothing worth leaving out
  strategy.buckets = 0;
  if (name == "resizing") {
    strategy.kind = TableKind::resizing;
  } else if (name == "bypass") {
    strategy.kind = TableKind::bypass;
  } else {
    return refuse(text);
  }
  return strategy;
}

std::string format_strategy(const Strategy& strategy) {
  const std::string suffix(strategy.walk == Walk::counted ? kCounted : "");
  switch (strategy.kind) {
    case TableKind::chained:
      return std::string(kChained) + std::to_string(strategy.buckets) + suffix;
    case TableKind::constant:
      return "constant" + suffix;
    case TableKind::resizing:
      return "resizing";
    case TableKind::bypass:
      return "bypass";
  }
  return {};
}

Strategy default_strategy(const sim::Profile& profile) {
  return {TableKind::chained, profile.csrss_thread_buckets, Walk::real};
}

}  // namespace vitrine::csr
