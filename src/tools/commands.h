// The commands of the tool. Each adds itself to the command line and leaves the process's exit code in `exit_code`.
#pragma once

#include <string_view>

namespace CLI {
class App;
}

namespace vitrine::tools {

// Exit codes of the tool itself; a program's own exit code is passed through (its low 8 bits, as the host allows).
inline constexpr int kExitTimeout = 124;      // --timeout
inline constexpr int kExitUsage = 125;        // bad options, or Vitrine itself could not run
inline constexpr int kExitNotRunnable = 126;  // the program is not one that can run
inline constexpr int kExitNotFound = 127;     // no such program
inline constexpr int kExitInterrupted = 130;  // SIGINT

// Prints the one line that a user gets; returns `exit_code`.
int fail(int exit_code, std::string_view message);

void add_run_command(CLI::App& app, int& exit_code);
void add_lab_command(CLI::App& app, int& exit_code);
void add_services_command(CLI::App& app, int& exit_code);
void add_top_command(CLI::App& app, int& exit_code);

}  // namespace vitrine::tools
