// Ctrl-C and SIGTERM: the first one asks the run to end, the second ends the tool at once.
#pragma once

#include <atomic>

namespace vitrine::tools {

// Installs the handlers. The flag becomes true with the first signal.
[[nodiscard]] const std::atomic<bool>& watch_for_interrupt();

}  // namespace vitrine::tools
