#include "io/console_keys.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>

#include "ex/unicode.h"

namespace vitrine::io {
namespace {

struct Key {
  u16 virtual_key = 0, scan_code = 0;
  char16_t character = 0;
  u32 control_keys = 0;
};

// Scan codes are set 1's, as consoles report them.
struct NamedKey {
  u16 virtual_key, scan_code;
};
constexpr NamedKey kUp{0x26, 0x48}, kDown{0x28, 0x50}, kRight{0x27, 0x4D}, kLeft{0x25, 0x4B}, kHome{0x24, 0x47},
    kEnd{0x23, 0x4F}, kInsert{0x2D, 0x52}, kDelete{0x2E, 0x53}, kPrior{0x21, 0x49}, kNext{0x22, 0x51};

NamedKey function_key(u16 number) {
  const u16 scan = number <= 10 ? static_cast<u16>(0x3A + number) : static_cast<u16>(0x57 + number - 11);
  return {static_cast<u16>(0x6F + number), scan};
}

// ESC [ N ~
std::optional<NamedKey> numbered_key(u32 number) {
  switch (number) {
    case 1:
    case 7:
      return kHome;
    case 2:
      return kInsert;
    case 3:
      return kDelete;
    case 4:
    case 8:
      return kEnd;
    case 5:
      return kPrior;
    case 6:
      return kNext;
    default:
      break;
  }
  // F1 to F12 are 11 to 15, 17 to 21, 23 and 24.
  if (number < 11 || number > 24 || number == 16 || number == 22) return std::nullopt;
  return function_key(static_cast<u16>(number - 10 - (number > 16) - (number > 22)));
}

// ESC [ letter, ESC O letter
std::optional<NamedKey> lettered_key(char letter) {
  switch (letter) {
    case 'A':
      return kUp;
    case 'B':
      return kDown;
    case 'C':
      return kRight;
    case 'D':
      return kLeft;
    case 'H':
      return kHome;
    case 'F':
      return kEnd;
    case 'P':
    case 'Q':
    case 'R':
    case 'S':
      return function_key(static_cast<u16>(letter - 'P' + 1));
    default:
      return std::nullopt;
  }
}

u32 modifiers(u32 parameter) {
  const u32 bits = parameter == 0 ? 0 : parameter - 1;
  return ((bits & 1) != 0 ? abi::kConsoleShift : 0) | ((bits & 2) != 0 ? abi::kConsoleLeftAlt : 0) |
         ((bits & 4) != 0 ? abi::kConsoleLeftControl : 0);
}

// A character of the US layout.
Key plain_key(char16_t c) {
  constexpr std::u16string_view kRows = u"1234567890-=", kUpperRow = u"qwertyuiop[]", kMiddleRow = u"asdfghjkl;'`",
                                kLowerRow = u"\\zxcvbnm,./";
  constexpr std::u16string_view kShifted = u"~!@#$%^&*()_+{}|:\"<>?", kUnshifted = u"`1234567890-=[]\\;',./";
  constexpr std::u16string_view kOem = u";=,-./`[\\]'";
  constexpr u16 kOemKeys[] = {0xBA, 0xBB, 0xBC, 0xBD, 0xBE, 0xBF, 0xC0, 0xDB, 0xDC, 0xDD, 0xDE};
  Key key{.character = c};
  char16_t base = c;
  if (c >= u'A' && c <= u'Z') base = static_cast<char16_t>(c + 32);
  if (const std::size_t at = kShifted.find(c); at != kShifted.npos) base = kUnshifted[at];
  if (base != c) key.control_keys = abi::kConsoleShift;
  if (base >= u'a' && base <= u'z')
    key.virtual_key = static_cast<u16>(base - 32);
  else if ((base >= u'0' && base <= u'9') || base == u' ')
    key.virtual_key = base;
  else if (const std::size_t at = kOem.find(base); at != kOem.npos)
    key.virtual_key = kOemKeys[at];
  struct Row {
    std::u16string_view keys;
    u16 first;
  };
  constexpr Row kLayout[] = {{kRows, 0x02}, {kUpperRow, 0x10}, {kMiddleRow, 0x1E}, {kLowerRow, 0x2B}, {u" ", 0x39}};
  for (const Row& row : kLayout) {
    if (const std::size_t at = row.keys.find(base); at != row.keys.npos)
      key.scan_code = static_cast<u16>(row.first + at);
  }
  return key;
}

Key control_key(char16_t c) {
  switch (c) {
    case u'\t':
      return {0x09, 0x0F, c, 0};
    case u'\r':
      return {0x0D, 0x1C, c, 0};
    case 0x1B:
      return {0x1B, 0x01, c, 0};
    case 0x7F:
      return {0x08, 0x0E, u'\b', 0};  // what terminals send for Backspace
    case 0:
      return {0x20, 0x39, c, abi::kConsoleLeftControl};
    default:
      break;
  }
  Key key = c < 0x1B ? plain_key(static_cast<char16_t>(c + 0x60)) : plain_key(static_cast<char16_t>(c + 0x40));
  key.character = c;
  key.control_keys = abi::kConsoleLeftControl;
  return key;
}

struct Sequence {
  std::size_t length;  // 0: none
  std::optional<NamedKey> key;
  u32 control_keys = 0;
};

// A sequence of a cursor or function key at the start of `bytes`, which begin with ESC.
Sequence sequence_at(std::string_view bytes) {
  if (bytes.size() < 3 || (bytes[1] != '[' && bytes[1] != 'O')) return {0, {}};
  std::size_t end = 2;
  while (end < bytes.size() && ((bytes[end] >= '0' && bytes[end] <= '9') || bytes[end] == ';')) ++end;
  if (end == bytes.size()) return {0, {}};
  u32 numbers[2] = {0, 0};
  std::string_view text = bytes.substr(2, end - 2);
  for (u32& number : numbers) {
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    if (!text.starts_with(';')) break;
    text.remove_prefix(1);
  }
  const auto key = bytes[end] == '~' ? numbered_key(numbers[0]) : lettered_key(bytes[end]);
  return {end + 1, key, modifiers(numbers[1])};
}

// Length of the UTF-8 character at the front; 0: it is not complete.
std::size_t character_length(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes[0]);
  const std::size_t length = lead < 0xC0 || lead > 0xF4 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  for (std::size_t i = 1; i < std::min(length, bytes.size()); ++i) {
    if ((static_cast<unsigned char>(bytes[i]) & 0xC0) != 0x80) return i;  // damaged: what there is
  }
  return bytes.size() < length ? 0 : length;
}

void press(std::deque<abi::ConsoleKeyRecord>& records, const Key& key) {
  for (u32 down : {1u, 0u}) {
    records.push_back(
        {abi::kConsoleKeyEvent, 0, down, 1, key.virtual_key, key.scan_code, key.character, key.control_keys});
  }
}

}  // namespace

void take_keys(std::string& bytes, KeyTranslation translation, std::deque<abi::ConsoleKeyRecord>& records) {
  std::string_view rest = bytes;
  while (!rest.empty()) {
    u32 alt = 0;
    if (rest[0] == 0x1B && translation == KeyTranslation::keys) {
      const Sequence sequence = sequence_at(rest);
      if (sequence.length != 0) {
        rest.remove_prefix(sequence.length);
        if (sequence.key) {
          press(records, {sequence.key->virtual_key, sequence.key->scan_code, 0,
                          sequence.control_keys | abi::kConsoleEnhancedKey});
        }
        continue;
      }
      if (rest.size() > 1) {  // Alt and a key
        alt = abi::kConsoleLeftAlt;
        rest.remove_prefix(1);
      }
    }
    const std::size_t length = character_length(rest);
    if (length == 0) break;
    for (char16_t unit : ex::from_utf8(rest.substr(0, length))) {
      Key key;
      if (translation == KeyTranslation::characters)
        key.character = unit;
      else
        key = unit < 0x20 || unit == 0x7F ? control_key(unit) : plain_key(unit);
      key.control_keys |= alt;
      press(records, key);
    }
    rest.remove_prefix(length);
  }
  bytes.erase(0, bytes.size() - rest.size());
}

}  // namespace vitrine::io
