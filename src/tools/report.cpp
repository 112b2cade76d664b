#include "tools/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/size.h"

namespace vitrine::tools {
namespace {

std::string_view end_name(RunEnd end) {
  switch (end) {
    case RunEnd::exited: return "exited";
    case RunEnd::timed_out: return "timed out";
    case RunEnd::interrupted: return "interrupted";
    case RunEnd::host_limit: return "host limit";
    case RunEnd::deadlocked: return "deadlocked";
  }
  return "";
}

// Most called first, then by name.
std::vector<std::pair<std::string, u64>> by_count(const std::map<std::string, u64>& services) {
  std::vector<std::pair<std::string, u64>> list(services.begin(), services.end());
  std::ranges::stable_sort(list, [](const auto& a, const auto& b) { return a.second > b.second; });
  return list;
}

}  // namespace

void print_statistics(const RunResult& result) {
  const RunStatistics& s = result.statistics;
  fmt::print(stderr, "\n{}, exit code {:#x}, trace {:016x}\n", end_name(result.end), result.exit_code, result.trace_hash);
  fmt::print(stderr, "time          {:.3f} ms virtual, {:.3f} ms on the host\n", static_cast<double>(s.virtual_nanoseconds) / 1e6,
             static_cast<double>(s.host_nanoseconds) / 1e6);
  fmt::print(stderr, "work          {} instructions, {} system calls, {} page faults, {} context switches, {} trace events\n",
             s.instructions, s.system_calls, s.page_faults, s.context_switches, s.events);
  fmt::print(stderr, "created       {} processes, {} threads (at most {} at once)\n", s.processes_created, s.threads_created,
             s.peak_threads);
  fmt::print(stderr, "memory        {} on the host at most, {} of guest frames used, {} of translations\n",
             format_size(s.peak_host_bytes), format_size(s.guest_frames_used * kPageSize), format_size(s.translated_bytes));
  fmt::print(stderr, "services\n");
  for (const auto& [name, count] : by_count(s.services)) fmt::print(stderr, "  {:>8} {}\n", count, name);
}

void print_statistics_json(const RunResult& result) {
  const RunStatistics& s = result.statistics;
  const nlohmann::json json = {
      {"end", end_name(result.end)}, {"exit_code", result.exit_code}, {"trace_hash", fmt::format("{:016x}", result.trace_hash)},
      {"virtual_nanoseconds", s.virtual_nanoseconds}, {"host_nanoseconds", s.host_nanoseconds}, {"instructions", s.instructions},
      {"system_calls", s.system_calls}, {"page_faults", s.page_faults}, {"context_switches", s.context_switches},
      {"trace_events", s.events}, {"processes_created", s.processes_created}, {"threads_created", s.threads_created},
      {"peak_threads", s.peak_threads}, {"peak_host_bytes", s.peak_host_bytes},
      {"guest_bytes_used", s.guest_frames_used * kPageSize}, {"translated_bytes", s.translated_bytes}, {"services", s.services}};
  fmt::print(stderr, "{}\n", json.dump(2));
}

}  // namespace vitrine::tools
