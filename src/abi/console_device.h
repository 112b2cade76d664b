// The console driver's controls and structures, as Wine 8.0's kernelbase and msvcrt use them through \Device\ConDrv.
// They differ from Microsoft's, whose conhost protocol is private. [Wine 8.0 include/wine/condrv.h: numbers and
// layouts]
#pragma once

#include "base/types.h"

namespace vitrine::abi {

// CTL_CODE(FILE_DEVICE_CONSOLE, function, METHOD_BUFFERED, access).
[[nodiscard]] constexpr u32 console_control(u32 function, u32 access) {
  return 0x50u << 16 | access << 14 | function << 2;
}

enum class ConsoleControl : u32 {
  get_mode = console_control(0, 1),
  set_mode = console_control(1, 2),
  is_unix = console_control(2, 0),
  read_console = console_control(10, 1),
  read_file = console_control(11, 1),
  read_input = console_control(12, 1),
  write_input = console_control(13, 2),
  peek = console_control(14, 1),
  get_input_info = console_control(15, 1),
  set_input_info = console_control(16, 2),
  get_title = console_control(17, 1),
  set_title = console_control(18, 2),
  control_event = console_control(19, 0),
  beep = console_control(20, 0),
  flush = console_control(21, 0),
  get_window = console_control(22, 0),
  get_process_list = console_control(23, 0),
  read_console_control = console_control(24, 1),
  write_console = console_control(30, 2),
  write_file = console_control(31, 2),
  read_output = console_control(32, 1),
  write_output = console_control(33, 2),
  get_output_info = console_control(34, 1),
  set_output_info = console_control(35, 2),
  activate = console_control(36, 2),
  fill_output = console_control(37, 2),
  scroll = console_control(38, 2),
  bind_process = console_control(51, 0),
};
static_assert(static_cast<u32>(ConsoleControl::get_mode) == 0x504000);
static_assert(static_cast<u32>(ConsoleControl::write_console) == 0x508078);

// Input mode bits [wincon.h].
inline constexpr u32 kConsoleProcessedInput = 1, kConsoleLineInput = 2, kConsoleEchoInput = 4;
inline constexpr u32 kConsoleWindowInput = 8, kConsoleVirtualTerminalInput = 0x200;
inline constexpr u32 kConsoleDefaultInputMode = 0x1F7;
// Output mode bits.
inline constexpr u32 kConsoleProcessedOutput = 1, kConsoleWrapAtEndOfLine = 2, kConsoleVirtualTerminal = 4;
inline constexpr u32 kConsoleDefaultOutputMode = 3;

struct ConsoleInputInfo { u32 input_code_page, output_code_page, input_count; };
struct ConsoleInputInfoParameters { u32 mask; ConsoleInputInfo info; };
inline constexpr u32 kSetConsoleInputCodePage = 1, kSetConsoleOutputCodePage = 2;

struct ConsoleOutputInfo {
  i16 cursor_size, cursor_visible, cursor_x, cursor_y;
  i16 width, height;
  i16 attributes, popup_attributes;
  i16 window_left, window_top, window_right, window_bottom;
  i16 maximum_width, maximum_height;
  i16 font_width, font_height, font_weight, font_pitch_family;
  u32 color_map[16];
};
static_assert(sizeof(ConsoleOutputInfo) == 100);
struct ConsoleOutputInfoParameters { u32 mask; ConsoleOutputInfo info; };
inline constexpr u32 kSetConsoleCursorGeometry = 0x01, kSetConsoleCursorPosition = 0x02, kSetConsoleSize = 0x04,
                     kSetConsoleAttributes = 0x08, kSetConsoleWindow = 0x10, kSetConsoleMaximumSize = 0x20,
                     kSetConsolePopupAttributes = 0x40, kSetConsoleFont = 0x80;

struct ConsoleRegion { u32 x, y, mode, width; };        // read_output, write_output: then the cells
enum class ConsoleCellMode : u32 { text, attributes, text_and_attributes };
struct ConsoleCell { char16_t character; u16 attributes; };
struct ConsoleFill { i32 x, y, mode, count, wrap; char16_t character; u16 attributes; };
static_assert(sizeof(ConsoleFill) == 24);
struct ConsoleRectangle { i16 left, top, right, bottom; };
struct ConsoleScroll { ConsoleRectangle scroll; i16 to_x, to_y; ConsoleRectangle clip; ConsoleCell fill; };
static_assert(sizeof(ConsoleScroll) == 24);

// INPUT_RECORD with a key event [wincon.h].
struct ConsoleKeyRecord {
  u16 event_type, padding;
  u32 key_down;
  u16 repeat_count, virtual_key, scan_code;
  char16_t character;
  u32 control_keys;
};
static_assert(sizeof(ConsoleKeyRecord) == 20);
inline constexpr u16 kConsoleKeyEvent = 1;
inline constexpr u16 kConsoleResizeEvent = 4;  // WINDOW_BUFFER_SIZE_EVENT: width and height, 16 bits each, in place of key_down
// Bits of control_keys [wincon.h].
inline constexpr u32 kConsoleLeftAlt = 0x2, kConsoleLeftControl = 0x8, kConsoleShift = 0x10,
                     kConsoleEnhancedKey = 0x100;
// CTRL_C_EVENT and its kin; control_event's argument.
enum class ConsoleEvent : u32 { control_c = 0, control_break = 1 };
struct ConsoleEventParameters {
  u32 event, group;
};

}  // namespace vitrine::abi
