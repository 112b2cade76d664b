// vitrine: the command line. Each command is one file; this one only dispatches.
#include <sys/resource.h>

#include <CLI/CLI.hpp>

#include "tools/commands.h"

namespace {

// Each file that the guest opens costs one or two descriptors; the soft limit is meant for programs that use select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);  // as many as there are will do
}

}  // namespace

int main(int argc, char** argv) {
  raise_descriptor_limit();
  CLI::App app{"Vitrine runs Windows x86-64 console programs on an NT kernel in user space, deterministically and in full view."};
  app.require_subcommand(1);
  app.set_version_flag("--version", "vitrine " VITRINE_VERSION);
  int exit_code = 0;
  vitrine::tools::add_run_command(app, exit_code);
  vitrine::tools::add_services_command(app, exit_code);
  vitrine::tools::add_top_command(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : vitrine::tools::kExitUsage;
  }
  return exit_code;
}
