// `vitrine services`: the support level of every system service, from the same table that the kernel dispatches through.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "nt/service_table.h"
#include "tools/commands.h"

namespace vitrine::tools {
namespace {

std::string_view level_name(nt::SupportLevel level) {
  switch (level) {
    case nt::SupportLevel::complete: return "complete";
    case nt::SupportLevel::partial: return "partial";
    case nt::SupportLevel::refused: return "refused";
  }
  return "";
}

void print_table() {
  for (const nt::Service* s : nt::all_services()) {
    fmt::print("{:<40} {:<9} {}\n", s->name, level_name(s->level), s->note.empty() ? s->argument_names : s->note);
  }
  fmt::print("{} services. A service that is not listed names itself once and returns STATUS_NOT_IMPLEMENTED.\n",
             nt::all_services().size());
}

void print_json() {
  nlohmann::json list = nlohmann::json::array();
  for (const nt::Service* s : nt::all_services()) {
    list.push_back({{"name", s->name}, {"level", level_name(s->level)}, {"arguments", s->argument_names}, {"note", s->note}});
  }
  fmt::print("{}\n", list.dump(2));
}

}  // namespace

void add_services_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("services", "List the system services and how much of each there is");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Print JSON");
  command->callback([json, &exit_code] {
    *json ? print_json() : print_table();
    exit_code = 0;
  });
}

}  // namespace vitrine::tools
