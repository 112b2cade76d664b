#include "kd/command.h"

#include <algorithm>

#include "kd/structure.h"

namespace vitrine::kd {
namespace {

constexpr Command kCommands[] = {
    {"dt", "TYPE [OBJECT]", "a structure of NT's with its values; without TYPE the list of them", &show_type},
    {"!thread", "[THREAD]", "all threads, or one in full", &show_threads},
    {"!process", "[PROCESS [FLAGS]]", "all processes, or one; FLAGS 2: its threads, 4: its handles", &show_processes},
    {"!waits", "", "who waits for whom, deadlocks, who can never wake, priority inversions", &show_waits},
    {"!why", "THREAD", "why a thread does not run", &show_why},
    {"!running", "", "what each processor does", &show_running},
    {"!ready", "", "who is ready on which processor, in order", &show_ready},
    {"!stacks", "[PROCESS]", "each thread's place: service and user-mode addresses on its stack", &show_stacks},
    {"!apc", "[PROCESS]", "queued APCs", &show_apcs},
    {"!timer", "", "set timers by due time", &show_timers},
    {"!handle", "[PROCESS]", "a process's handles", &show_handles},
    {"!object", "OBJECT", "an object: header, name, counts, who waits, who signalled it last", &show_object},
    {"!vad", "[PROCESS]", "a process's address ranges", &show_vads},
    {"!pte", "[PROCESS:]ADDRESS", "the page-table entry of an address", &show_pte},
    {"!pool", "", "kernel pool by tag", &show_pool},
    {"!vm", "", "memory of the whole machine", &show_memory},
    {"!invariants", "", "checks the kernel's books", &show_invariants},
    {"help", "", "this list", &show_help},
};

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\n");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of(separators), text.size());
    if (const std::string_view part = trim(text.substr(0, end)); !part.empty()) parts.push_back(part);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string unknown_command(std::string_view name) {
  return fmt::format("kd has no command {}; `help` lists them", name);
}

}  // namespace

std::span<const Command> commands() { return kCommands; }

const Command* find_command(std::string_view name) {
  const auto* found = std::ranges::find(kCommands, name, &Command::name);
  return found == std::end(kCommands) ? nullptr : found;
}

std::vector<Report> run_commands(const Target& target, std::string_view line) {
  std::vector<Report> reports;
  for (const std::string_view text : split(line, ";")) {
    Report& report = reports.emplace_back();
    report.command = text;
    Arguments words = split(text, " \t\n");
    const Command* command = find_command(words.front());
    if (command == nullptr) {
      report.fail("{}", unknown_command(words.front()));
      continue;
    }
    words.erase(words.begin());
    command->run(target, words, report);
  }
  return reports;
}

std::string check_commands(std::string_view line) {
  if (split(line, ";").empty()) return "which kd commands? `--kd help` lists them";
  for (const std::string_view text : split(line, ";")) {
    const Arguments words = split(text, " \t\n");
    if (find_command(words.front()) == nullptr) return unknown_command(words.front());
    if (words.front() == "dt" && words.size() > 1 && find_structure(words[1]) == nullptr) {
      return fmt::format("kd knows no structure {}; `dt` lists them", words[1]);
    }
  }
  return {};
}

Report help() {
  Report report{.command = "help", .understood = true, .parts = {}};
  Table& table = report.table({"command", "arguments", "shows"});
  for (const Command& command : kCommands) {
    table.rows.push_back({std::string(command.name), std::string(command.arguments), std::string(command.help)});
  }
  report.say("THREAD is an id (0x10), a name or . for the current one; OBJECT an address or PROCESS:HANDLE.");
  return report;
}

void show_help(const Target&, const Arguments&, Report& report) { report.parts = help().parts; }

}  // namespace vitrine::kd
