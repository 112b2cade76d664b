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

ConsoleScreen::ConsoleScreen(ConsoleSize size) {
  info.cursor_size = 25;
  info.cursor_visible = 1;
  info.attributes = kDefaultAttributes;
  info.popup_attributes = 0xF5;
  info.font_width = 8;
  info.font_height = 16;
  info.font_weight = 400;
  info.font_pitch_family = 0x36;
  // The console's standard palette, as COLORREF (0x00BBGGRR). [Microsoft: "Updating the Windows Console Colors", legacy
  // scheme]
  constexpr u32 kPalette[16] = {0x000000, 0x800000, 0x008000, 0x808000, 0x000080, 0x800080, 0x008080, 0xC0C0C0,
                                0x808080, 0xFF0000, 0x00FF00, 0xFFFF00, 0x0000FF, 0xFF00FF, 0x00FFFF, 0xFFFFFF};
  std::copy(std::begin(kPalette), std::end(kPalette), info.color_map);
  resize(size);
}

void ConsoleScreen::resize(ConsoleSize size) {
  std::vector<abi::ConsoleCell> cells(static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height),
                                      {u' ', kDefaultAttributes});
  const i16 kept = std::min(width(), size.width);
  for (i16 y = 0; y < std::min(height(), size.height); ++y) std::copy_n(&cell(0, y), kept, cells.begin() + y * size.width);
  cells_ = std::move(cells);
  info.width = info.maximum_width = size.width;
  info.height = info.maximum_height = size.height;
  info.window_left = info.window_top = 0;
  info.window_right = static_cast<i16>(size.width - 1);
  info.window_bottom = static_cast<i16>(size.height - 1);
  info.cursor_x = std::min(info.cursor_x, info.window_right);
  info.cursor_y = std::min(info.cursor_y, info.window_bottom);
  saved_x_ = std::min(saved_x_, info.window_right);
  saved_y_ = std::min(saved_y_, info.window_bottom);
}

std::string ConsoleScreen::select_attributes(u16 attributes) {
  if (attributes == terminal_attributes_) return {};
  terminal_attributes_ = attributes;
  return sgr(attributes);
}

void ConsoleScreen::new_line() {
  if (info.cursor_y + 1 < height()) {
    ++info.cursor_y;
    return;
  }
  std::move(cells_.begin() + width(), cells_.end(), cells_.begin());
  std::fill(cells_.end() - width(), cells_.end(), abi::ConsoleCell{u' ', static_cast<u16>(info.attributes)});
}

// A VT sequence in the program's output: the terminal carries it out, the model follows what it does to the cursor and
// the cells.
void ConsoleScreen::follow_escape(char16_t unit) {
  constexpr std::size_t kMaximumParameters = 64;
  switch (escape_) {
    case Escape::none:
      return;
    case Escape::begun:
      parameters_.clear();
      escape_ = unit == u'[' ? Escape::parameters : unit == u']' ? Escape::text : Escape::none;
      if (unit == u'7') saved_x_ = info.cursor_x, saved_y_ = info.cursor_y;
      if (unit == u'8') info.cursor_x = saved_x_, info.cursor_y = saved_y_;
      return;
    case Escape::parameters:
      if (unit >= 0x40 && unit <= 0x7E) {
        escape_ = Escape::none;
        follow_sequence(unit);
      } else if (parameters_.size() < kMaximumParameters) {
        parameters_ += unit;
      }
      return;
    case Escape::text:  // a title, for example: up to BEL or ESC backslash
      if (unit == u'\a') escape_ = Escape::none;
      if (unit == 0x1B) escape_ = Escape::text_escape;
      return;
    case Escape::text_escape:
      escape_ = unit == u'\\' ? Escape::none : Escape::text;
      return;
  }
}

void ConsoleScreen::erase(i32 from, i32 to) {
  const i32 cells = width() * height();
  for (i32 at = std::max(from, 0); at < std::min(to, cells); ++at) {
    cells_[static_cast<std::size_t>(at)] = {u' ', static_cast<u16>(info.attributes)};
  }
}

void ConsoleScreen::follow_sequence(char16_t final) {
  i32 numbers[2] = {0, 0};
  std::size_t count = 0;
  for (char16_t unit : parameters_) {
    if (unit == u';') {
      if (++count == std::size(numbers)) break;
    } else if (unit >= u'0' && unit <= u'9' && numbers[count] < 10'000) {
      numbers[count] = numbers[count] * 10 + (unit - u'0');
    } else if (unit == u'?') {
      return;  // modes of the terminal
    }
  }
  const i32 step = std::max(numbers[0], 1);
  i32 x = info.cursor_x, y = info.cursor_y;
  const i32 here = y * width() + x, line = y * width();
  switch (final) {
    case u'A':
      y -= step;
      break;
    case u'B':
      y += step;
      break;
    case u'C':
      x += step;
      break;
    case u'D':
      x -= step;
      break;
    case u'E':
      x = 0, y += step;
      break;
    case u'F':
      x = 0, y -= step;
      break;
    case u'G':
      x = step - 1;
      break;
    case u'd':
      y = step - 1;
      break;
    case u'H':
    case u'f':
      y = step - 1, x = std::max(numbers[1], 1) - 1;
      break;
    case u's':
      saved_x_ = info.cursor_x, saved_y_ = info.cursor_y;
      break;
    case u'u':
      x = saved_x_, y = saved_y_;
      break;
    case u'J':
      numbers[0] == 0   ? erase(here, width() * height())
      : numbers[0] == 1 ? erase(0, here + 1)
                        : erase(0, width() * height());
      break;
    case u'K':
      numbers[0] == 0   ? erase(here, line + width())
      : numbers[0] == 1 ? erase(line, here + 1)
                        : erase(line, line + width());
      break;
    default:
      break;
  }
  info.cursor_x = static_cast<i16>(std::clamp<i32>(x, 0, width() - 1));
  info.cursor_y = static_cast<i16>(std::clamp<i32>(y, 0, height() - 1));
}

// The model's cursor for one unit of processed output [Microsoft: "High-Level Console Modes", ENABLE_PROCESSED_OUTPUT].
void ConsoleScreen::advance(char16_t unit) {
  if (escape_ != Escape::none) return follow_escape(unit);  // a sequence on its way to the terminal takes no cells
  switch (unit) {
    case u'\r': info.cursor_x = 0; return;
    case u'\n':
      info.cursor_x = 0;
      new_line();
      return;
    case u'\b':
      info.cursor_x = static_cast<i16>(std::max(0, info.cursor_x - 1));
      return;
    case u'\t':
      info.cursor_x = static_cast<i16>(std::min(width() - 1, (info.cursor_x | 7) + 1));
      return;
    case u'\a':
      return;
    case 0x1B:
      escape_ = Escape::begun;
      return;
    default:
      break;
  }
  cell(info.cursor_x, info.cursor_y) = {unit, static_cast<u16>(info.attributes)};
  if (info.cursor_x + 1 < width()) {
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
  if (x < 0 || y < 0 || x >= width() || y >= height()) return Status::invalid_parameter;
  info.cursor_x = x;
  info.cursor_y = y;
  *out += fmt::format("\x1b[{};{}H", y + 1, x + 1);
  return Status::success;
}

std::string ConsoleScreen::redraw(abi::ConsoleRectangle area) {
  area.left = std::max<i16>(area.left, 0);
  area.top = std::max<i16>(area.top, 0);
  area.right = static_cast<i16>(std::min<i32>(area.right, width() - 1));
  area.bottom = static_cast<i16>(std::min<i32>(area.bottom, height() - 1));
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
