// The kd commands, as a table: name, arguments, one line of help, and the function that fills a report. Each command is
// one small file under commands/; a function there says what it found, or fails with one clear line.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "kd/report.h"
#include "kd/target.h"

namespace vitrine::kd {

using Arguments = std::vector<std::string_view>;

struct Command {
  std::string_view name;       // "!waits"
  std::string_view arguments;  // "[THREAD]"
  std::string_view help;
  void (*run)(const Target& target, const Arguments& arguments, Report& report);
};

[[nodiscard]] std::span<const Command> commands();
// Null: no such command.
[[nodiscard]] const Command* find_command(std::string_view name);

// Runs `line`: commands separated by semicolons, in order. An unknown one gives a report that says so.
[[nodiscard]] std::vector<Report> run_commands(const Target& target, std::string_view line);
// What is wrong with `line` before any machine exists: the name of a command or type that is not there. Empty: nothing.
[[nodiscard]] std::string check_commands(std::string_view line);
// What `help` shows.
[[nodiscard]] Report help();

// The functions of the table, by file.
void show_help(const Target& target, const Arguments& arguments, Report& report);
void show_type(const Target& target, const Arguments& arguments, Report& report);
void show_threads(const Target& target, const Arguments& arguments, Report& report);
void show_processes(const Target& target, const Arguments& arguments, Report& report);
void show_ready(const Target& target, const Arguments& arguments, Report& report);
void show_running(const Target& target, const Arguments& arguments, Report& report);
void show_stacks(const Target& target, const Arguments& arguments, Report& report);
void show_apcs(const Target& target, const Arguments& arguments, Report& report);
void show_timers(const Target& target, const Arguments& arguments, Report& report);
void show_waits(const Target& target, const Arguments& arguments, Report& report);
void show_why(const Target& target, const Arguments& arguments, Report& report);
void show_invariants(const Target& target, const Arguments& arguments, Report& report);
void show_handles(const Target& target, const Arguments& arguments, Report& report);
void show_object(const Target& target, const Arguments& arguments, Report& report);
void show_vads(const Target& target, const Arguments& arguments, Report& report);
void show_pte(const Target& target, const Arguments& arguments, Report& report);
void show_pool(const Target& target, const Arguments& arguments, Report& report);
void show_memory(const Target& target, const Arguments& arguments, Report& report);

}  // namespace vitrine::kd
