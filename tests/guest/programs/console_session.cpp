// A program at a terminal. Verbs: keys (prints key events until q), text (reads single characters with line input off),
// line (reads one line), size, resize (prints new sizes until q), control (counts Ctrl-C's and goes on), spin (never ends, no
// handler), crash, modes (leaves the console in another mode).
#include <windows.h>

#include <cstdio>
#include <cstring>
#include <string>

namespace {

HANDLE input, output;
volatile LONG controls = 0;

void keys() {
  SetConsoleMode(input, ENABLE_PROCESSED_INPUT);
  std::printf("ready\n");
  for (;;) {
    INPUT_RECORD record{};
    DWORD count = 0;
    if (!ReadConsoleInputW(input, &record, 1, &count) || count == 0) return;
    if (record.EventType != KEY_EVENT || !record.Event.KeyEvent.bKeyDown) continue;
    const KEY_EVENT_RECORD& key = record.Event.KeyEvent;
    std::printf("key %02x scan %02x char %04x state %x\n", key.wVirtualKeyCode, key.wVirtualScanCode,
                key.uChar.UnicodeChar, static_cast<unsigned>(key.dwControlKeyState));
    if (key.uChar.UnicodeChar == L'q') return;
  }
}

void text(DWORD mode) {
  SetConsoleMode(input, mode);
  std::printf("ready\n");
  for (wchar_t c = 0; c != L'q';) {
    DWORD count = 0;
    if (!ReadConsoleW(input, &c, 1, &count, nullptr) || count == 0) return;
    std::printf("char %04x\n", c);
  }
}

void line() {
  char text[200] = {};
  DWORD count = 0;
  std::printf("ready\n");
  ReadFile(input, text, sizeof text - 1, &count, nullptr);
  text[std::strcspn(text, "\r\n")] = 0;
  std::printf("line %lu <%s>\n", count, text);
}

void size() {
  CONSOLE_SCREEN_BUFFER_INFO info{};
  GetConsoleScreenBufferInfo(output, &info);
  std::printf("size %d %d window %d %d\n", info.dwSize.X, info.dwSize.Y, info.srWindow.Right + 1,
              info.srWindow.Bottom + 1);
  std::printf("\x1b[12;5Hx");
  std::fflush(stdout);
  GetConsoleScreenBufferInfo(output, &info);
  std::printf("\x1b[13;1Hcursor %d %d\n", info.dwCursorPosition.X, info.dwCursorPosition.Y);
}

void resize() {
  SetConsoleMode(input, ENABLE_PROCESSED_INPUT | ENABLE_WINDOW_INPUT);
  std::printf("ready\n");
  for (;;) {
    INPUT_RECORD record{};
    DWORD count = 0;
    if (!ReadConsoleInputW(input, &record, 1, &count) || count == 0) return;
    if (record.EventType == KEY_EVENT && record.Event.KeyEvent.uChar.UnicodeChar == L'q') return;
    if (record.EventType != WINDOW_BUFFER_SIZE_EVENT) continue;
    CONSOLE_SCREEN_BUFFER_INFO info{};
    GetConsoleScreenBufferInfo(output, &info);
    std::printf("event %d %d size %d %d\n", record.Event.WindowBufferSizeEvent.dwSize.X,
                record.Event.WindowBufferSizeEvent.dwSize.Y, info.dwSize.X, info.dwSize.Y);
  }
}

BOOL WINAPI on_control(DWORD event) {
  InterlockedIncrement(&controls);
  std::printf("control %lu\n", event);
  std::fflush(stdout);
  return TRUE;
}

void control() {
  SetConsoleCtrlHandler(on_control, TRUE);
  std::printf("ready\n");
  std::fflush(stdout);
  while (controls < 2) Sleep(10);
  std::printf("two\n");
}

void spin() {
  std::printf("ready\n");
  std::fflush(stdout);
  for (;;) {
  }
}

}  // namespace

int main(int count, char** arguments) {
  std::setvbuf(stdout, nullptr, _IONBF, 0);
  input = GetStdHandle(STD_INPUT_HANDLE);
  output = GetStdHandle(STD_OUTPUT_HANDLE);
  const std::string verb = count > 1 ? arguments[1] : "";
  if (verb == "keys")
    keys();
  else if (verb == "text")
    text(ENABLE_PROCESSED_INPUT);
  else if (verb == "raw")
    text(ENABLE_VIRTUAL_TERMINAL_INPUT);
  else if (verb == "line")
    line();
  else if (verb == "size")
    size();
  else if (verb == "resize")
    resize();
  else if (verb == "control")
    control();
  else if (verb == "spin")
    spin();
  else if (verb == "crash") {
    SetConsoleMode(input, 0);
    text(0);
    *static_cast<volatile int*>(nullptr) = 1;
  } else
    return 2;
  return 7;
}
