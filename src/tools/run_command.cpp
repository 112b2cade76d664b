// `vitrine run [options] PROGRAM [ARGUMENTS]`: runs one Windows program to its end.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <optional>

#include "hal/topology.h"
#include "tools/commands.h"
#include "tools/report.h"
#include "tools/size.h"
#include "vitrine/folder_copy.h"
#include "vitrine/program_file.h"
#include "vitrine/run.h"

namespace vitrine::tools {
namespace {

// Set by the signal handler only; the run loop looks at it between windows.
std::atomic<bool> g_interrupted{false};

void on_signal(int) {
  // A second Ctrl-C ends the tool at once, whatever the run is doing.
  if (g_interrupted.exchange(true)) _exit(kExitInterrupted);
}

// What --verify copies of the current folder at most.
constexpr u64 kVerifyCopyLimit = 1ull << 30;

struct Settings {
  std::string profile{sim::kDefaultProfile};
  u32 processors = 1;
  std::string topology;
  std::string ram = "4G";
  u64 seed = 0;
  double timeout = 0;
  std::string host_limit;
  std::string system32;
  std::string stats;
  bool strace = false;
  bool verify = false;
  bool check = false;
  bool threads = false;
  std::vector<std::string> environment;
  std::vector<std::string> command;
};

int fail(int exit_code, std::string_view message) {
  fmt::print(stderr, "vitrine: {}\n", message);
  return exit_code;
}

// The part of free host memory that a run may use when nobody says otherwise.
u64 default_host_limit() {
  std::ifstream meminfo("/proc/meminfo");
  std::string key, unit;
  u64 kib = 0;
  while (meminfo >> key >> kib >> unit) {
    if (key == "MemAvailable:") return kib * 1024 / 4 * 3;
  }
  return 0;
}

// CORESxTHREADSxNODES, e.g. 8x2x2: eight cores with two hardware threads each, four cores on each of two nodes.
std::expected<hal::Topology, std::string> parse_topology(const std::string& text) {
  hal::Topology topology;
  int end = 0;
  const int read = std::sscanf(text.c_str(), "%ux%ux%u%n", &topology.cores, &topology.threads_per_core, &topology.nodes, &end);
  if (read == 3 && static_cast<std::size_t>(end) == text.size() && topology.nodes != 0 && topology.valid()) return topology;
  return std::unexpected(fmt::format("--topology {}: expected CORESxTHREADSxNODES such as 4x2x1: at most 64 processors, and as many "
                                     "cores on each node", text));
}

std::expected<RunOptions, std::string> make_options(const Settings& settings) {
  RunOptions options;
  options.profile = sim::find_profile(settings.profile);
  if (options.profile == nullptr) {
    return std::unexpected(fmt::format("there is no profile '{}'; choose nt52-x64 or nt61-x64", settings.profile));
  }
  if (options.profile->pointer_size != 8) {
    return std::unexpected(fmt::format("profile {} keeps 32-bit books and serves `lab` only; choose nt52-x64 or nt61-x64",
                                       settings.profile));
  }
  const auto ram = parse_size(settings.ram);
  if (!ram) return std::unexpected(fmt::format("--ram {}: {}", settings.ram, ram.error()));
  options.ram_bytes = *ram;
  options.host_limit_bytes = default_host_limit();
  if (!settings.host_limit.empty()) {
    const auto limit = parse_size(settings.host_limit);
    if (!limit) return std::unexpected(fmt::format("--host-limit {}: {}", settings.host_limit, limit.error()));
    options.host_limit_bytes = *limit;
  }
  for (const std::string& entry : settings.environment) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) {
      return std::unexpected(fmt::format("--env {}: expected NAME=VALUE", entry));
    }
    options.environment[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  options.processors = settings.processors;
  if (!settings.topology.empty()) {
    const auto topology = parse_topology(settings.topology);
    if (!topology) return std::unexpected(topology.error());
    options.processors = topology->processors();
    options.threads_per_core = topology->threads_per_core;
    options.nodes = topology->nodes;
  }
  options.seed = settings.seed;
  options.timeout_seconds = settings.timeout;
  options.system32 = settings.system32;
  options.check_invariants = settings.check;
  options.record_threads = settings.threads;
  options.program = settings.command.front();
  options.arguments.assign(settings.command.begin() + 1, settings.command.end());
  options.on_notice = [](std::string_view line) { fmt::print(stderr, "vitrine: {}\n", line); };
  if (settings.strace) options.on_service = [](std::string_view line) { fmt::print(stderr, "{}\n", line); };
  return options;
}

int exit_code_of(const RunResult& result) {
  switch (result.end) {
    case RunEnd::exited: {
      // The host keeps 8 bits. A failure whose low byte is 0 (0xC0000100) must not look like success.
      const int low = static_cast<int>(result.exit_code & 0xFF);
      return low == 0 && result.exit_code != 0 ? 1 : low;
    }
    case RunEnd::timed_out: return kExitTimeout;
    case RunEnd::interrupted: return kExitInterrupted;
    case RunEnd::host_limit:
    case RunEnd::deadlocked: return kExitUsage;
  }
  return kExitUsage;
}

// The second run finds what the first one found: the same input, and the current folder as it was.
int verify(const RunOptions& options, const RunResult& first, const TemporaryFolder& before) {
  RunOptions again = options;
  again.current_folder = before.path();
  const std::filesystem::path inside = resolved(options.program).lexically_relative(std::filesystem::current_path());
  if (!inside.empty() && !inside.native().starts_with("..")) again.program = before.path() / inside;
  again.show_output = false;
  again.record_threads = false;
  again.replay = first.input_log;
  again.on_service = {};
  again.on_notice = {};
  const auto second = run_program(again, &g_interrupted);
  if (!second) return fail(second.error().exit_code, second.error().message);
  if (second->end == RunEnd::interrupted) return kExitInterrupted;
  if (second->trace_hash != first.trace_hash) {
    return fail(kExitUsage, fmt::format("verify: the second run differs: trace {:016x}, then {:016x}", first.trace_hash,
                                        second->trace_hash));
  }
  fmt::print(stderr, "vitrine: verify: two runs, equal trace {:016x} ({} events)\n", first.trace_hash,
             first.statistics.events);
  return exit_code_of(first);
}

int run(const Settings& settings) {
  auto options = make_options(settings);
  if (!options) return fail(kExitUsage, options.error());
  struct sigaction action{};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a status that the guest sees, not the end of the tool

  std::optional<TemporaryFolder> before;
  if (settings.verify) {
    auto copy = copy_folder(std::filesystem::current_path(), kVerifyCopyLimit);
    if (!copy) return fail(kExitUsage, copy.error());
    before = std::move(*copy);
  }
  const auto result = run_program(*options, &g_interrupted);
  if (!result) return fail(result.error().exit_code, result.error().message);
  if (!result->explanation.empty()) fmt::print(stderr, "vitrine: {}\n", result->explanation);
  if (settings.stats == "json") {
    print_statistics_json(*result);
  } else {
    if (!settings.stats.empty()) print_statistics(*result);
    if (settings.threads) print_threads(*result);
  }
  if (settings.verify && result->end == RunEnd::exited) return verify(*options, *result, *before);
  return exit_code_of(*result);
}

}  // namespace

void add_run_command(CLI::App& app, int& exit_code) {
  auto settings = std::make_shared<Settings>();
  CLI::App* command = app.add_subcommand("run", "Run a Windows x86-64 console program");
  command->footer("PROGRAM [ARGUMENTS...] come last; everything behind PROGRAM is the program's own.");
  command->add_option("--cpus", settings->processors, "Virtual processors")->check(CLI::Range(1, 64))->capture_default_str();
  command->add_option("--topology", settings->topology, "CORESxTHREADSxNODES of the processors, e.g. 8x2x2 (instead of --cpus)")
      ->excludes("--cpus");
  command->add_option("--ram", settings->ram, "Guest memory, e.g. 512M or 4G")->capture_default_str();
  command->add_option("--seed", settings->seed, "Varies address layout, processor phase and random numbers")->capture_default_str();
  command->add_option("--profile", settings->profile, "Whose books and policies: nt52-x64 or nt61-x64")->capture_default_str();
  command->add_option("--timeout", settings->timeout, "Seconds of host time after which the run is ended")->check(CLI::NonNegativeNumber);
  command->add_option("--host-limit", settings->host_limit, "Host memory that the run may use (default: 75 % of what is free)");
  command->add_option("--system32", settings->system32, "Folder with Wine's PE DLLs (default: where the package libwine puts them)");
  command->add_option("--env", settings->environment, "NAME=VALUE for the program; may be repeated")->take_all()->allow_extra_args(false);
  // A flag, so that it never takes the program's name for its value.
  command->add_flag("--stats{text}", settings->stats, "Print what the run did; --stats=json for JSON")
      ->check(CLI::IsMember({"text", "json"}));
  command->add_flag("--threads", settings->threads, "Print a line per thread: its times, its waits and who woke it");
  command->add_flag("--strace", settings->strace, "Print each system service with its arguments and status");
  command->add_flag("--verify", settings->verify, "Run twice and compare the traces");
  command->add_flag("--check", settings->check, "Check the kernel's invariants after every window (slow)");
  command->prefix_command();
  command->callback([command, settings, &exit_code] {
    settings->command = command->remaining();
    if (settings->command.empty()) {
      exit_code = fail(kExitUsage, "which program? Say `vitrine run PROGRAM.exe [ARGUMENTS]`; `vitrine run --help` lists the options");
      return;
    }
    if (settings->command.front().starts_with("-")) {
      exit_code = fail(kExitUsage, fmt::format("there is no option {}; `vitrine run --help` lists the options", settings->command.front()));
      return;
    }
    exit_code = run(*settings);
  });
}

}  // namespace vitrine::tools
