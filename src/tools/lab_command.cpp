// `vitrine lab EXPERIMENT`: the experiments of src/lab.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/commands.h"
#include "tools/lab_commands.h"

namespace vitrine::tools {

const sim::Profile* lab_profile(std::string_view name) {
  const sim::Profile* profile = sim::find_profile(name);
  if (profile == nullptr) {
    fail(kExitUsage, fmt::format("there is no profile '{}'; choose nt52-x86, nt52-x64 or nt61-x64", name));
  }
  return profile;
}

void add_lab_command(CLI::App& app, int& exit_code) {
  CLI::App* lab = app.add_subcommand("lab", "Experiments on what threads cost and how many there can be");
  lab->require_subcommand(1);
  add_thread_memory_command(*lab, exit_code);
  add_thread_limit_command(*lab, exit_code);
  add_csrss_command(*lab, exit_code);
}

}  // namespace vitrine::tools
