// Ctrl-C, SIGTERM and SIGHUP: the first one asks the run to end.
#pragma once

#include <atomic>

#include "base/types.h"

namespace vitrine::tools {

// What a second one does.
enum class SecondInterrupt : u8 {
  ends_the_tool,  // at once, whatever the run is doing
  waits,          // nothing: something has to be put back first
};

// Installs the handlers. The flag becomes true with the first signal.
[[nodiscard]] const std::atomic<bool>& watch_for_interrupt(SecondInterrupt second = SecondInterrupt::ends_the_tool);

}  // namespace vitrine::tools
