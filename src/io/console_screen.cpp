// ConsoleScreen: the model of the screen, and the VT sequences that bring the host's terminal to the same state.
#include <fmt/format.h>

#include <algorithm>

#include "ex/unicode.h"
#include "io/console_state.h"

namespace vitrine::io {
namespace {

constexpr u16 kDefaultAttributes = 7;  // light grey on black: shown in the terminal's own colours

// Windows counts colours blue, green, red from the lowest bit, ANSI red, green, blue.
u32 ansi_colour(u32 windows) { return (windows & 1) << 2 | (windows & 2) | (windows & 4) >> 2; }

std::string sgr(u16 attributes) {
  if (attributes == kDefaultAttributes) return "\x1b[0m";
  const u32 text = attributes & 0xF, back = attributes >> 4 & 0xF;
  std::string result = fmt::format("\x1b[0;{}", ansi_colour(text) + ((text & 8) != 0 ? 90 : 30));
  if (back != 0) result += fmt::format(";{}", ansi_colour(back) + ((back & 8) != 0 ? 100 : 40));
  return result + "m";
}

char16_t printable(char16_t unit) { return unit < 0x20 || unit == 0x7F ? u' ' : unit; }

}  // namespace

ConsoleScreen::ConsoleScreen() {
  info.cursor_size = 25;
  info.cursor_visible = 1;
  info.width = info.maximum_width = kScreenWidth;
  info.height = info.maximum_height = kScreenHeight;
  info.attributes = kDefaultAttributes;
  info.popup_attributes = 0xF5;
  info.window_right = kScreenWidth - 1;
  info.window_bottom = kScreenHeight - 1;
  info.font_width = 8;
  info.font_height = 16;
  info.font_weight = 400;
  info.font_pitch_family = 0x36;
  // The console's standard palette, as COLORREF (0x00BBGGRR). [Microsoft: "Updating the Windows Console Colors", legacy
  // scheme]
  constexpr u32 kPalette[16] = {0x000000, 0x800000, 0x008000, 0x808000, 0x000080, 0x800080, 0x008080, 0xC0C0C0,
                                0x808080, 0xFF0000, 0x00FF00, 0xFFFF00, 0x0000FF, 0xFF00FF, 0x00FFFF, 0xFFFFFF};
  std::copy(std::begin(kPalette), std::end(kPalette), info.color_map);
  cells_.fill({u' ', kDefaultAttributes});
}

std::string ConsoleScreen::select_attributes(u16 attributes) {
  if (attributes == terminal_attributes_) return {};
  terminal_attributes_ = attributes;
  return sgr(attributes);
}

void ConsoleScreen::new_line() {
  if (info.cursor_y + 1 < kScreenHeight) {
    ++info.cursor_y;
    return;
  }
  std::move(cells_.begin() + kScreenWidth, cells_.end(), cells_.begin());
  std::fill(cells_.end() - kScreenWidth, cells_.end(), abi::ConsoleCell{u' ', static_cast<u16>(info.attributes)});
}

// The model's cursor for one unit of processed output [Microsoft: "High-Level Console Modes", ENABLE_PROCESSED_OUTPUT].
void ConsoleScreen::advance(char16_t unit) {
  if (escape_ != Escape::none) {  // a sequence on its way to the terminal takes no cells
    const bool final = escape_ == Escape::begun ? unit != u'[' : unit >= 0x40 && unit <= 0x7E;
    escape_ = final ? Escape::none : Escape::parameters;
    return;
  }
  switch (unit) {
    case u'\r': info.cursor_x = 0; return;
    case u'\n':
      info.cursor_x = 0;
      new_line();
      return;
    case u'\b': info.cursor_x = static_cast<i16>(std::max(0, info.cursor_x - 1)); return;
    case u'\t': info.cursor_x = static_cast<i16>(std::min(kScreenWidth - 1, (info.cursor_x | 7) + 1)); return;
    case u'\a': return;
    case 0x1B: escape_ = Escape::begun; return;
    default: break;
  }
  cell(info.cursor_x, info.cursor_y) = {unit, static_cast<u16>(info.attributes)};
  if (info.cursor_x + 1 < kScreenWidth) {
    ++info.cursor_x;
  } else if ((mode & abi::kConsoleWrapAtEndOfLine) != 0) {
    info.cursor_x = 0;
    new_line();
  }
}

std::string ConsoleScreen::write(std::u16string_view text) {
  std::u16string shown;
  if (high_surrogate_ != 0) shown += std::exchange(high_surrogate_, u'\0');
  shown += text;
  if (!shown.empty() && shown.back() >= 0xD800 && shown.back() <= 0xDBFF) {  // its other half comes with the next write
    high_surrogate_ = shown.back();
    shown.pop_back();
  }
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const bool pair = shown[i] >= 0xD800 && shown[i] <= 0xDBFF && i + 1 < shown.size() && shown[i + 1] >= 0xDC00 &&
                      shown[i + 1] <= 0xDFFF;
    if (!pair && shown[i] >= 0xD800 && shown[i] <= 0xDFFF) shown[i] = 0xFFFD;
    if ((mode & abi::kConsoleProcessedOutput) == 0) shown[i] = printable(shown[i]);
    advance(shown[i]);
    if (pair) advance(shown[++i]);
  }
  return select_attributes(static_cast<u16>(info.attributes)) + ex::to_utf8(shown);
}

Status ConsoleScreen::set_cursor(i16 x, i16 y, std::string* out) {
  if (x < 0 || y < 0 || x >= kScreenWidth || y >= kScreenHeight) return Status::invalid_parameter;
  info.cursor_x = x;
  info.cursor_y = y;
  *out += fmt::format("\x1b[{};{}H", y + 1, x + 1);
  return Status::success;
}

std::string ConsoleScreen::redraw(abi::ConsoleRectangle area) {
  area.left = std::max<i16>(area.left, 0);
  area.top = std::max<i16>(area.top, 0);
  area.right = std::min<i16>(area.right, kScreenWidth - 1);
  area.bottom = std::min<i16>(area.bottom, kScreenHeight - 1);
  if (area.left > area.right || area.top > area.bottom) return {};
  const u16 before = terminal_attributes_;
  std::string out = "\x1b" "7";  // DECSC: cursor and attributes
  for (i16 y = area.top; y <= area.bottom; ++y) {
    out += fmt::format("\x1b[{};{}H", y + 1, area.left + 1);
    std::u16string run;
    for (i16 x = area.left; x <= area.right; ++x) {
      const abi::ConsoleCell& c = cell(x, y);
      if (c.attributes != terminal_attributes_) {
        out += ex::to_utf8(std::exchange(run, {}));
        out += select_attributes(c.attributes);
      }
      const bool surrogate = c.character >= 0xD800 && c.character <= 0xDFFF;
      run += surrogate ? u'\xFFFD' : printable(c.character);
    }
    out += ex::to_utf8(run);
  }
  terminal_attributes_ = before;  // DECRC
  return out + "\x1b" "8";
}

}  // namespace vitrine::io
