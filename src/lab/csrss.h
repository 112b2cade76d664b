// The experiment on CSRSS of seed 001: what the creation of a thread costs under each way of finding threads, as their
// number grows, and how far CSRSS lags behind their end. Visits of its table, modelled time and host time are three
// different figures and are never mixed.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "lab/population.h"

namespace vitrine::lab {

// Around so many threads, per creation.
struct CsrssPoint {
  double threads = 0;
  double visits = 0;
  double modelled_ns = 0;   // between two creations
  double lock_wait_ns = 0;  // modelled: creators that waited for CSRSS's lock, all processors together
  double host_ns = 0;
};

// y = at_zero + per_thread * n, by least squares.
struct Line {
  double at_zero = 0, per_thread = 0;
};
[[nodiscard]] Line fit_line(const std::vector<CsrssPoint>& points, double CsrssPoint::* value);

// After the order to terminate them all.
struct LagPoint {
  u64 modelled_ns = 0;
  u64 threads = 0;        // that have not ended
  u64 csrss_threads = 0;  // that CSRSS still has a handle of
};

struct CsrssSeries {
  csr::Strategy strategy;
  GrowthEnd end{};
  u64 threads = 0;
  std::vector<CsrssPoint> points;
  Line visits, modelled_ns;
  Sample sums;  // when all existed
  u64 buckets = 0, used_buckets = 0;
  u64 reserved_buckets = 0;  // that no id can hash to, as entry 0 of a leaf of the id table is never given out
  // Threads that would fill the table, were everything else unlimited; 0: they take nothing there.
  u64 ids_would_hold = 0, handles_would_hold = 0;
  std::vector<LagPoint> lag;
  u64 last_exit_ns = 0, last_death_ns = 0;  // modelled, since the order to terminate
  u64 peak_queue = 0;                       // messages
};

struct CsrssOptions {
  LabMachine::Options machine;  // its csrss is ignored
  std::vector<csr::Strategy> strategies;
  u64 threads = 0;
  u32 creators = 4;
  u64 host_limit_bytes = 0;
  const std::atomic<bool>* interrupt = nullptr;
  std::function<void(const csr::Strategy&, const Sample&)> on_sample;  // may be empty
};

// One after the other. A series that did not reach `threads` is the last one. The error is one line for the user.
[[nodiscard]] std::expected<std::vector<CsrssSeries>, std::string> measure_csrss(const CsrssOptions& options);

// Buckets of `buckets` that stay empty because ids whose index is a multiple of `leaf` are never given out.
[[nodiscard]] constexpr u64 reserved_buckets(u64 buckets, u64 leaf) { return buckets % leaf == 0 ? buckets / leaf : 0; }

}  // namespace vitrine::lab
