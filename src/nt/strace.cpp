#include "nt/strace.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "ex/unicode.h"

namespace vitrine::nt {
namespace {

constexpr u16 kLongestName = 400;  // bytes of a name that are worth a line

std::string quote_text(Call call, Va address) {
  const auto header = UserPtr<abi::UnicodeString>{address}.read(call.space());
  if (!header) return fmt::format("{:#x}", address);
  const u16 bytes = std::min<u16>(header->length, kLongestName);
  std::u16string text(bytes / 2, u'\0');
  if (!is_success(call.space().read(header->buffer, std::as_writable_bytes(std::span(text))))) {
    return fmt::format("{:#x}", address);
  }
  return fmt::format("\"{}\"", printable(text));
}

std::string quote_attributes(Call call, Va address) {
  const auto attributes = UserPtr<abi::ObjectAttributes>{address}.read(call.space());
  if (!attributes) return fmt::format("{:#x}", address);
  const std::string name = attributes->object_name != 0 ? quote_text(call, attributes->object_name) : "-";
  if (attributes->root_directory == 0) return name;
  return fmt::format("{:#x}:{}", attributes->root_directory, name);
}

template <typename T>
std::string follow(Call call, Va address) {
  const auto value = UserPtr<T>{address}.read(call.space());
  return value ? fmt::format("[{:#x}]", *value) : fmt::format("{:#x}", address);
}

std::string format_argument(Call call, ArgumentKind kind, u64 raw) {
  switch (kind) {
    case ArgumentKind::boolean: return (raw & 0xFF) != 0 ? "true" : "false";
    case ArgumentKind::number32: return fmt::format("{:#x}", static_cast<u32>(raw));
    case ArgumentKind::signed32: return fmt::format("{}", static_cast<i32>(raw));
    case ArgumentKind::signed64: return fmt::format("{}", static_cast<i64>(raw));
    case ArgumentKind::number64: return fmt::format("{:#x}", raw);
    case ArgumentKind::handle:
      if (raw == ~0ull) return "current-process";
      if (raw == ~0ull - 1) return "current-thread";
      return fmt::format("{:#x}", raw);
    default: break;
  }
  if (raw == 0) return "null";
  switch (kind) {
    case ArgumentKind::text_pointer: return quote_text(call, raw);
    case ArgumentKind::attributes_pointer: return quote_attributes(call, raw);
    case ArgumentKind::number_pointer: return follow<u64>(call, raw);
    case ArgumentKind::time_pointer: {
      const auto value = UserPtr<i64>{raw}.read(call.space());
      return value ? fmt::format("[{}]", *value) : fmt::format("{:#x}", raw);
    }
    default: return fmt::format("{:#x}", raw);
  }
}

}  // namespace

std::string printable(std::u16string_view text, std::size_t limit) {
  std::string out;
  for (std::size_t i = 0; i < text.size() && i < limit; ++i) {
    const char16_t unit = text[i];
    const bool high = unit >= 0xD800 && unit < 0xDC00;
    if (unit < 0x20 || unit == 0x7F) {
      out += fmt::format("\\x{:02x}", static_cast<u32>(unit));
    } else if (high && i + 1 < text.size() && text[i + 1] >= 0xDC00 && text[i + 1] < 0xE000) {
      out += ex::to_utf8(text.substr(i++, 2));
    } else {
      out += ex::to_utf8(unit >= 0xD800 && unit < 0xE000 ? std::u16string_view(u"\uFFFD") : text.substr(i, 1));
    }
  }
  if (text.size() > limit) out += "...";
  return out;
}

std::string format_call(Call call, const Service& service, const u64* raw) {
  std::string line = fmt::format("{}(", service.name);
  std::string_view names = service.argument_names;
  for (u32 i = 0; i < service.argument_count; ++i) {
    const std::size_t comma = names.find(',');
    std::string_view name = names.substr(0, comma);
    while (name.starts_with(' ')) name.remove_prefix(1);
    names = comma == std::string_view::npos ? std::string_view() : names.substr(comma + 1);
    if (i > 0) line += ", ";
    line += fmt::format("{}={}", name, format_argument(call, service.kinds[i], raw[i]));
  }
  return line + ")";
}

}  // namespace vitrine::nt
