#include "cm/registry_text.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "ex/unicode.h"

namespace vitrine::cm {
namespace {

constexpr std::string_view kHeader = "vitrine-registry 1";
constexpr u32 kMaximumLineBytes = 2 * kMaximumValueBytes + 4 * kMaximumValueNameUnits + 64;

void append_quoted(std::string& text, std::u16string_view value) {
  text += '"';
  // Runs of plain units go through UTF-8; quotes, controls and lone surrogates as escapes.
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char16_t unit = value[i];
    const bool high = unit >= 0xD800 && unit < 0xDC00;
    const bool pair = high && i + 1 < value.size() && value[i + 1] >= 0xDC00 && value[i + 1] < 0xE000;
    if (unit == u'"' || unit == u'\\') {
      text += '\\';
      text += static_cast<char>(unit);
    } else if (pair) {
      text += ex::to_utf8(value.substr(i++, 2));
    } else if (unit < 0x20 || unit == 0x7F || (unit >= 0xD800 && unit < 0xE000)) {
      text += fmt::format("\\u{{{:x}}}", static_cast<u32>(unit));
    } else {
      text += ex::to_utf8(value.substr(i, 1));
    }
  }
  text += '"';
}

void append_key(std::string& text, const Registry& registry, const KeyNode& node) {
  text += "key ";
  append_quoted(text, registry.path(node));
  if (!node.key_class.empty()) {
    text += " class ";
    append_quoted(text, node.key_class);
  }
  if (node.is_link) text += " link";
  text += '\n';
  for (const KeyValue& value : node.values) {
    text += "value ";
    append_quoted(text, value.name);
    text += fmt::format(" {} ", value.type);
    for (const std::byte byte : value.data) text += fmt::format("{:02x}", static_cast<u32>(byte));
    text += '\n';
  }
}

// Reads one line from left to right. Every function returns nothing on a syntax error.
class LineReader {
 public:
  explicit LineReader(std::string_view line) : rest_(line) {}

  [[nodiscard]] bool at_end() {
    skip_spaces();
    return rest_.empty();
  }
  [[nodiscard]] std::string_view word() {
    skip_spaces();
    const std::string_view result = rest_.substr(0, rest_.find(' '));
    rest_.remove_prefix(result.size());
    return result;
  }
  [[nodiscard]] std::optional<u32> number() {
    const std::string_view digits = word();
    u64 value = 0;
    if (digits.empty() || digits.size() > 10) return std::nullopt;
    for (const char digit : digits) {
      if (digit < '0' || digit > '9') return std::nullopt;
      value = value * 10 + static_cast<u32>(digit - '0');
    }
    if (value > 0xFFFF'FFFF) return std::nullopt;
    return static_cast<u32>(value);
  }
  [[nodiscard]] std::optional<std::vector<std::byte>> hexadecimal() {
    const std::string_view digits = word();
    if (digits.size() % 2 != 0) return std::nullopt;
    std::vector<std::byte> bytes;
    bytes.reserve(digits.size() / 2);
    for (std::size_t i = 0; i < digits.size(); i += 2) {
      const int high = digit_value(digits[i]);
      const int low = digit_value(digits[i + 1]);
      if (high < 0 || low < 0) return std::nullopt;
      bytes.push_back(static_cast<std::byte>(high << 4 | low));
    }
    return bytes;
  }
  [[nodiscard]] std::optional<std::u16string> quoted() {
    skip_spaces();
    if (!take('"')) return std::nullopt;
    std::u16string result;
    while (!rest_.empty()) {
      const std::size_t plain = std::min(rest_.find_first_of("\"\\"), rest_.size());
      result += ex::from_utf8(rest_.substr(0, plain));
      rest_.remove_prefix(plain);
      if (take('"')) return result;
      const std::optional<char16_t> unit = escape();
      if (!unit) return std::nullopt;
      result += *unit;
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] static int digit_value(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
  }
  void skip_spaces() { rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size())); }
  [[nodiscard]] bool take(char character) {
    if (!rest_.starts_with(character)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // \\ \" or \u{hex} of one UTF-16 unit.
  [[nodiscard]] std::optional<char16_t> escape() {
    if (!take('\\')) return std::nullopt;
    if (take('\\')) return u'\\';
    if (take('"')) return u'"';
    if (!take('u') || !take('{')) return std::nullopt;
    u32 value = 0;
    u32 digits = 0;
    while (!rest_.empty() && digit_value(rest_[0]) >= 0 && digits < 4) {
      value = value << 4 | static_cast<u32>(digit_value(rest_[0]));
      rest_.remove_prefix(1);
      ++digits;
    }
    if (digits == 0 || !take('}')) return std::nullopt;
    return static_cast<char16_t>(value);
  }

  std::string_view rest_;
};

// What is wrong with a "key" line; empty when nothing is. Sets `node`.
std::string read_key(Registry& registry, LineReader& line, KeyNode*& node) {
  const std::optional<std::u16string> path = line.quoted();
  if (!path) return "a key needs its path in quotes";
  if (!ex::equal_ignoring_case(std::u16string_view(*path).substr(0, 10), u"\\Registry\\")) {
    return "a key's path begins with \\Registry\\";
  }
  const Result<KeyNode*> made = registry.make(*path);
  if (!made) return "the key cannot be made: " + status_name(made.error());
  node = *made;
  while (!line.at_end()) {
    const std::string_view word = line.word();
    if (word == "link") {
      node->is_link = true;
      continue;
    }
    if (word != "class") return fmt::format("\"{}\" is not known here", word);
    std::optional<std::u16string> key_class = line.quoted();
    if (!key_class || key_class->size() > kMaximumKeyNameUnits) return "class needs a short text in quotes";
    node->key_class = std::move(*key_class);
  }
  return {};
}

std::string read_value(Registry& registry, LineReader& line, KeyNode* node) {
  if (node == nullptr) return "a value needs a key before it";
  const std::optional<std::u16string> name = line.quoted();
  if (!name) return "a value needs its name in quotes";
  const std::optional<u32> type = line.number();
  if (!type) return "a value needs its type as a number";
  const std::optional<std::vector<std::byte>> data = line.hexadecimal();
  if (!data || !line.at_end()) return "a value's data are pairs of hexadecimal digits";
  const Status status = registry.put(*node, *name, *type, *data);
  if (!is_success(status)) return "the value cannot be stored: " + status_name(status);
  return {};
}

}  // namespace

std::string to_text(const Registry& registry) {
  std::string text(kHeader);
  text += '\n';
  // Depth first in name order, without recursion.
  std::vector<const KeyNode*> pending{&registry.root()};
  while (!pending.empty()) {
    const KeyNode* node = pending.back();
    pending.pop_back();
    if (node->depth > 1) append_key(text, registry, *node);
    for (auto child = node->subkeys.rbegin(); child != node->subkeys.rend(); ++child) {
      if (!(*child)->is_volatile) pending.push_back(child->get());
    }
  }
  return text;
}

std::expected<void, RegistryTextError> add_from_text(Registry& registry, std::string_view text) {
  KeyNode* node = nullptr;
  for (u32 number = 1; !text.empty() || number == 1; ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    std::string problem;
    if (number == 1) {
      if (line != kHeader) problem = fmt::format("the first line must be \"{}\"", kHeader);
    } else if (line.size() > kMaximumLineBytes) {
      problem = "the line is too long";
    } else if (!line.empty() && line[0] != '#') {
      LineReader reader(line);
      const std::string_view word = reader.word();
      if (word == "key") {
        problem = read_key(registry, reader, node);
      } else if (word == "value") {
        problem = read_value(registry, reader, node);
      } else {
        problem = fmt::format("\"{}\" is not known", word.substr(0, 40));
      }
    }
    if (!problem.empty()) return std::unexpected(RegistryTextError{number, std::move(problem)});
  }
  return {};
}

}  // namespace vitrine::cm
