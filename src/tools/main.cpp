// vitrine: the command line. Each command is one file; this one only dispatches.
#include <CLI/CLI.hpp>

#include "tools/commands.h"

int main(int argc, char** argv) {
  CLI::App app{"Vitrine runs Windows x86-64 console programs on an NT kernel in user space, deterministically and in full view."};
  app.require_subcommand(1);
  app.set_version_flag("--version", "vitrine " VITRINE_VERSION);
  int exit_code = 0;
  vitrine::tools::add_run_command(app, exit_code);
  vitrine::tools::add_services_command(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : vitrine::tools::kExitUsage;
  }
  return exit_code;
}
