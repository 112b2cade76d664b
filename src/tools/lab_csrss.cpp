// `vitrine lab csrss`: what each way of finding a thread costs CSRSS as threads become many.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "lab/csrss.h"
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
  std::vector<std::string> strategies{"chained:256", "chained:1024", "constant", "resizing", "bypass"};
  u64 threads = 90'000;  // seed 001's small machine
  u32 processors = 1, creators = 4;
  std::string ram = "1T", host_limit, json;
  std::vector<std::string> plots;
  u64 seed = 0;
};

std::string name_of(const lab::CsrssSeries& series) { return csr::format_strategy(series.strategy); }

// The error is one line for the user.
std::expected<lab::CsrssOptions, std::string> read(const Settings& settings, const sim::Profile& profile) {
  lab::CsrssOptions options;
  options.machine.profile = &profile;
  options.machine.processors = settings.processors;
  options.machine.seed = settings.seed;
  options.threads = settings.threads;
  options.creators = settings.creators;
  const auto ram = parse_size(settings.ram);
  if (!ram) return std::unexpected(fmt::format("--ram {}: {}", settings.ram, ram.error()));
  options.machine.ram_bytes = *ram;
  options.host_limit_bytes = default_host_limit();
  if (!settings.host_limit.empty()) {
    const auto limit = parse_size(settings.host_limit);
    if (!limit) return std::unexpected(fmt::format("--host-limit {}: {}", settings.host_limit, limit.error()));
    options.host_limit_bytes = *limit;
  }
  for (const std::string& text : settings.strategies) {
    const auto strategy = csr::parse_strategy(text);
    if (!strategy) return std::unexpected("--strategy: " + strategy.error());
    options.strategies.push_back(*strategy);
  }
  for (const std::string& plot : settings.plots) {
    if (const auto good = check_picture("--plot", plot); !good) return std::unexpected(good.error());
  }
  return options;
}

void print_points(const lab::CsrssSeries& series) {
  fmt::print("\n{:>12}  {:>12}  {:>12}  {:>14}  {:>10}\n", "", "visits", "modelled us", "of it, waiting", "host us");
  fmt::print("{:>12}  {:>12}  {:>12}  {:>14}  {:>10}\n", "threads", "a creation", "a creation", "for the lock",
             "a creation");
  const std::size_t step = std::max<std::size_t>(1, series.points.size() / 6);
  for (std::size_t i = step - 1; i < series.points.size(); i += step) {
    const lab::CsrssPoint& point = series.points[i];
    fmt::print("{:>12.0f}  {:>12.1f}  {:>12.2f}  {:>14.2f}  {:>10.2f}\n", point.threads, point.visits,
               point.modelled_ns / 1000, point.lock_wait_ns / 1000, point.host_ns / 1000);
  }
}

void print_model(const lab::CsrssSeries& series) {
  fmt::print("fitted, n threads: visits = {:.2f} + {:.7f} n", series.visits.at_zero, series.visits.per_thread);
  if (series.strategy.kind == csr::TableKind::chained || series.strategy.kind == csr::TableKind::constant) {
    fmt::print(" (2/{} = {:.7f})", series.used_buckets, 2.0 / static_cast<double>(series.used_buckets));
  }
  fmt::print("; modelled us = {:.2f} + {:.7f} n\n", series.modelled_ns.at_zero / 1000,
             series.modelled_ns.per_thread / 1000);
  if (series.strategy.kind != csr::TableKind::bypass) {
    fmt::print("{} of {} buckets in use", series.used_buckets, series.buckets);
    if (series.reserved_buckets != 0 && series.strategy.kind == csr::TableKind::chained) {
      fmt::print("; {} stay empty for ever: entry 0 of each leaf of the id table is reserved, so no id hashes there",
                 series.reserved_buckets);
    }
    fmt::print("\n");
  }
}

void print_end(const lab::CsrssSeries& series) {
  if (series.end == lab::GrowthEnd::interrupted || series.end == lab::GrowthEnd::host_limit) {
    fmt::print("stopped at {} threads: {}\n", series.threads,
               series.end == lab::GrowthEnd::interrupted ? "interrupted" : "the host's memory reached --host-limit");
    return;
  }
  const double exit_ms = static_cast<double>(series.last_exit_ns) / 1e6;
  if (series.last_death_ns == 0) {
    fmt::print("termination (modelled): all threads ended after {:.1f} ms; CSRSS had none of them\n", exit_ms);
  } else {
    fmt::print(
        "termination (modelled): all threads ended after {:.1f} ms, CSRSS was done after {:.1f} ms; up to {} messages "
        "waited\n",
        exit_ms, static_cast<double>(series.last_death_ns) / 1e6, series.peak_queue);
  }
  if (series.handles_would_hold != 0) {
    fmt::print("fills first: {}: ids would hold {} threads, CSRSS's handle table {}\n",
               series.ids_would_hold <= series.handles_would_hold ? "the id table" : "CSRSS's handle table",
               series.ids_would_hold, series.handles_would_hold);
  }
}

const lab::CsrssSeries* find(const std::vector<lab::CsrssSeries>& all, csr::TableKind kind, u32 buckets) {
  for (const lab::CsrssSeries& series : all) {
    if (series.strategy.kind == kind && (buckets == 0 || series.strategy.buckets == buckets)) return &series;
  }
  return nullptr;
}

// The seed's comparison: the constant hash against the table as it was.
void print_comparison(const std::vector<lab::CsrssSeries>& all, const sim::Profile& profile) {
  const lab::CsrssSeries* normal = find(all, csr::TableKind::chained, profile.csrss_thread_buckets);
  if (normal == nullptr || normal->points.empty()) return;
  fmt::print("\nagainst {}, the last {} creations: times the {}\n", name_of(*normal),
             normal->threads / std::max<std::size_t>(1, normal->points.size()), "modelled time, the host time");
  for (const lab::CsrssSeries& series : all) {
    if (series.points.empty()) continue;
    fmt::print("  {:<24} {:>8.2f}  {:>8.2f}\n", name_of(series),
               series.points.back().modelled_ns / normal->points.back().modelled_ns,
               series.points.back().host_ns / normal->points.back().host_ns);
  }
}

nlohmann::ordered_json to_json(const std::vector<lab::CsrssSeries>& all, const Settings& settings) {
  nlohmann::ordered_json result{{"profile", settings.profile},
                                {"processors", settings.processors},
                                {"creators", settings.creators},
                                {"series", nlohmann::ordered_json::array()}};
  for (const lab::CsrssSeries& series : all) {
    nlohmann::ordered_json points = nlohmann::ordered_json::array(), lag = nlohmann::ordered_json::array();
    for (const lab::CsrssPoint& point : series.points) {
      points.push_back({{"threads", point.threads},
                        {"visits", point.visits},
                        {"modelled_ns", point.modelled_ns},
                        {"lock_wait_ns", point.lock_wait_ns},
                        {"host_ns", point.host_ns}});
    }
    for (const lab::LagPoint& point : series.lag) {
      lag.push_back(
          {{"modelled_ns", point.modelled_ns}, {"threads", point.threads}, {"csrss_threads", point.csrss_threads}});
    }
    result["series"].push_back({{"strategy", name_of(series)},
                                {"threads", series.threads},
                                {"lookups", series.sums.lookups},
                                {"visits", series.sums.visits},
                                {"buckets", series.buckets},
                                {"used_buckets", series.used_buckets},
                                {"reserved_buckets", series.reserved_buckets},
                                {"ids_would_hold", series.ids_would_hold},
                                {"csrss_handles_would_hold", series.handles_would_hold},
                                {"fit",
                                 {{"visits", {series.visits.at_zero, series.visits.per_thread}},
                                  {"modelled_ns", {series.modelled_ns.at_zero, series.modelled_ns.per_thread}}}},
                                {"termination",
                                 {{"last_exit_ns", series.last_exit_ns},
                                  {"last_death_ns", series.last_death_ns},
                                  {"peak_queue", series.peak_queue},
                                  {"course", lag}}},
                                {"points", points}});
  }
  return result;
}

std::vector<Panel> panels_of(const std::vector<lab::CsrssSeries>& all) {
  Panel visits{.title = "Visits of CSRSS's table",
               .x = "threads",
               .y = "visits a creation",
               .y_scale = Scale::logarithmic,
               .curves = {}};
  Panel modelled{
      .title = "Modelled time", .x = "threads", .y = "us a creation", .y_scale = Scale::logarithmic, .curves = {}};
  Panel host{.title = "Host time", .x = "threads", .y = "us a creation", .y_scale = Scale::logarithmic, .curves = {}};
  Panel lag{
      .title = "CSRSS's handles after all threads were terminated", .x = "modelled ms", .y = "threads", .curves = {}};
  for (const lab::CsrssSeries& series : all) {
    Curve v{name_of(series), {}}, m = v, h = v, l = v;
    for (const lab::CsrssPoint& point : series.points) {
      if (point.visits > 0) v.points.emplace_back(point.threads, point.visits);
      m.points.emplace_back(point.threads, point.modelled_ns / 1000);
      h.points.emplace_back(point.threads, point.host_ns / 1000);
    }
    for (const lab::LagPoint& point : series.lag) {
      l.points.emplace_back(static_cast<double>(point.modelled_ns) / 1e6, static_cast<double>(point.csrss_threads));
    }
    if (!v.points.empty()) visits.curves.push_back(std::move(v));
    if (!m.points.empty()) modelled.curves.push_back(std::move(m));
    if (!h.points.empty()) host.curves.push_back(std::move(h));
    if (!l.points.empty()) lag.curves.push_back(std::move(l));
  }
  std::vector<Panel> panels;
  for (Panel& panel : std::array{visits, modelled, host, lag}) {
    if (!panel.curves.empty()) panels.push_back(std::move(panel));
  }
  return panels;
}

int finish(const Settings& settings, const std::vector<lab::CsrssSeries>& all) {
  if (!settings.json.empty()) {
    const auto written = write_file(settings.json, to_json(all, settings).dump(2) + "\n");
    if (!written) return fail(kExitUsage, written.error());
  }
  const std::vector<Panel> panels = panels_of(all);
  for (const std::string& plot : settings.plots) {
    if (panels.empty()) return fail(kExitUsage, "--plot: there is nothing to draw; let it run longer");
    if (const auto drawn = draw_panels(plot, panels); !drawn) return fail(kExitUsage, drawn.error());
  }
  const lab::GrowthEnd end = all.back().end;
  if (end == lab::GrowthEnd::interrupted) return kExitInterrupted;
  return end == lab::GrowthEnd::host_limit ? kExitUsage : 0;
}

int run(const Settings& settings) {
  const sim::Profile* profile = lab_profile(settings.profile);
  if (profile == nullptr) return kExitUsage;
  auto options = read(settings, *profile);
  if (!options) return fail(kExitUsage, options.error());
  options->interrupt = &watch_for_interrupt();
  const LargePages large_pages;
  if (isatty(STDERR_FILENO) != 0) {
    options->on_sample = [](const csr::Strategy& strategy, const lab::Sample& sample) {
      fmt::print(stderr, "\r{}: {} threads   ", csr::format_strategy(strategy), sample.threads);
    };
  }
  const auto all = lab::measure_csrss(*options);
  if (!all) return fail(kExitUsage, all.error());
  if (options->on_sample) fmt::print(stderr, "\r{:60}\r", "");
  fmt::print("CSRSS of {}: {} creators on {} processor{}. A creation looks its caller up twice.\n", profile->name,
             settings.creators, settings.processors, settings.processors == 1 ? "" : "s");
  for (const lab::CsrssSeries& series : *all) {
    fmt::print("\n== {}: {} threads\n", name_of(series), series.threads);
    print_points(series);
    print_model(series);
    print_end(series);
  }
  print_comparison(*all, *profile);
  return finish(settings, *all);
}

}  // namespace

void add_csrss_command(CLI::App& lab, int& exit_code) {
  auto settings = std::make_shared<Settings>();
  CLI::App* command = lab.add_subcommand("csrss", "What CSRSS's thread table costs as threads become many");
  command->add_option("--profile", settings->profile, "nt52-x86, nt52-x64 or nt61-x64")->capture_default_str();
  command->add_option(
      "--strategy", settings->strategies,
      "Ways of finding threads, several allowed: chained:N, constant, either with ,counted; resizing; bypass");
  command->add_option("--threads", settings->threads, "Threads to create")
      ->capture_default_str()
      ->check(CLI::Range(30, 16'777'216));
  command->add_option("--cpus", settings->processors, "Processors that contend for CSRSS's lock")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  command->add_option("--creators", settings->creators, "Threads that create")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  command->add_option("--ram", settings->ram, "RAM of the machine")->capture_default_str();
  command->add_option("--host-limit", settings->host_limit,
                      "Host memory to use at most (default: three quarters of what is free)");
  command->add_option("--plot", settings->plots, "Draw FILE.svg or FILE.png; several allowed");
  command->add_option("--json", settings->json, "Write the figures to this file");
  command->add_option("--seed", settings->seed, "Seed of the run")->capture_default_str();
  command->callback([settings, &exit_code] { exit_code = run(*settings); });
}

}  // namespace vitrine::tools
