#include "lab/thread_limit.h"

#include <algorithm>

#include "vitrine/host_watch.h"

namespace vitrine::lab {

std::vector<LimitRow> limit_rows(const std::vector<ResourceUse>& before, const std::vector<ResourceUse>& after,
                                 u64 threads, u64 last_process_threads) {
  std::vector<LimitRow> rows;
  for (const ResourceUse& use : after) {
    LimitRow row{.use = use, .per_process = use.resource == Resource::user_address_space};
    u64 at_start = 0;
    for (const ResourceUse& old : before) {
      if (old.resource == use.resource && !row.per_process) at_start = old.used;
    }
    const u64 by = row.per_process ? last_process_threads : threads;
    if (by != 0 && use.used > at_start) {
      row.per_thread = static_cast<double>(use.used - at_start) / static_cast<double>(by);
      row.would_hold = static_cast<u64>(static_cast<double>(use.capacity - at_start) / row.per_thread);
    }
    rows.push_back(row);
  }
  return rows;
}

std::optional<LimitRow> next_limit(const std::vector<LimitRow>& rows, std::optional<Resource> bound) {
  std::optional<LimitRow> next;
  for (const LimitRow& row : rows) {
    if (row.use.resource == bound || row.per_process || row.would_hold == 0) continue;
    if (!next || row.would_hold < next->would_hold) next = row;
  }
  return next;
}

namespace {

// What the machine says at the end of the growth.
ThreadLimitReport report_of(Population& population, GrowthEnd end, const PopulationOptions& options) {
  const Sample last = population.sample();
  const Refusal& refusal = population.refusal();
  ThreadLimitReport report;
  report.end = end;
  report.status = refusal.status;
  report.threads = population.threads();
  report.processes = population.broods().size();
  report.creators = options.creators;
  report.virtual_ns = last.virtual_ns;
  report.grow_host_ns = last.host_ns;
  for (const Brood& brood : population.broods()) {
    report.largest_process = std::max(report.largest_process, brood.threads);
  }
  report.rows =
      limit_rows(population.uses_at_start(), refusal.uses, report.threads, population.broods().back().threads);
  for (const LimitRow& row : report.rows) {
    if (refusal.resource == row.use.resource) report.bound = row;
  }
  report.next = next_limit(report.rows, refusal.resource);
  return report;
}

}  // namespace

std::expected<ThreadLimitReport, std::string> measure_thread_limit(
    const ThreadLimitOptions& options, const std::function<void(const ThreadLimitReport&)>& on_growth_end) {
  auto lab = LabMachine::create(options.machine);
  if (!lab) return std::unexpected(lab.error());
  const Ledger before = take_ledger((*lab)->machine());
  const u64 host_before = host_resident_bytes();

  Samples samples;
  PopulationOptions population_options = options.population;
  population_options.sample_every = Samples::kFinest;
  population_options.on_sample = [&](const Sample& sample) {
    samples.add(sample);
    if (options.population.on_sample) options.population.on_sample(sample);
  };
  Population population(**lab, population_options);
  const GrowthEnd end = population.grow();
  if (population.broods().empty()) return std::unexpected("no process could be made; give the machine more --ram");
  samples.finish(population.sample());
  ThreadLimitReport report = report_of(population, end, population_options);
  report.intervals = samples.intervals();
  report.host_bytes = host_resident_bytes() - std::min(host_before, host_resident_bytes());
  if (on_growth_end) on_growth_end(report);

  if (end == GrowthEnd::enough || end == GrowthEnd::refused) report.ended = population.end();
  report.table_pages = lasting_table_pages((*lab)->machine());
  if (report.ended) report.kept = compare(before, take_ledger((*lab)->machine()));
  report.end_host_ns = population.loop().host_nanoseconds() - report.grow_host_ns;
  report.peak_host_bytes = host_peak_bytes();
  return report;
}

}  // namespace vitrine::lab
