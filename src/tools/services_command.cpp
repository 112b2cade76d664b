// `vitrine services`: the support level of every system service, from the same table that the kernel dispatches through.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <vector>

#include "nt/service_table.h"
#include "tools/commands.h"
#include "win32k/services.h"

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

// Both tables: the executive's, then win32k's.
std::vector<const nt::Service*> every_service() {
  const auto executive = nt::all_services();
  std::vector<const nt::Service*> all(executive.begin(), executive.end());
  for (const nt::Service& service : win32k::all_services()) all.push_back(&service);
  return all;
}

void print_table() {
  const auto all = every_service();
  for (const nt::Service* s : all) {
    fmt::print("{:<40} {:<9} {}\n", s->name, level_name(s->level), s->note.empty() ? s->argument_names : s->note);
  }
  fmt::print("{} services. A service that is not listed names itself once and returns STATUS_NOT_IMPLEMENTED.\n",
             all.size());
}

void print_json() {
  nlohmann::json list = nlohmann::json::array();
  for (const nt::Service* s : every_service()) {
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
