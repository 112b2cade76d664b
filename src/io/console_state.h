// The inside of Console: the screen and the input.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/code_page.h"
#include "io/console.h"

namespace vitrine::io {

// What is on the screen and where the cursor is. Text that goes through `write` is returned as what the terminal needs.
class ConsoleScreen {
 public:
  explicit ConsoleScreen(ConsoleSize size);
  // Keeps what fits, from the top left; the cursor stays inside. Draws nothing: the terminal arranges itself.
  void resize(ConsoleSize size);
  // Text at the cursor; attributes that differ from the terminal's become an SGR sequence first.
  [[nodiscard]] std::string write(std::u16string_view text);
  // Moves the cursor; invalid_parameter outside the screen.
  Status set_cursor(i16 x, i16 y, std::string* out);
  // Precondition: inside the screen.
  [[nodiscard]] abi::ConsoleCell& cell(i16 x, i16 y) { return cells_[static_cast<std::size_t>(y * width() + x)]; }
  [[nodiscard]] i16 width() const { return info.width; }
  [[nodiscard]] i16 height() const { return info.height; }
  // Draws a rectangle (inclusive; what lies outside is ignored) from the cells; the cursor stays.
  [[nodiscard]] std::string redraw(abi::ConsoleRectangle area);

  abi::ConsoleOutputInfo info{};
  u32 mode = abi::kConsoleDefaultOutputMode;

 private:
  enum class Escape : u8 { none, begun, parameters, text, text_escape };
  void follow_escape(char16_t unit);
  void follow_sequence(char16_t final);
  void erase(i32 from, i32 to);  // cells, counted from the top left one
  void new_line();
  void advance(char16_t unit);
  std::string select_attributes(u16 attributes);
  std::vector<abi::ConsoleCell> cells_;
  u16 terminal_attributes_ = 7;   // what the terminal shows now
  Escape escape_ = Escape::none;  // of a VT sequence in the guest's own output
  std::u16string parameters_;     // of that sequence
  i16 saved_x_ = 0, saved_y_ = 0;
  char16_t high_surrogate_ = 0;  // the last unit of the last write, when its other half is to come
};

enum class ConsoleRole : u8 { reference, input, output };

struct Console::State {
  State(IoManager& manager_, HostInput& input_, HostOutput& output_, const ConsoleOptions& options)
      : manager(manager_),
        input(input_),
        output(output_),
        sink(options.sink),
        terminal(options.terminal),
        screen(options.size) {}
  IoManager& manager;
  HostInput& input;
  HostOutput& output;
  HostOutput::Sink sink;
  HostTerminal* terminal;
  std::function<void(abi::ConsoleEvent, u32 group)> on_event;
  ConsoleScreen screen;
  u32 input_mode = abi::kConsoleDefaultInputMode;
  u32 input_code_page = kCodePageOem, output_code_page = kCodePageOem;
  std::u16string title;
  std::string partial_output;  // an unfinished UTF-8 sequence of byte output
  std::string arrived;         // input that is no complete line or key yet
  bool terminal_prepared = false;
  TerminalInput terminal_input = TerminalInput::lines;  // as set last
  bool terminal_interrupts = true;
  std::u16string text;                        // input that reads may take: whole lines in line mode
  bool at_end = false;                        // the end of input arrived; the next read tells it
  std::deque<abi::ConsoleKeyRecord> records;  // in front of `text`
  IrpQueue readers;             // in order of arrival, whatever they read

  // console_output.cpp
  Status write_text(std::u16string_view text_);
  Status write_bytes(Irp& irp);
  Status emit(const std::string& bytes);
  Status output_control(Irp& irp, abi::ConsoleControl code);
  Status set_output_info(Irp& irp);
  Status read_region(Irp& irp);
  Status write_region(Irp& irp);
  Status fill(Irp& irp);
  Status scroll(Irp& irp);
  // console_input.cpp
  Status input_control(Irp& irp, abi::ConsoleControl code);
  Status set_input_info(Irp& irp);
  Status get_title(Irp& irp);
  Status read(Irp& irp);        // any request that may wait for input
  std::optional<Status> try_read(Irp& irp);
  std::optional<Status> try_read_text(Irp& irp, std::size_t prefix, bool as_bytes);
  std::optional<Status> try_read_records(Irp& irp);
  void take_records(Irp& irp, bool remove);
  void make_records();     // turns the text into key records
  void records_to_text();  // and back: the characters of pressed keys
  // Brings the terminal into the mode that a reader of lines or of keys needs.
  void prepare_terminal(TerminalInput wanted);
  [[nodiscard]] TerminalInput text_input() const;
  void pull_input();
  void serve_readers();
};

// Copies a structure into the request's output, cut to its length. info_length_mismatch when it does not fit.
template <typename T>
Status answer(Irp& irp, const T& value, std::size_t bytes = sizeof(T)) {
  if (irp.length < bytes) return Status::info_length_mismatch;
  const u8* from = reinterpret_cast<const u8*>(&value);
  irp.output.assign(from, from + bytes);
  irp.information = bytes;
  return Status::success;
}

}  // namespace vitrine::io
