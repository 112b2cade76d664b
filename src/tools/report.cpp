#include "tools/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "tools/size.h"

namespace vitrine::tools {
namespace {

std::string_view end_name(RunEnd end) {
  switch (end) {
    case RunEnd::exited:
      return "exited";
    case RunEnd::timed_out:
      return "timed out";
    case RunEnd::interrupted:
      return "interrupted";
    case RunEnd::host_limit:
      return "host limit";
    case RunEnd::deadlocked:
      return "deadlocked";
  }
  return "";
}

// Most often first, then by key.
template <typename Key>
std::vector<std::pair<Key, u64>> by_count(const std::map<Key, u64>& counts) {
  std::vector<std::pair<Key, u64>> list(counts.begin(), counts.end());
  std::ranges::sort(
      list, [](const auto& a, const auto& b) { return std::tie(b.second, a.first) < std::tie(a.second, b.first); });
  return list;
}

double milliseconds(u64 nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

std::string waits_of(const ThreadRecord& thread) {
  std::string text;
  for (const auto& [reason, count] : by_count(thread.waits)) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", ke::wait_reason_name(reason), count);
  }
  return text;
}

std::string waker_of(const ThreadRecord& thread) {
  const auto waker = thread.most_frequent_waker();
  if (!waker) return "-";
  return waker->thread_id == 0 ? fmt::format("(timer or input) {}", waker->times)
                               : fmt::format("{:#x} {}", waker->thread_id, waker->times);
}

nlohmann::json threads_json(const RunResult& result) {
  nlohmann::json list = nlohmann::json::array();
  for (const ThreadRecord& t : result.threads) {
    nlohmann::json waits = nlohmann::json::object();
    for (const auto& [reason, count] : t.waits) waits[std::string(ke::wait_reason_name(reason))] = count;
    nlohmann::json wakers = nlohmann::json::array();
    for (const auto& [id, count] : t.wakers) wakers.push_back({{"thread_id", id}, {"times", count}});
    nlohmann::json thread = {{"thread_id", t.thread_id},
                             {"process_id", t.process_id},
                             {"start_address", t.start_address},
                             {"created_ns", t.created_ns},
                             {"ended_ns", nullptr},
                             {"exit_status", nullptr},
                             {"running_ns", t.running_ns},
                             {"ready_ns", t.ready_ns},
                             {"waiting_ns", t.waiting_ns},
                             {"switches", t.switches},
                             {"woken", t.woken},
                             {"waits", waits},
                             {"wakers", wakers}};
    if (t.ended_ns) {
      thread["ended_ns"] = *t.ended_ns;
      thread["exit_status"] = t.exit_status;
    }
    list.push_back(std::move(thread));
  }
  return list;
}

}  // namespace

void print_threads(const RunResult& result) {
  fmt::print(stderr, "\n{:>6} {:>7} {:>14} {:>9} {:>9} {:>10} {:>9} {:>9} {:>9} {:>8} {:>6}  {:<22} {}\n", "thread", "process",
             "start address", "born ms", "ended ms", "status", "ran ms", "ready ms", "wait ms", "switches", "woken", "mostly by", "waits");
  for (const ThreadRecord& t : result.threads) {
    fmt::print(stderr, "{:>#6x} {:>#7x} {:>#14x} {:>9.3f} {:>9} {:>10} {:>9.3f} {:>9.3f} {:>9.3f} {:>8} {:>6}  {:<22} {}\n", t.thread_id,
               t.process_id, t.start_address, milliseconds(t.created_ns),
               t.ended_ns ? fmt::format("{:.3f}", milliseconds(*t.ended_ns)) : "-",
               t.ended_ns ? fmt::format("{:#x}", t.exit_status) : "-", milliseconds(t.running_ns), milliseconds(t.ready_ns),
               milliseconds(t.waiting_ns), t.switches, t.woken, waker_of(t), waits_of(t));
  }
}

void print_statistics(const RunResult& result) {
  const RunStatistics& s = result.statistics;
  fmt::print(stderr, "\n{}, exit code {:#x}, trace {:016x}{}\n", end_name(result.end), result.exit_code,
             result.trace_hash, result.repeats ? "" : " (of this run only: --backend kvm)");
  fmt::print(stderr, "time          {:.3f} ms virtual, {:.3f} ms on the host\n", milliseconds(s.virtual_nanoseconds),
             milliseconds(s.host_nanoseconds));
  fmt::print(stderr,
             "work          {} instructions in {} windows, {} system calls, {} page faults, {} context switches, {} trace events\n",
             s.instructions, s.windows, s.system_calls, s.page_faults, s.context_switches, s.events);
  fmt::print(stderr, "created       {} processes, {} threads (at most {} at once)\n", s.processes_created,
             s.threads_created, s.peak_threads);
  fmt::print(stderr, "memory        {} on the host at most, {} of guest frames used, {} of translations\n",
             format_size(s.peak_host_bytes), format_size(s.guest_frames_used * kPageSize),
             format_size(s.translated_bytes));
  fmt::print(stderr, "services\n");
  for (const auto& [name, count] : by_count(s.services)) fmt::print(stderr, "  {:>8} {}\n", count, name);
}

void print_statistics_json(const RunResult& result) {
  const RunStatistics& s = result.statistics;
  nlohmann::json json = {{"end", end_name(result.end)},
                         {"exit_code", result.exit_code},
                         {"trace_hash", fmt::format("{:016x}", result.trace_hash)},
                         {"virtual_nanoseconds", s.virtual_nanoseconds},
                         {"host_nanoseconds", s.host_nanoseconds},
                         {"instructions", s.instructions},
                         {"windows", s.windows},
                         {"system_calls", s.system_calls},
                         {"page_faults", s.page_faults},
                         {"context_switches", s.context_switches},
                         {"trace_events", s.events},
                         {"processes_created", s.processes_created},
                         {"threads_created", s.threads_created},
                         {"peak_threads", s.peak_threads},
                         {"peak_host_bytes", s.peak_host_bytes},
                         {"guest_bytes_used", s.guest_frames_used * kPageSize},
                         {"translated_bytes", s.translated_bytes},
                         {"services", s.services}};
  if (!result.threads.empty()) json["threads"] = threads_json(result);
  fmt::print(stderr, "{}\n", json.dump(2));
}

}  // namespace vitrine::tools
