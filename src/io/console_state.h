// The inside of Console: the screen and the input.
#pragma once

#include <array>
#include <deque>
#include <string>
#include <vector>

#include "io/console.h"

namespace vitrine::io {

inline constexpr i16 kScreenWidth = 80, kScreenHeight = 25;

// What is on the screen and where the cursor is. Text that goes through `write` is returned as what the terminal needs.
class ConsoleScreen {
 public:
  ConsoleScreen();
  // Output in the order written; attributes that differ from the terminal's become SGR sequences first.
  [[nodiscard]] std::string write(std::u16string_view text, u32 mode);
  // Moves the cursor; invalid_parameter outside the screen.
  Status set_cursor(i16 x, i16 y, std::string* out);
  // Puts cells at a place without moving the cursor; x, y inside the screen. Wraps at the end of a line.
  [[nodiscard]] std::string put(i16 x, i16 y, std::span<const abi::ConsoleCell> cells);
  [[nodiscard]] abi::ConsoleCell& cell(i16 x, i16 y) { return cells_[static_cast<std::size_t>(y) * kScreenWidth + x]; }
  // Draws a rectangle (inclusive) again.
  [[nodiscard]] std::string redraw(abi::ConsoleRectangle area);

  abi::ConsoleOutputInfo info{};
  u32 mode = abi::kConsoleDefaultOutputMode;

 private:
  void new_line();
  std::string select_attributes(u16 attributes);
  std::array<abi::ConsoleCell, static_cast<std::size_t>(kScreenWidth) * kScreenHeight> cells_;
  u16 terminal_attributes_ = 7;  // what the terminal shows now
};

struct Console::State {
  IoManager& manager;
  HostInput& input;
  HostOutput& output;
  HostOutput::Sink sink;
  ConsoleScreen screen;
  u32 input_mode = abi::kConsoleDefaultInputMode;
  u32 input_code_page = 437, output_code_page = 437;
  std::u16string title;
  std::string partial_output;   // an unfinished UTF-8 sequence of byte output
  std::u16string line;          // of the line that was read: what nobody has taken yet
  std::string arrived;          // bytes of a line that is not complete yet
  bool at_end = false;          // end of input, told once per read
  std::deque<abi::ConsoleKeyRecord> records;
  IrpQueue readers;             // in order of arrival, of whatever kind

  Status control(Irp& irp);
  Status output_control(Irp& irp);
  Status input_control(Irp& irp);
  Status write_text(std::u16string_view text);
  Status write_bytes(std::span<const u8> bytes);
  Status emit(const std::string& text);
  // Answers a read if it can be answered now.
  std::optional<Status> try_read(Irp& irp);
  std::optional<Status> try_read_line(Irp& irp, bool as_bytes);
  std::optional<Status> try_read_records(Irp& irp, bool remove);
  Status queue_read(Irp& irp);
  void pull_input();
  void serve_readers();
  Status set_output_info(Irp& irp);
  Status region(Irp& irp, bool write);
  Status fill(Irp& irp);
  Status scroll(Irp& irp);
};

}  // namespace vitrine::io
