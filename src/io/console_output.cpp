// Console: the controls of output handles.
#include <algorithm>
#include <cstring>

#include "io/console_state.h"
#include "io/info_buffer.h"

namespace vitrine::io {

Status Console::State::emit(const std::string& bytes) {
  if (bytes.empty()) return Status::success;
  return output.write(sink, std::span(reinterpret_cast<const u8*>(bytes.data()), bytes.size()));
}

Status Console::State::write_text(std::u16string_view text_) { return emit(screen.write(text_)); }

Status Console::State::write_bytes(Irp& irp) {
  irp.information = irp.input.size();
  return write_text(decode(output_code_page, irp.input, &partial_output));
}

Status Console::State::output_control(Irp& irp, abi::ConsoleControl code) {
  switch (code) {
    case abi::ConsoleControl::get_mode: return answer(irp, screen.mode);
    case abi::ConsoleControl::set_mode: {
      const auto mode = take<u32>(irp.input);
      if (!mode) return Status::invalid_parameter;
      screen.mode = *mode;
      return Status::success;
    }
    case abi::ConsoleControl::write_console: {
      if (irp.input.size() % sizeof(char16_t) != 0) return Status::invalid_parameter;
      std::u16string text_(irp.input.size() / sizeof(char16_t), u'\0');
      if (!irp.input.empty()) std::memcpy(text_.data(), irp.input.data(), irp.input.size());
      irp.information = irp.input.size();
      return write_text(text_);
    }
    case abi::ConsoleControl::write_file: return write_bytes(irp);
    case abi::ConsoleControl::get_output_info: return answer(irp, screen.info);
    case abi::ConsoleControl::set_output_info: return set_output_info(irp);
    case abi::ConsoleControl::read_output: return read_region(irp);
    case abi::ConsoleControl::write_output: return write_region(irp);
    case abi::ConsoleControl::fill_output: return fill(irp);
    case abi::ConsoleControl::scroll: return scroll(irp);
    case abi::ConsoleControl::activate: return Status::success;  // there is one screen buffer, and it is active
    default: return Status::invalid_handle;
  }
}

// The size is fixed: what asks for another one is refused, the other settings are kept.
Status Console::State::set_output_info(Irp& irp) {
  const auto wanted = take<abi::ConsoleOutputInfoParameters>(irp.input);
  if (!wanted) return Status::invalid_parameter;
  const u32 mask = wanted->mask;
  const abi::ConsoleOutputInfo& info = wanted->info;
  std::string out;
  if ((mask & abi::kSetConsoleSize) != 0 && (info.width != screen.width() || info.height != screen.height())) {
    return Status::invalid_parameter;
  }
  if ((mask & abi::kSetConsoleWindow) != 0) {
    const bool whole = info.window_left == 0 && info.window_top == 0 && info.window_right == screen.width() - 1 &&
                       info.window_bottom == screen.height() - 1;
    if (!whole) return Status::invalid_parameter;
  }
  if ((mask & abi::kSetConsoleCursorGeometry) != 0) {
    if (info.cursor_size < 1 || info.cursor_size > 100) return Status::invalid_parameter;
    screen.info.cursor_size = info.cursor_size;
    screen.info.cursor_visible = info.cursor_visible != 0;
    out += info.cursor_visible != 0 ? "\x1b[?25h" : "\x1b[?25l";
  }
  if ((mask & abi::kSetConsoleCursorPosition) != 0) VITRINE_TRY(screen.set_cursor(info.cursor_x, info.cursor_y, &out));
  if ((mask & abi::kSetConsoleAttributes) != 0) screen.info.attributes = info.attributes;
  if ((mask & abi::kSetConsolePopupAttributes) != 0) screen.info.popup_attributes = info.popup_attributes;
  return emit(out);
}

namespace {

std::size_t cell_bytes(abi::ConsoleCellMode mode) {
  return mode == abi::ConsoleCellMode::text_and_attributes ? sizeof(abi::ConsoleCell) : sizeof(u16);
}
bool is_mode(u32 mode) { return mode <= static_cast<u32>(abi::ConsoleCellMode::text_and_attributes); }

void append_cell(std::vector<u8>& out, const abi::ConsoleCell& cell, abi::ConsoleCellMode mode) {
  const u8* from =
      reinterpret_cast<const u8*>(&cell) + (mode == abi::ConsoleCellMode::attributes ? sizeof(char16_t) : 0);
  out.insert(out.end(), from, from + cell_bytes(mode));
}

void load_cell(abi::ConsoleCell& cell, const u8* from, abi::ConsoleCellMode mode) {
  u8* to = reinterpret_cast<u8*>(&cell) + (mode == abi::ConsoleCellMode::attributes ? sizeof(char16_t) : 0);
  std::memcpy(to, from, cell_bytes(mode));
}

}  // namespace

// Characters or attributes from a place to the end of the buffer; or a rectangle of cells, its real extent in front.
Status Console::State::read_region(Irp& irp) {
  const i16 screen_width = screen.width(), screen_height = screen.height();
  const auto region = take<abi::ConsoleRegion>(irp.input);
  if (!region || !is_mode(region->mode)) return Status::invalid_parameter;
  const auto mode = static_cast<abi::ConsoleCellMode>(region->mode);
  const bool inside = region->x < static_cast<u32>(screen_width) && region->y < static_cast<u32>(screen_height);
  irp.output.clear();
  if (mode != abi::ConsoleCellMode::text_and_attributes) {
    const u32 width = static_cast<u32>(screen_width), first = region->y * width + region->x;
    for (u32 at = first; inside && at < width * static_cast<u32>(screen_height); ++at) {
      if (irp.output.size() + cell_bytes(mode) > irp.length) break;
      append_cell(irp.output, screen.cell(static_cast<i16>(at % width), static_cast<i16>(at / width)), mode);
    }
    irp.information = irp.output.size();
    return Status::success;
  }
  if (!inside || region->width == 0 || irp.length < sizeof(abi::ConsoleRectangle)) return Status::invalid_parameter;
  const u32 width = std::min(region->width, static_cast<u32>(screen_width) - region->x);
  const u64 rows = (irp.length - sizeof(abi::ConsoleRectangle)) / (u64{width} * sizeof(abi::ConsoleCell));
  const u32 height = static_cast<u32>(std::min<u64>(rows, static_cast<u32>(screen_height) - region->y));
  if (height == 0) return Status::invalid_parameter;
  const auto x = static_cast<i16>(region->x), y = static_cast<i16>(region->y);
  const abi::ConsoleRectangle area{x, y, static_cast<i16>(x + static_cast<i16>(width) - 1),
                                   static_cast<i16>(y + static_cast<i16>(height) - 1)};
  const u8* from = reinterpret_cast<const u8*>(&area);
  irp.output.assign(from, from + sizeof(area));
  for (i16 row = area.top; row <= area.bottom; ++row) {
    for (i16 column = area.left; column <= area.right; ++column)
      append_cell(irp.output, screen.cell(column, row), mode);
  }
  irp.information = irp.output.size();
  return Status::success;
}

// Cells in a rectangle of `width`, or (width 0) on from a place over the ends of lines. The answer is the rectangle
// written, or the number of cells, by the length of the caller's buffer.
Status Console::State::write_region(Irp& irp) {
  const i16 screen_width = screen.width(), screen_height = screen.height();
  const auto region = take<abi::ConsoleRegion>(irp.input);
  if (!region || !is_mode(region->mode)) return Status::invalid_parameter;
  const auto mode = static_cast<abi::ConsoleCellMode>(region->mode);
  const bool wants_area = irp.length == sizeof(abi::ConsoleRectangle);
  if (wants_area && region->width == 0) return Status::invalid_parameter;
  const std::size_t bytes = cell_bytes(mode), count = (irp.input.size() - sizeof(*region)) / bytes;
  const u64 left = region->x, top = region->y, width = region->width;
  u32 written = 0;
  abi::ConsoleRectangle area{screen_width, screen_height, -1, -1};
  const u64 columns = static_cast<u64>(screen_width), rows = static_cast<u64>(screen_height);
  for (std::size_t i = 0; left < columns && i < count; ++i) {
    const u64 x = width != 0 ? left + i % width : (left + i) % columns;
    const u64 y = width != 0 ? top + i / width : top + (left + i) / columns;
    if (y >= rows) break;
    if (x >= columns) continue;
    const auto column = static_cast<i16>(x), row = static_cast<i16>(y);
    load_cell(screen.cell(column, row), irp.input.data() + sizeof(*region) + i * bytes, mode);
    area = {std::min(area.left, column), std::min(area.top, row), std::max(area.right, column),
            std::max(area.bottom, row)};
    ++written;
  }
  if (written != 0) VITRINE_TRY(emit(screen.redraw(area)));
  return wants_area ? answer(irp, area) : irp.length >= sizeof(u32) ? answer(irp, written) : Status::success;
}

Status Console::State::fill(Irp& irp) {
  const i16 screen_width = screen.width(), screen_height = screen.height();
  const auto wanted = take<abi::ConsoleFill>(irp.input);
  if (!wanted || wanted->mode < 0 || !is_mode(static_cast<u32>(wanted->mode))) return Status::invalid_parameter;
  if (wanted->x < 0 || wanted->y < 0 || wanted->count < 0) return Status::invalid_parameter;
  const auto mode = static_cast<abi::ConsoleCellMode>(wanted->mode);
  const i64 cells = i64{screen_width} * screen_height;
  const i64 first = std::min(i64{wanted->y} * screen_width + wanted->x, cells),
            end = std::min(first + wanted->count, cells);
  for (i64 at = first; at < end; ++at) {
    abi::ConsoleCell& cell = screen.cell(static_cast<i16>(at % screen_width), static_cast<i16>(at / screen_width));
    if (mode != abi::ConsoleCellMode::attributes) cell.character = wanted->character;
    if (mode != abi::ConsoleCellMode::text) cell.attributes = wanted->attributes;
  }
  if (end > first) {
    const auto top = static_cast<i16>(first / screen_width), bottom = static_cast<i16>((end - 1) / screen_width);
    VITRINE_TRY(emit(screen.redraw({0, top, static_cast<i16>(screen_width - 1), bottom})));
  }
  return irp.length >= sizeof(u32) ? answer(irp, static_cast<u32>(end - first)) : Status::success;
}

// ScrollConsoleScreenBuffer: moves a rectangle; what it leaves is filled; nothing outside `clip` changes.
Status Console::State::scroll(Irp& irp) {
  const i16 screen_width = screen.width(), screen_height = screen.height();
  const auto wanted = take<abi::ConsoleScroll>(irp.input);
  if (!wanted) return Status::invalid_parameter;
  const auto inside = [](const abi::ConsoleRectangle& r, i32 x, i32 y) {
    return x >= r.left && x <= r.right && y >= r.top && y <= r.bottom;
  };
  const abi::ConsoleRectangle whole{0, 0, static_cast<i16>(screen_width - 1), static_cast<i16>(screen_height - 1)};
  ConsoleScreen from = screen;
  const i32 move_x = wanted->to_x - wanted->scroll.left, move_y = wanted->to_y - wanted->scroll.top;
  for (i16 y = 0; y < screen_height; ++y) {
    for (i16 x = 0; x < screen_width; ++x) {
      if (!inside(wanted->clip, x, y)) continue;
      const i32 source_x = x - move_x, source_y = y - move_y;
      if (inside(wanted->scroll, source_x, source_y) && inside(whole, source_x, source_y)) {
        screen.cell(x, y) = from.cell(static_cast<i16>(source_x), static_cast<i16>(source_y));
      } else if (inside(wanted->scroll, x, y)) {
        screen.cell(x, y) = wanted->fill;
      }
    }
  }
  return emit(screen.redraw(whole));
}

}  // namespace vitrine::io
