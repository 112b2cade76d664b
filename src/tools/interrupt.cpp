#include "tools/interrupt.h"

#include <unistd.h>

#include <csignal>

#include "tools/commands.h"

namespace vitrine::tools {
namespace {

// Set by the signal handler only; run loops look at it between windows.
std::atomic<bool> g_interrupted{false};

void on_signal(int) {
  // A second Ctrl-C ends the tool at once, whatever the run is doing.
  if (g_interrupted.exchange(true)) _exit(kExitInterrupted);
}

}  // namespace

const std::atomic<bool>& watch_for_interrupt() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return g_interrupted;
}

}  // namespace vitrine::tools
