// The subcommands of `vitrine lab`. Reports go to standard output, progress and errors to standard error.
#pragma once

#include <string_view>

#include "sim/profile.h"

namespace CLI {
class App;
}

namespace vitrine::tools {

void add_thread_memory_command(CLI::App& lab, int& exit_code);
void add_thread_limit_command(CLI::App& lab, int& exit_code);
void add_csrss_command(CLI::App& lab, int& exit_code);

// Null: there is no such profile, and the user has been told.
[[nodiscard]] const sim::Profile* lab_profile(std::string_view name);

}  // namespace vitrine::tools
