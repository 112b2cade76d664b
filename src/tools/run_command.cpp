// `vitrine run [options] PROGRAM [ARGUMENTS]`: runs one Windows program to its end.
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <ctime>
#include <cstdio>

#include "cpu/translator/translator.h"
#include "kd/command.h"
#include "hal/topology.h"
#include "tools/commands.h"
#include "tools/duration.h"
#include "tools/host_memory.h"
#include "tools/look.h"
#include "tools/report.h"
#include "tools/size.h"
#include "vitrine/mounts.h"
#include "vitrine/registry_file.h"
#include "vitrine/debugger.h"
#include "vitrine/run.h"
#include "vitrine/run_overlay.h"

namespace vitrine::tools {
namespace {

// Set by the signal handler only; the run loop looks at them between windows.
std::atomic<bool> g_interrupted{false};
HostSignals g_signals;

// With a terminal, Ctrl-C is the program's to handle; a second one within this time ends the run.
std::atomic<bool> g_has_terminal{false};
std::atomic<u64> g_last_control_c_ns{0};
constexpr u64 kSecondControlCNs = 2'000'000'000;

// How the terminal was when the tool began: what is put back should the tool end without unwinding.
termios g_terminal{};

void restore_terminal() {
  if (g_has_terminal) (void)tcsetattr(STDIN_FILENO, TCSANOW, &g_terminal);
}

void on_signal(int number) {
  if (number == SIGINT && g_has_terminal && !g_interrupted) {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const u64 now_ns = static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
    const u64 last_ns = g_last_control_c_ns.exchange(now_ns);
    if (last_ns == 0 || now_ns - last_ns > kSecondControlCNs) {
      g_signals.control_c.fetch_add(1);
      return;
    }
  }
  // One more ends the tool at once, whatever the run is doing.
  if (!g_interrupted.exchange(true)) return;
  restore_terminal();
  _exit(kExitInterrupted);
}

void on_resize(int) { g_signals.resized.fetch_add(1); }

// The tool itself fails: the terminal is put back, then the signal takes its course.
void on_crash(int number) {
  restore_terminal();
  raise(number);
}

void handle_signals() {
  g_has_terminal = isatty(STDIN_FILENO) != 0 && tcgetattr(STDIN_FILENO, &g_terminal) == 0;
  struct sigaction action{};
  action.sa_handler = on_signal;
  for (int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before{};
    sigaction(number, nullptr, &before);
    if (before.sa_handler != SIG_IGN || number == SIGINT) sigaction(number, &action, nullptr);  // nohup stays nohup
  }
  struct sigaction resize{};
  resize.sa_handler = on_resize;
  if (g_has_terminal) sigaction(SIGWINCH, &resize, nullptr);
  struct sigaction crash{};
  crash.sa_handler = on_crash;
  crash.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
  for (int number : {SIGABRT, SIGSEGV, SIGBUS, SIGILL}) sigaction(number, &crash, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a status that the guest sees, not the end of the tool
  std::signal(SIGXFSZ, SIG_IGN);  // and so is the limit on the size of files
}

struct Settings {
  std::string profile{sim::kDefaultProfile};
  u32 processors = 1;
  std::string topology;
  std::string ram = "4G";
  std::string system_ptes;
  std::string csrss;
  u64 seed = 0;
  std::string backend = "translator";
  bool avx512 = false;
  double timeout = 0;
  std::string host_limit;
  std::string system32;
  std::string stats;
  bool strace = false;
  bool verify = false;
  bool check = false;
  bool threads = false;
  bool overlay = false, overlay_show = false, overlay_apply = false;
  std::string overlay_keep;
  std::string registry;
  std::vector<std::string> environment, mounts;
  std::string current_folder;
  std::string kd, kd_at, kd_when;
  bool json = false;
  std::vector<std::string> command;
};

// The error is one line; empty: none.
std::string debug_options(const Settings& settings, DebugOptions& debug) {
  if (settings.kd.empty()) {
    return settings.kd_at.empty() && settings.kd_when.empty() ? "" : "--kd-at and --kd-when say when --kd looks: give --kd, too";
  }
  if (std::string error = kd::check_commands(settings.kd); !error.empty()) return fmt::format("--kd: {}", error);
  if (!settings.kd_at.empty() && !settings.kd_when.empty()) return "--kd-at and --kd-when: choose one";
  if (!settings.kd_at.empty()) {
    const auto at = parse_duration(settings.kd_at);
    if (!at) return fmt::format("--kd-at {}: {}", settings.kd_at, at.error());
    debug.at_ns = *at;
  }
  if (!settings.kd_when.empty()) {
    if (std::string error = check_debug_event(settings.kd_when); !error.empty()) return fmt::format("--kd-when: {}", error);
    debug.when = settings.kd_when;
  }
  debug.commands = settings.kd;
  debug.show = settings.json ? &print_look_json : &print_look;
  return {};
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

// What is wrong with the choice; empty: nothing.
std::string choose_processor(const Settings& settings, RunOptions& options) {
  const bool kvm = settings.backend == "kvm";
  if (kvm && settings.verify) return "--verify compares two runs, and --backend kvm cannot repeat one: leave one of them away";
  if (kvm && settings.avx512) return "--avx512 is the translator's: leave it or --backend kvm away";
  if (settings.avx512 && !cpu::host_supports_avx512()) {
    return "--avx512: this host has no AVX-512 (F, CD, BW, DQ, VL); run the program without it, or on a host that has";
  }
  options.backend = kvm ? BackendChoice::kvm : BackendChoice::translator;
  options.avx512 = settings.avx512;
  return {};
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
  if (!settings.system_ptes.empty()) {
    const auto bytes = parse_size(settings.system_ptes);
    if (!bytes) return std::unexpected(fmt::format("--system-ptes {}: {}", settings.system_ptes, bytes.error()));
    options.system_pte_bytes = *bytes;
  }
  if (!settings.csrss.empty()) {
    const auto strategy = csr::parse_strategy(settings.csrss);
    if (!strategy) return std::unexpected(fmt::format("--csrss: {}", strategy.error()));
    options.csrss = *strategy;
  }
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
  for (const std::string& text : settings.mounts) {
    auto mount = parse_mount(text);
    if (!mount) return std::unexpected(mount.error());
    options.mounts.push_back(std::move(*mount));
  }
  if (!settings.current_folder.empty()) options.guest_current_folder = settings.current_folder;
  if (const std::string error = debug_options(settings, options.debug); !error.empty()) return std::unexpected(error);
  options.processors = settings.processors;
  if (!settings.topology.empty()) {
    const auto topology = parse_topology(settings.topology);
    if (!topology) return std::unexpected(topology.error());
    options.processors = topology->processors();
    options.threads_per_core = topology->threads_per_core;
    options.nodes = topology->nodes;
  }
  options.seed = settings.seed;
  if (std::string problem = choose_processor(settings, options); !problem.empty()) return std::unexpected(std::move(problem));
  options.timeout_seconds = settings.timeout;
  options.system32 = settings.system32;
  options.check_invariants = settings.check;
  options.overlay = settings.overlay || settings.verify;
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

// The second run finds what the first one found: the same input, and files that the first one did not touch, because
// both ran with an overlay.
int verify(const RunOptions& options, const RunResult& first) {
  RunOptions again = options;
  again.show_output = false;
  again.record_threads = false;
  again.debug = {};
  again.replay = first.input_log;
  again.on_service = {};
  again.on_notice = {};
  again.signals = nullptr;
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

// After the run: what was written is shown, kept, applied, or forgotten. The exit code that this makes of `exit_code`.
int settle_overlay(const Settings& settings, const RunResult& result, int exit_code) {
  if (result.overlay == nullptr) return exit_code;
  if (settings.overlay_show) {
    const auto lines = result.overlay->list();
    if (!lines) return fail(kExitUsage, lines.error());
    for (const std::string& line : *lines) fmt::print(stderr, "vitrine: overlay: {}\n", line);
    if (lines->empty()) fmt::print(stderr, "vitrine: overlay: no changes\n");
  }
  if (!settings.overlay_keep.empty()) {
    if (const auto kept = result.overlay->keep(settings.overlay_keep); !kept) return fail(kExitUsage, kept.error());
  }
  // --verify without --overlay needs one only for itself.
  if (settings.overlay_apply || !settings.overlay) {
    if (const auto applied = result.overlay->apply(); !applied) return fail(kExitUsage, applied.error());
  }
  return exit_code;
}

int run(const Settings& settings) {
  auto options = make_options(settings);
  if (!options) return fail(kExitUsage, options.error());
  if (!settings.registry.empty()) {
    auto text = read_registry_file(settings.registry);
    if (!text) return fail(kExitUsage, text.error());
    options->registry = std::move(*text);
  }
  handle_signals();
  if (g_has_terminal) options->signals = &g_signals;

  const auto result = run_program(*options, &g_interrupted);
  if (!result) return fail(result.error().exit_code, result.error().message);
  if (!result->explanation.empty()) fmt::print(stderr, "vitrine: {}\n", result->explanation);
  if (settings.stats == "json") {
    print_statistics_json(*result);
  } else {
    if (!settings.stats.empty()) print_statistics(*result);
    if (settings.threads) print_threads(*result);
  }
  // The registry is a part of what the overlay keeps from the host.
  const bool stored = !settings.registry.empty() && (!settings.overlay || settings.overlay_apply) &&
                      result->registry != options->registry;
  if (stored) {
    if (const auto written = write_registry_file(settings.registry, result->registry); !written) {
      (void)settle_overlay(settings, *result, 0);
      return fail(kExitUsage, written.error());
    }
  }
  const bool verifies = settings.verify && result->end == RunEnd::exited;
  return settle_overlay(settings, *result, verifies ? verify(*options, *result) : exit_code_of(*result));
}

void add_processor_options(CLI::App& command, Settings& settings) {
  command
      .add_option("--backend", settings.backend,
                  "What runs the program's code: translator, or kvm (native speed where there is /dev/kvm; counts no instructions, "
                  "so no run is like the other)")
      ->check(CLI::IsMember({"translator", "kvm"}))
      ->capture_default_str();
  command.add_flag("--avx512", settings.avx512, "AVX-512 (x86-64-v4) for the program: its results and the trace hash are this host's");
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
  command->add_option("--system-ptes", settings->system_ptes, "Kernel address space for kernel stacks, e.g. 1T (default: the profile's)");
  command->add_option("--csrss", settings->csrss, "How CSRSS finds threads: chained:N, constant, resizing or bypass");
  command->add_option("--seed", settings->seed, "Varies address layout, processor phase and random numbers")
      ->capture_default_str();
  add_processor_options(*command, *settings);
  command->add_option("--profile", settings->profile, "Whose books and policies: nt52-x64 or nt61-x64")
      ->capture_default_str();
  command->add_option("--timeout", settings->timeout, "Seconds of host time after which the run is ended")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--host-limit", settings->host_limit,
                      "Host memory that the run may use (default: 75 % of what is free)");
  command->add_option("--system32", settings->system32,
                      "Folder with Wine's PE DLLs (default: where the package libwine puts them)");
  command->add_option("--env", settings->environment, "NAME=VALUE for the program; may be repeated")
      ->take_all()
      ->allow_extra_args(false);
  command
      ->add_option("--mount", settings->mounts,
                   "'C:\\path=folder' shows the program a folder, ':ro' behind it read-only; may be repeated")
      ->take_all()
      ->allow_extra_args(false);
  command->add_option("--cwd", settings->current_folder,
                      "Where the program starts (default: C:\\work, the current folder)");
  command->add_option("--registry", settings->registry,
                      "Keep the registry in this file from run to run (default: a fresh one each time)");
  command->add_flag("--overlay", settings->overlay, "Nothing that the program writes reaches the host");
  command->add_flag("--overlay-show", settings->overlay_show, "The same, and list what the program would have changed");
  command->add_flag("--overlay-apply", settings->overlay_apply,
                    "The same, and make the changes when the run has ended");
  command->add_option("--overlay-keep", settings->overlay_keep,
                      "The same, and copy what was added or changed into this new folder");
  // A flag, so that it never takes the program's name for its value.
  command->add_flag("--stats{text}", settings->stats, "Print what the run did; --stats=json for JSON")
      ->check(CLI::IsMember({"text", "json"}));
  command->add_flag("--threads", settings->threads, "Print a line per thread: its times, its waits and who woke it");
  command->add_option("--kd", settings->kd, "Look at the machine with kd commands, separated by semicolons; --kd help lists them")
      ->take_last();
  command->add_option("--kd-at", settings->kd_at, "When: virtual time, e.g. 1.5s or 20ms (default: when the program exits)");
  command->add_option("--kd-when", settings->kd_when, "When: thread_exit, exception, deadlock or service:NAME, each may name a :THREAD");
  command->add_flag("--json", settings->json, "What --kd says as JSON, one document a look");
  command->add_flag("--strace", settings->strace, "Print each system service with its arguments and status");
  command->add_flag("--verify", settings->verify, "Run twice and compare the traces");
  command->add_flag("--check", settings->check, "Check the kernel's invariants after every window (slow)");
  command->prefix_command();
  command->callback([command, settings, &exit_code] {
    settings->command = command->remaining();
    if (settings->command.empty() && settings->kd == "help") {
      fmt::print("{}", kd::help().text());
      return;
    }
    if (settings->command.empty()) {
      exit_code = fail(kExitUsage, "which program? Say `vitrine run PROGRAM.exe [ARGUMENTS]`; `vitrine run --help` lists the options");
      return;
    }
    if (settings->command.front().starts_with("-")) {
      exit_code = fail(kExitUsage, fmt::format("there is no option {}; `vitrine run --help` lists the options", settings->command.front()));
      return;
    }
    settings->overlay |= settings->overlay_show || settings->overlay_apply || !settings->overlay_keep.empty();
    exit_code = run(*settings);
  });
}

}  // namespace vitrine::tools
