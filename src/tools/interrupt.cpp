#include "tools/interrupt.h"

#include <unistd.h>

#include <csignal>

#include "tools/commands.h"

namespace vitrine::tools {
namespace {

// Set by the signal handler only; run loops look at it between windows.
std::atomic<bool> g_interrupted{false};
std::atomic<bool> g_second_ends{true};

void on_signal(int) {
  if (g_interrupted.exchange(true) && g_second_ends) _exit(kExitInterrupted);
}

}  // namespace

const std::atomic<bool>& watch_for_interrupt(SecondInterrupt second) {
  g_second_ends = second == SecondInterrupt::ends_the_tool;
  struct sigaction action{};
  action.sa_handler = on_signal;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before{};
    sigaction(number, nullptr, &before);
    if (before.sa_handler != SIG_IGN || number == SIGINT) sigaction(number, &action, nullptr);  // nohup stays nohup
  }
  return g_interrupted;
}

}  // namespace vitrine::tools
