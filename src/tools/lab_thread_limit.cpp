// `vitrine lab thread-limit`: how many threads there can be, what stops them, and what would stop them next.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "lab/guest_limit.h"
#include "lab/thread_limit.h"
#include "tools/commands.h"
#include "tools/external.h"
#include "tools/host_memory.h"
#include "tools/interrupt.h"
#include "tools/lab_commands.h"
#include "tools/large_pages.h"
#include "tools/plot.h"
#include "tools/size.h"

namespace vitrine::tools {
namespace {

struct Settings {
  std::string profile{sim::kDefaultProfile};
  std::string ram = "1T", stack = "64K", system_ptes, csrss, host_limit, json;
  std::vector<std::string> plots;
  u32 processors = 1, creators = 4;
  u64 processes = 0, threads = 0, seed = 0;
  bool guest = false;
  lab::GuestCall guest_call = lab::GuestCall::kernel;
};

// The error is one line for the user.
std::expected<lab::ThreadLimitOptions, std::string> read(const Settings& settings, const sim::Profile& profile) {
  lab::ThreadLimitOptions options;
  const auto size = [](const char* name, const std::string& text, u64& into) -> std::string {
    if (text.empty()) return {};
    const auto bytes = parse_size(text);
    if (!bytes) return fmt::format("{} {}: {}", name, text, bytes.error());
    into = *bytes;
    return {};
  };
  options.machine.profile = &profile;
  options.machine.processors = settings.processors;
  options.machine.seed = settings.seed;
  options.population.host_limit_bytes = default_host_limit();
  for (const std::string& error : {size("--ram", settings.ram, options.machine.ram_bytes),
                                   size("--stack", settings.stack, options.population.stack_bytes),
                                   size("--system-ptes", settings.system_ptes, options.machine.system_pte_bytes),
                                   size("--host-limit", settings.host_limit, options.population.host_limit_bytes)}) {
    if (!error.empty()) return std::unexpected(error);
  }
  for (const std::string& plot : settings.plots) {
    if (const auto good = check_picture("--plot", plot); !good) return std::unexpected(good.error());
  }
  // NT's own way, with its visits counted: to walk them would take the host hours, as it took NT.
  csr::Strategy strategy = csr::default_strategy(profile);
  strategy.walk = csr::Walk::counted;
  if (!settings.csrss.empty()) {
    const auto parsed = csr::parse_strategy(settings.csrss);
    if (!parsed) return std::unexpected("--csrss: " + parsed.error());
    strategy = *parsed;
  }
  options.machine.csrss = strategy;
  options.population.creators = settings.creators;
  if (settings.processes != 0) options.population.processes = settings.processes;
  if (settings.threads != 0) options.population.threads = settings.threads;
  return options;
}

void print_intervals(const lab::ThreadLimitReport& report) {
  fmt::print("\n{:>21}  {:>18}  {:>18}\n", "", "modelled us", "host us");
  fmt::print("{:>21}  {:>18}  {:>18}  {:>22}\n", "threads", "per thread", "per thread", "CSRSS visits per thread");
  for (const lab::Interval& row : report.intervals) {
    fmt::print("{:>10}-{:>10}  {:>18.2f}  {:>18.2f}  {:>22.1f}\n", row.from, row.to, row.virtual_ns / 1000,
               row.host_ns / 1000, row.visits);
  }
}

void print_rows(const lab::ThreadLimitReport& report) {
  fmt::print("\n{:<26} {:>12} {:>12} {:<8} {:>6} {:>11} {:>14}\n", "resource", "used", "of", "", "%", "per thread",
             "would hold");
  for (const lab::LimitRow& row : report.rows) {
    const bool bound = report.bound && report.bound->use.resource == row.use.resource;
    const double share =
        row.use.capacity == 0 ? 0 : 100.0 * static_cast<double>(row.use.used) / static_cast<double>(row.use.capacity);
    fmt::print("{:<26} {:>12} {:>12} {:<8} {:>6.2f} {:>11.3f} {:>14}{}\n",
               std::string(row.use.name) + (row.per_process ? " (a process)" : ""), row.use.used, row.use.capacity,
               row.use.unit, share, row.per_thread, row.would_hold == 0 ? "-" : fmt::format("{}", row.would_hold),
               bound ? "  <- refused" : "");
  }
}

void print_end(const lab::ThreadLimitReport& report) {
  const std::string made =
      fmt::format("{} threads in {} process{}", report.threads, report.processes, report.processes == 1 ? "" : "es");
  switch (report.end) {
    case lab::GrowthEnd::enough:
      fmt::print("\n{}, as asked for.\n", made);
      break;
    case lab::GrowthEnd::interrupted:
      fmt::print("\n{} when interrupted.\n", made);
      break;
    case lab::GrowthEnd::host_limit:
      fmt::print("\n{} when the host's memory reached --host-limit.\n", made);
      break;
    case lab::GrowthEnd::refused:
      fmt::print("\n{}; then a creation failed with {}.\n", made, status_name(report.status));
      if (report.bound) {
        fmt::print("The limit is {}: {} of {} {} in use{}.\n", report.bound->use.name, report.bound->use.used,
                   report.bound->use.capacity, report.bound->use.unit,
                   report.bound->per_process ? " in a process" : "");
      } else {
        fmt::print("None of the watched resources refused.\n");
      }
      break;
  }
  if (report.processes > 1) fmt::print("The largest process holds {} threads.\n", report.largest_process);
  if (report.next) {
    fmt::print("{} would be {}, at about {} threads.\n", report.bound ? "Raised, the next limit" : "The first limit",
               report.next->use.name, report.next->would_hold);
  }
}

void print_host(const lab::ThreadLimitReport& report) {
  fmt::print("\nHost: {:.1f} s to create, {}, {} bytes per thread, peak {}.\n",
             static_cast<double>(report.grow_host_ns) / 1e9, format_size(report.host_bytes),
             report.threads == 0 ? 0 : report.host_bytes / report.threads, format_size(report.peak_host_bytes));
  if (!report.ended) return;
  fmt::print("All terminated again in {:.1f} s; {}.\n", static_cast<double>(report.end_host_ns) / 1e9,
             report.kept.empty()
                 ? fmt::format(
                       "every book is back at its start (the id table and CSRSS's handle table keep their {} pages, as "
                       "NT's handle tables never shrink)",
                       report.table_pages)
                 : "these books are not back at their start:");
  for (const lab::LedgerDifference& kept : report.kept) {
    fmt::print("  {}: {} before, {} after\n", kept.name, kept.before, kept.after);
  }
}

nlohmann::ordered_json to_json(const lab::ThreadLimitReport& report, const lab::ThreadLimitOptions& options) {
  static constexpr std::string_view kEnds[] = {"enough", "refused", "interrupted", "host limit"};
  nlohmann::ordered_json all{{"profile", options.machine.profile->name},
                             {"ram_bytes", options.machine.ram_bytes},
                             {"stack_bytes", options.population.stack_bytes},
                             {"csrss", csr::format_strategy(*options.machine.csrss)},
                             {"processors", options.machine.processors},
                             {"end", kEnds[static_cast<std::size_t>(report.end)]},
                             {"status", status_name(report.status)},
                             {"limit", report.bound ? nlohmann::ordered_json(report.bound->use.name) : nullptr},
                             {"next_limit", report.next ? nlohmann::ordered_json(report.next->use.name) : nullptr},
                             {"threads", report.threads},
                             {"processes", report.processes},
                             {"largest_process", report.largest_process},
                             {"modelled_ns", report.virtual_ns},
                             {"host",
                              {{"create_ns", report.grow_host_ns},
                               {"terminate_ns", report.end_host_ns},
                               {"bytes", report.host_bytes},
                               {"peak_bytes", report.peak_host_bytes}}},
                             {"books_back", report.ended ? nlohmann::ordered_json(report.kept.empty()) : nullptr},
                             {"resources", nlohmann::ordered_json::array()},
                             {"intervals", nlohmann::ordered_json::array()}};
  for (const lab::LimitRow& row : report.rows) {
    all["resources"].push_back({{"name", row.use.name},
                                {"unit", row.use.unit},
                                {"used", row.use.used},
                                {"capacity", row.use.capacity},
                                {"per_thread", row.per_thread},
                                {"would_hold_threads", row.would_hold}});
  }
  for (const lab::Interval& row : report.intervals) {
    all["intervals"].push_back({{"from", row.from},
                                {"to", row.to},
                                {"modelled_ns_per_thread", row.virtual_ns},
                                {"host_ns_per_thread", row.host_ns},
                                {"csrss_visits_per_thread", row.visits}});
  }
  return all;
}

int exit_code_of(lab::GrowthEnd end) {
  if (end == lab::GrowthEnd::interrupted) return kExitInterrupted;
  return end == lab::GrowthEnd::host_limit ? kExitUsage : 0;
}

std::vector<Panel> panels_of(const lab::ThreadLimitReport& report) {
  Panel modelled{.title = "Modelled time", .x = "threads", .y = "us a thread", .curves = {{"creation", {}}}};
  Panel host{.title = "Host time", .x = "threads", .y = "us a thread", .curves = {{"creation", {}}}};
  for (const lab::Interval& row : report.intervals) {
    const double middle = static_cast<double>(row.from + row.to) / 2;
    modelled.curves[0].points.emplace_back(middle, row.virtual_ns / 1000);
    host.curves[0].points.emplace_back(middle, row.host_ns / 1000);
  }
  return {modelled, host};
}

// The error is one line for the user.
std::expected<void, std::string> write_files(const Settings& settings, const lab::ThreadLimitReport& report,
                                             const lab::ThreadLimitOptions& options) {
  if (!settings.json.empty()) {
    const auto written = write_file(settings.json, to_json(report, options).dump(2) + "\n");
    if (!written) return written;
  }
  if (report.intervals.empty()) return {};
  for (const std::string& plot : settings.plots) {
    if (const auto drawn = draw_panels(plot, panels_of(report)); !drawn) return drawn;
  }
  return {};
}

// Ends the tool with what it has: taking millions of threads apart takes as long as making them, and more memory.
[[noreturn]] void leave(const Settings& settings, const lab::ThreadLimitReport& report,
                        const lab::ThreadLimitOptions& options) {
  int exit_code = exit_code_of(report.end);
  print_host(report);
  if (const auto written = write_files(settings, report, options); !written) {
    exit_code = fail(kExitUsage, written.error());
  }
  std::fflush(nullptr);
  _exit(exit_code);
}

// What is printed when the threads exist; it does not return when the run was cut short.
auto growth_printer(const Settings& settings, const lab::ThreadLimitOptions& options) {
  return [&](const lab::ThreadLimitReport& report) {
    if (isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r");
    print_intervals(report);
    print_rows(report);
    print_end(report);
    if (exit_code_of(report.end) != 0 && !settings.guest) leave(settings, report, options);
    std::fflush(stdout);
  };
}

std::expected<lab::ThreadLimitReport, std::string> run_guest(const Settings& settings,
                                                             const lab::ThreadLimitOptions& options) {
  lab::GuestLimitOptions guest{.run = {}, .population = options.population, .call = settings.guest_call};
  guest.run.profile = options.machine.profile;
  guest.run.processors = options.machine.processors;
  guest.run.ram_bytes = options.machine.ram_bytes;
  guest.run.system_pte_bytes = options.machine.system_pte_bytes;
  guest.run.csrss = options.machine.csrss;
  guest.run.seed = options.machine.seed;
  const auto measured = lab::measure_guest_limit(guest, growth_printer(settings, options));
  if (!measured) return std::unexpected(measured.error());
  fmt::print(
      "\nCSRSS was told of {} threads and would not take {}; the program copied {} pages by copy-on-write and ended "
      "with {}, {:.1f} s later.\n",
      measured->csrss_threads, measured->csrss_refused, measured->copied_pages, measured->exit_code,
      static_cast<double>(measured->limit.end_host_ns) / 1e9);
  return measured->limit;
}

int run(const Settings& settings) {
  const sim::Profile* profile = lab_profile(settings.profile);
  if (profile == nullptr) return kExitUsage;
  if (settings.guest && profile->pointer_size != 8) {
    return fail(kExitUsage, "--guest: the Windows program is a 64-bit one; choose a profile for x64");
  }
  auto options = read(settings, *profile);
  if (!options) return fail(kExitUsage, options.error());
  options->population.interrupt = &watch_for_interrupt();
  const LargePages large_pages;
  if (isatty(STDERR_FILENO) != 0) {
    options->population.on_sample = [](const lab::Sample& sample) {
      if (sample.threads % 100'000 == 0) fmt::print(stderr, "\r{} threads", sample.threads);
    };
  }
  fmt::print("{}: {} of RAM, {} stacks, CSRSS {}, {} creators a process, {} processor{}\n", profile->name,
             format_size(options->machine.ram_bytes), format_size(options->population.stack_bytes),
             csr::format_strategy(*options->machine.csrss), settings.creators, settings.processors,
             settings.processors == 1 ? "" : "s");
  std::fflush(stdout);
  const auto measured = settings.guest ? run_guest(settings, *options)
                                       : lab::measure_thread_limit(*options, growth_printer(settings, *options));
  if (!measured) return fail(kExitUsage, measured.error());
  print_host(*measured);
  if (const auto written = write_files(settings, *measured, *options); !written) {
    return fail(kExitUsage, written.error());
  }
  return exit_code_of(measured->end);
}

}  // namespace

void add_thread_limit_command(CLI::App& lab, int& exit_code) {
  auto settings = std::make_shared<Settings>();
  CLI::App* command = lab.add_subcommand("thread-limit", "How many threads there can be, and what stops them");
  command->add_option("--profile", settings->profile, "nt52-x86, nt52-x64 or nt61-x64")->capture_default_str();
  command->add_option("--ram", settings->ram, "RAM of the machine")->capture_default_str();
  command->add_option("--stack", settings->stack, "User stack reserved for each thread")->capture_default_str();
  command->add_option("--system-ptes", settings->system_ptes,
                      "Size of the region of system PTEs (default: the profile's)");
  command->add_option(
      "--csrss", settings->csrss,
      "How CSRSS finds threads: chained:N, constant, either with ,counted; resizing; bypass (default: as "
      "the profile's Windows, counted)");
  command->add_option("--cpus", settings->processors, "Processors of the machine")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  command->add_option("--creators", settings->creators, "Threads that create, in each process")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  command->add_option("--processes", settings->processes, "At most so many processes (default: as many as needed)");
  command->add_option("--threads", settings->threads, "Stop at so many threads (default: when a creation fails)");
  command->add_option("--host-limit", settings->host_limit,
                      "Host memory to use at most (default: three quarters of what is free)");
  command->add_option("--seed", settings->seed, "Seed of the run")->capture_default_str();
  command->add_option("--json", settings->json, "Write the figures to this file");
  command->add_option("--plot", settings->plots, "Draw FILE.svg or FILE.png; several allowed");
  command->add_flag("--guest", settings->guest, "Let a Windows program create the threads");
  command
      ->add_option(
          "--guest-call", settings->guest_call,
          "With --guest: who tells CSRSS of a thread: kernel; library (the program itself, through a DLL); patch "
          "(the DLL's call overwritten by no-ops)")
      ->transform(CLI::CheckedTransformer(std::map<std::string, lab::GuestCall>{{"kernel", lab::GuestCall::kernel},
                                                                                {"library", lab::GuestCall::library},
                                                                                {"patch", lab::GuestCall::patched}})
                      .description(""))
      ->type_name("kernel|library|patch");
  command->callback([settings, &exit_code] { exit_code = run(*settings); });
}

}  // namespace vitrine::tools
