#include "tools/top_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace vitrine::tools {
namespace {

// The state, and for what waits the reason.
std::string state_of(const ThreadCounters& thread) {
  std::string text(ke::thread_state_name(thread.state));
  if (thread.state == ke::ThreadState::waiting) text += fmt::format(" {}", ke::wait_reason_name(thread.wait_reason));
  return text;
}

}  // namespace

std::vector<std::string> top_lines(const CounterSample& sample, std::size_t rows, std::size_t columns) {
  std::vector<ThreadCounters> threads = sample.threads;
  const auto busier = [](const ThreadCounters& a, const ThreadCounters& b) {
    return std::tuple(b.processor_percent(), b.switches_per_second, a.process_id, a.thread_id) <
           std::tuple(a.processor_percent(), a.switches_per_second, b.process_id, b.thread_id);
  };
  std::ranges::sort(threads, busier);
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{:.3f} s of virtual time, {} processors, {} processes, {} threads; rates over {:.1f} ms",
                              static_cast<double>(sample.now_ns) / 1e9, sample.processors, sample.processes.size(),
                              threads.size(), static_cast<double>(sample.interval_ns) / 1e6));
  lines.push_back(fmt::format("{:>7} {:>5} {:>7} {:>7} {:>6} {:>6}  {}", "process", "base", "threads", "handles",
                              "%priv", "%user", "image"));
  for (const ProcessCounters& p : sample.processes) {
    lines.push_back(fmt::format("{:>#7x} {:>5} {:>7} {:>7} {:>6.1f} {:>6.1f}  {}", p.process_id, p.base_priority,
                                p.threads, p.handles, p.privileged_percent, p.user_percent, p.image));
  }
  lines.push_back(fmt::format("{:>7} {:>7} {:>4} {:>4} {:>6} {:>6} {:>6} {:>10} {:>9} {:>14}  {:<26} {}", "thread",
                              "process", "pri", "base", "%cpu", "%priv", "%user", "switches/s", "elapsed s",
                              "start address", "state", "name"));
  for (const ThreadCounters& t : threads) {
    lines.push_back(
        fmt::format("{:>#7x} {:>#7x} {:>4} {:>4} {:>6.1f} {:>6.1f} {:>6.1f} {:>10.0f} {:>9.3f} {:>#14x}  {:<26} {}",
                    t.thread_id, t.process_id, t.priority, t.base_priority, t.processor_percent(), t.privileged_percent,
                    t.user_percent, t.switches_per_second, t.elapsed_seconds, t.start_address, state_of(t), t.name));
  }
  if (rows != 0 && lines.size() > rows) {
    const std::size_t hidden = lines.size() - rows + 1;
    lines.resize(rows - 1);
    lines.push_back(fmt::format("... {} more", hidden));
  }
  for (std::string& line : lines) {
    while (!line.empty() && line.back() == ' ') line.pop_back();
    if (columns != 0 && line.size() > columns) line.resize(columns);
  }
  return lines;
}

}  // namespace vitrine::tools
