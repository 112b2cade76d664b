#include "vitrine/host_terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace vitrine {
namespace {

constexpr int kLargestSide = 1000;  // columns or rows; a terminal may say anything

}  // namespace

std::unique_ptr<HostTerminal> HostTerminal::open(int input) {
  termios original{};
  if (::isatty(input) == 0 || ::tcgetattr(input, &original) != 0) return nullptr;
  return std::unique_ptr<HostTerminal>(new HostTerminal(input, original));
}

HostTerminal::~HostTerminal() {
  if (changed_) (void)::tcsetattr(descriptor_, TCSADRAIN, &original_);
}

void HostTerminal::set_input(io::TerminalInput input, bool interrupts) {
  termios wanted = original_;
  const auto set = [](tcflag_t& flags, tcflag_t bit, bool on) { flags = on ? flags | bit : flags & ~bit; };
  const bool lines = input != io::TerminalInput::keys;
  set(wanted.c_lflag, ICANON, lines);
  set(wanted.c_lflag, ECHO, input == io::TerminalInput::lines);
  set(wanted.c_lflag, IEXTEN, lines);
  set(wanted.c_lflag, ISIG, interrupts);
  set(wanted.c_iflag, ICRNL, lines);  // Enter is CR to who reads keys
  set(wanted.c_iflag, IXON, false);   // Ctrl-S and Ctrl-Q are keys
  // To Windows Ctrl-Z is the end of input and Ctrl-\ a character.
  wanted.c_cc[VSUSP] = wanted.c_cc[VQUIT] = _POSIX_VDISABLE;
  if (!lines) {
    wanted.c_cc[VMIN] = 1;
    wanted.c_cc[VTIME] = 0;
  }
  changed_ = true;
  (void)::tcsetattr(descriptor_, TCSADRAIN, &wanted);
}

io::ConsoleSize terminal_size(const std::array<int, 3>& streams) {
  for (int stream : streams) {
    winsize size{};
    if (::isatty(stream) == 0 || ::ioctl(stream, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
      continue;
    return {static_cast<i16>(std::min<int>(size.ws_col, kLargestSide)),
            static_cast<i16>(std::min<int>(size.ws_row, kLargestSide))};
  }
  return {};
}

}  // namespace vitrine
