#include "lab/csrss.h"

#include <algorithm>

#include "lab/thread_limit.h"

namespace vitrine::lab {
namespace {

constexpr u64 kPoints = 30;
constexpr u64 kLagPoints = 100;

std::vector<CsrssPoint> points_of(const std::vector<Sample>& samples) {
  std::vector<CsrssPoint> points;
  for (std::size_t i = 1; i < samples.size(); ++i) {
    const Sample &a = samples[i - 1], &b = samples[i];
    const auto threads = static_cast<double>(b.threads - a.threads);
    const auto each = [&](u64 Sample::* sum) { return static_cast<double>(b.*sum - a.*sum) / threads; };
    points.push_back({.threads = static_cast<double>(a.threads + b.threads) / 2,
                      .visits = each(&Sample::visits),
                      .modelled_ns = each(&Sample::virtual_ns),
                      .lock_wait_ns = each(&Sample::lock_wait_ns),
                      .host_ns = each(&Sample::host_ns)});
  }
  return points;
}

// Terminates everything and notes how CSRSS follows.
void measure_lag(LabMachine& lab, Population& population, CsrssSeries& series) {
  Machine& machine = lab.machine();
  const u64 start = latest_clock(machine);
  const u64 every = std::max<u64>(1, population.threads() / kLagPoints);
  u64 events = 0;
  machine.trace.add_listener([&](const trace::Event& event) {
    const bool exit = event.type == trace::EventType::thread_exit, death = event.type == trace::EventType::csrss_death;
    if (!exit && !death) return;
    const u64 since = event.time_ns > start ? event.time_ns - start : 0;
    u64& last = exit ? series.last_exit_ns : series.last_death_ns;
    last = std::max(last, since);
    if (++events % every != 0) return;
    series.lag.push_back({since, machine.processes->counts().threads, machine.csrss->threads()});
  });
  (void)population.end();
  series.peak_queue = machine.ports.statistics().peak_queued;
  machine.trace.remove_listeners();
  std::ranges::sort(series.lag, {}, &LagPoint::modelled_ns);
}

void note_limits(const Population& population, CsrssSeries& series) {
  const Refusal& refusal = population.refusal();
  for (const LimitRow& row : limit_rows(population.uses_at_start(), refusal.uses, series.threads, series.threads)) {
    if (row.use.resource == Resource::ids) series.ids_would_hold = row.would_hold;
    if (row.use.resource == Resource::csrss_handles) series.handles_would_hold = row.would_hold;
  }
}

std::expected<CsrssSeries, std::string> measure_one(const CsrssOptions& options, const csr::Strategy& strategy) {
  LabMachine::Options machine_options = options.machine;
  machine_options.csrss = strategy;
  auto lab = LabMachine::create(machine_options);
  if (!lab) return std::unexpected(lab.error());
  const Machine& machine = (*lab)->machine();
  std::vector<Sample> samples{Sample{}};
  Population population(**lab, {.creators = options.creators,
                                .threads = options.threads,
                                .sample_every = std::max<u64>(1, options.threads / kPoints),
                                .host_limit_bytes = options.host_limit_bytes,
                                .interrupt = options.interrupt,
                                .on_sample = [&](const Sample& sample) {
                                  samples.push_back(sample);
                                  if (options.on_sample) options.on_sample(strategy, sample);
                                }});
  CsrssSeries series;
  series.strategy = strategy;
  series.end = population.grow();
  if (population.broods().empty()) return std::unexpected("no process could be made; give the machine more --ram");
  series.threads = population.threads();
  series.sums = population.sample();
  series.points = points_of(samples);
  series.visits = fit_line(series.points, &CsrssPoint::visits);
  series.modelled_ns = fit_line(series.points, &CsrssPoint::modelled_ns);
  const csr::TableShape shape = machine.csrss->shape();
  series.buckets = shape.buckets;
  series.used_buckets = shape.used_buckets;
  series.reserved_buckets = reserved_buckets(shape.buckets, machine.profile.handles.entries_per_leaf);
  note_limits(population, series);
  if (series.end == GrowthEnd::enough || series.end == GrowthEnd::refused) measure_lag(**lab, population, series);
  return series;
}

}  // namespace

Line fit_line(const std::vector<CsrssPoint>& points, double CsrssPoint::* value) {
  const auto count = static_cast<double>(points.size());
  if (points.empty()) return {};
  double n = 0, y = 0, nn = 0, ny = 0;
  for (const CsrssPoint& point : points) {
    n += point.threads;
    y += point.*value;
    nn += point.threads * point.threads;
    ny += point.threads * point.*value;
  }
  const double spread = count * nn - n * n;
  if (spread <= 0) return {.at_zero = y / count};
  const double slope = (count * ny - n * y) / spread;
  return {.at_zero = (y - slope * n) / count, .per_thread = slope};
}

std::expected<std::vector<CsrssSeries>, std::string> measure_csrss(const CsrssOptions& options) {
  std::vector<CsrssSeries> all;
  for (const csr::Strategy& strategy : options.strategies) {
    auto series = measure_one(options, strategy);
    if (!series) return std::unexpected(series.error());
    all.push_back(std::move(*series));
    const GrowthEnd end = all.back().end;
    if (end == GrowthEnd::interrupted || end == GrowthEnd::host_limit) break;
  }
  return all;
}

}  // namespace vitrine::lab
