// HostTerminal: the terminal behind the standard streams. It remembers how the terminal was set and puts it back when
// it goes. Nothing is changed before the program reads: a program in the background would be stopped for it.
#pragma once

#include <termios.h>

#include <array>
#include <memory>

#include "io/console.h"

namespace vitrine {

class HostTerminal final : public io::HostTerminal {
 public:
  // Null when standard input is no terminal.
  [[nodiscard]] static std::unique_ptr<HostTerminal> open(int input);
  ~HostTerminal() override;
  HostTerminal(const HostTerminal&) = delete;
  HostTerminal& operator=(const HostTerminal&) = delete;

  void set_input(io::TerminalInput input, bool interrupts) override;

 private:
  HostTerminal(int descriptor, const termios& original) : descriptor_(descriptor), original_(original) {}
  int descriptor_;
  termios original_;
  bool changed_ = false;
};

// The size of the first of the standard streams that is a terminal; 80 by 25 when none is or it does not say.
[[nodiscard]] io::ConsoleSize terminal_size(const std::array<int, 3>& streams);

}  // namespace vitrine
