// The experiment of seed 001: how many threads can there be, what stops them, and what would stop them next? A bare
// machine makes suspended threads until a creation fails; the machine says which of its resources refused.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "lab/ledger.h"
#include "lab/population.h"
#include "lab/samples.h"

namespace vitrine::lab {

struct ThreadLimitOptions {
  LabMachine::Options machine;
  PopulationOptions population;
};

// A resource when the growth ended.
struct LimitRow {
  ResourceUse use;
  double per_thread = 0;  // of its unit
  // So many threads would fill it if each took as much as those did; 0: they take none.
  u64 would_hold = 0;
  bool per_process = false;  // another process has one of its own
};

struct ThreadLimitReport {
  GrowthEnd end{};
  Status status = Status::success;  // of the creation that failed
  std::optional<LimitRow> bound;    // what refused it
  std::optional<LimitRow> next;     // what raising that would meet
  std::vector<LimitRow> rows;
  u64 threads = 0;  // made by the creators
  u64 processes = 0, creators = 0;
  u64 largest_process = 0;  // threads
  std::vector<Interval> intervals;
  u64 virtual_ns = 0;  // modelled, of the growth
  u64 grow_host_ns = 0, end_host_ns = 0;
  u64 host_bytes = 0;                  // that the threads took
  u64 peak_host_bytes = 0;             // of the tool
  bool ended = false;                  // everything was terminated again
  u64 table_pages = 0;                 // that the id table and CSRSS's handle table keep
  std::vector<LedgerDifference> kept;  // what then was not as before; empty: nothing
};

// `on_growth_end` (may be empty) gets the report when the threads exist, before they are terminated. Interrupted, or
// with the host short of memory, they are not terminated here. The error is one line for the user.
[[nodiscard]] std::expected<ThreadLimitReport, std::string> measure_thread_limit(
    const ThreadLimitOptions& options, const std::function<void(const ThreadLimitReport&)>& on_growth_end);

// From two looks with `threads` in between; `last_process_threads` of them in the last process. Exposed for tests.
[[nodiscard]] std::vector<LimitRow> limit_rows(const std::vector<ResourceUse>& before,
                                               const std::vector<ResourceUse>& after, u64 threads,
                                               u64 last_process_threads);
// The row that would be full first, `bound` aside.
[[nodiscard]] std::optional<LimitRow> next_limit(const std::vector<LimitRow>& rows, std::optional<Resource> bound);

}  // namespace vitrine::lab
