// What stops the creation of threads, and that the report names it. Regions and tables are scaled down where the real
// ones would take gigabytes of host memory; the figures of the real ones are those of docs/experiments.md.
#include "lab/thread_limit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status.h"

namespace vitrine::lab {
namespace {

constexpr csr::Strategy kBypass{.kind = csr::TableKind::bypass, .buckets = 0};

struct Case {
  std::string_view profile = sim::kDefaultProfile;
  u64 ram_bytes = 64ull << 30;
  u64 system_pte_bytes = 0;
  csr::Strategy csrss = kBypass;
  PopulationOptions population{};
};

ThreadLimitReport measure(const Case& c, const sim::Profile* scaled = nullptr) {
  const ThreadLimitOptions options{.machine = {.profile = scaled != nullptr ? scaled : sim::find_profile(c.profile),
                                               .ram_bytes = c.ram_bytes,
                                               .system_pte_bytes = c.system_pte_bytes,
                                               .csrss = c.csrss},
                                   .population = c.population};
  auto report = measure_thread_limit(options, {});
  EXPECT_TRUE(report.has_value()) << report.error();
  return report ? std::move(*report) : ThreadLimitReport{};
}

// How many threads the machine has besides those that were made.
// The balance set manager, the swapper, CSRSS's worker, and the one processor's thread for DPCs (6.0 on).
constexpr u64 system_threads() { return 4; }

std::string kept(const ThreadLimitReport& report) {
  std::string text;
  for (const LedgerDifference& line : report.kept) {
    text += line.name + " " + std::to_string(line.before) + " -> " + std::to_string(line.after) + "; ";
  }
  return text;
}

// 28 KB a stack, guard page included: the quantum behind the 4.7 million of seed 001 [facts 3.1].
TEST(ThreadLimit, SystemPtesHoldAStackForEach28KilobytesAndAreNamed) {
  constexpr u64 kRegion = 280ull << 20;
  const ThreadLimitReport report = measure({.system_pte_bytes = kRegion});
  EXPECT_EQ(report.threads + report.creators + system_threads(), kRegion / (28 << 10));
  ASSERT_TRUE(report.bound.has_value());
  EXPECT_EQ(report.bound->use.resource, Resource::system_ptes);
  EXPECT_EQ(report.status, Status::insufficient_resources);
  EXPECT_EQ(report.end, GrowthEnd::refused);
  EXPECT_EQ(report.processes, 1u);
  EXPECT_TRUE(report.ended);
  EXPECT_TRUE(report.kept.empty()) << kept(report);
}

TEST(ThreadLimit, RaisingTheLimitMeetsTheOneThatWasForetold) {
  constexpr u64 kRegion = 140ull << 20;
  const ThreadLimitReport small = measure({.ram_bytes = 512ull << 20, .system_pte_bytes = kRegion});
  ASSERT_TRUE(small.bound && small.next);
  EXPECT_EQ(small.bound->use.resource, Resource::system_ptes);
  const ThreadLimitReport raised = measure({.ram_bytes = 512ull << 20, .system_pte_bytes = 4 * kRegion});
  ASSERT_TRUE(raised.bound.has_value());
  EXPECT_EQ(raised.bound->use.resource, small.next->use.resource);
  EXPECT_NEAR(static_cast<double>(raised.threads), static_cast<double>(small.next->would_hold),
              static_cast<double>(raised.threads) / 100);
}

// Seed 001's small machine: "the maximum of about 90,000 threads".
TEST(ThreadLimit, FourGigabytesStopAtCommitOrResidentMemory) {
  const ThreadLimitReport report = measure({.ram_bytes = 4ull << 30});
  EXPECT_GE(report.threads, 70'000u);
  EXPECT_LE(report.threads, 95'000u);
  ASSERT_TRUE(report.bound.has_value());
  EXPECT_TRUE(report.bound->use.resource == Resource::commit ||
              report.bound->use.resource == Resource::resident_available)
      << report.bound->use.name;
  EXPECT_TRUE(report.kept.empty()) << kept(report);
}

TEST(ThreadLimit, MegabyteStacksFillTheAddressSpaceOfA32BitProcess) {
  Case c{.profile = "nt52-x86", .ram_bytes = 4ull << 30};
  c.population.stack_bytes = 1 << 20;
  c.population.processes = 1;
  const ThreadLimitReport report = measure(c);
  EXPECT_LT(report.threads + report.creators, 2048u);
  EXPECT_GT(report.threads, 1900u);
  ASSERT_TRUE(report.bound.has_value());
  EXPECT_EQ(report.bound->use.resource, Resource::user_address_space);
  EXPECT_EQ(report.status, Status::no_memory);
}

TEST(ThreadLimit, AFullAddressSpaceIsFollowedByAnotherProcess) {
  Case c{.profile = "nt52-x86", .ram_bytes = 4ull << 30};
  c.population.stack_bytes = 1 << 20;
  const ThreadLimitReport report = measure(c);
  EXPECT_GT(report.processes, 2u);
  EXPECT_LT(report.largest_process, 2048u);
  EXPECT_GT(report.threads, 2 * report.largest_process);
  ASSERT_TRUE(report.bound.has_value());
  EXPECT_NE(report.bound->use.resource, Resource::user_address_space);
  EXPECT_TRUE(report.kept.empty()) << kept(report);
}

// An id table of 2,048 entries, of which eight are reserved.
sim::Profile few_ids() {
  sim::Profile scaled = *sim::find_profile("nt61-x64");
  scaled.handles = {.entries_per_leaf = 256, .pointers_per_mid = 8, .top_entries = 1, .maximum_handles = 2048};
  return scaled;
}

TEST(ThreadLimit, ProcessesAndThreadsTogetherFillTheIdTable) {
  const sim::Profile scaled = few_ids();
  const ThreadLimitReport report = measure({.ram_bytes = 4ull << 30}, &scaled);
  ASSERT_TRUE(report.bound.has_value());
  EXPECT_EQ(report.bound->use.resource, Resource::ids);
  EXPECT_EQ(report.bound->use.used, 2040u);
  constexpr u64 kSystemProcesses = 2;  // System and CSRSS
  EXPECT_EQ(report.threads + report.creators + report.processes + system_threads() + kSystemProcesses, 2040u);
}

// Parts of a table smaller than a page share pages of pool with what goes, and stay behind in them.
TEST(ThreadLimit, SmallPartsOfTablesThatLastAreNoLoss) {
  sim::Profile scaled = *sim::find_profile("nt61-x64");
  scaled.handles = {.entries_per_leaf = 64, .pointers_per_mid = 16, .top_entries = 32, .maximum_handles = 8192};
  for (const csr::Strategy strategy : {kBypass, csr::Strategy{.kind = csr::TableKind::resizing, .buckets = 0}}) {
    const ThreadLimitReport report = measure({.ram_bytes = 4ull << 30, .csrss = strategy}, &scaled);
    EXPECT_GT(report.threads, 8000u);
    EXPECT_TRUE(report.ended);
    EXPECT_TRUE(report.kept.empty()) << kept(report);
  }
}

// Each thread of the subsystem takes an id and a handle of CSRSS; the tables are alike, and more than threads have ids.
TEST(ThreadLimit, WithNotificationIdsFillBeforeCsrssHandleTable) {
  const sim::Profile scaled = few_ids();
  const ThreadLimitReport report =
      measure({.ram_bytes = 4ull << 30, .csrss = {.kind = csr::TableKind::resizing, .buckets = 0}}, &scaled);
  ASSERT_TRUE(report.bound && report.next);
  EXPECT_EQ(report.bound->use.resource, Resource::ids);
  EXPECT_EQ(report.next->use.resource, Resource::csrss_handles);
  EXPECT_TRUE(report.kept.empty()) << kept(report);
}

TEST(ThreadLimit, AnInterruptionEndsTheGrowthWithWhatThereIs) {
  std::atomic<bool> interrupt = false;
  Case c;
  c.population.interrupt = &interrupt;
  c.population.on_sample = [&](const Sample& sample) { interrupt = sample.threads >= 20'000; };
  const ThreadLimitReport report = measure(c);
  EXPECT_EQ(report.end, GrowthEnd::interrupted);
  EXPECT_GE(report.threads, 20'000u);
  EXPECT_LT(report.threads, 30'000u);
  EXPECT_FALSE(report.bound.has_value());
  EXPECT_FALSE(report.rows.empty());
  EXPECT_FALSE(report.ended);
}

TEST(ThreadLimit, TheHostLimitEndsTheGrowthWithWhatThereIs) {
  Case c;
  c.population.host_limit_bytes = 1;
  const ThreadLimitReport report = measure(c);
  EXPECT_EQ(report.end, GrowthEnd::host_limit);
  EXPECT_LT(report.threads, 100'000u);
}

TEST(ThreadLimit, ExactlyAsManyThreadsAsAskedFor) {
  Case c;
  c.population.threads = 12'345;
  const ThreadLimitReport report = measure(c);
  EXPECT_EQ(report.end, GrowthEnd::enough);
  EXPECT_EQ(report.threads, 12'345u);
  EXPECT_TRUE(report.ended);
  EXPECT_TRUE(report.kept.empty()) << kept(report);
}

TEST(ThreadLimit, SamplesAreThinnedByTens) {
  Samples samples;
  for (u64 threads = Samples::kFinest; threads <= 420'000; threads += Samples::kFinest) {
    samples.add({.threads = threads, .virtual_ns = threads * threads});
  }
  samples.finish({.threads = 425'000, .virtual_ns = 425'000ull * 425'000});
  const std::vector<Interval> intervals = samples.intervals();
  ASSERT_EQ(intervals.size(), 5u);
  EXPECT_EQ(intervals[1].from, 100'000u);
  EXPECT_EQ(intervals[1].to, 200'000u);
  EXPECT_DOUBLE_EQ(intervals[1].virtual_ns, 300'000);
  EXPECT_EQ(intervals[4].to, 425'000u);
}

TEST(ThreadLimit, TheNextLimitIsTheSmallestOfTheOthers) {
  const std::vector<ResourceUse> before{{Resource::system_ptes, "a", "pages", 10, 110, 0},
                                        {Resource::ids, "b", "entries", 0, 300, 0},
                                        {Resource::commit, "c", "pages", 0, 1000, 0}};
  std::vector<ResourceUse> after = before;
  after[0].used = 110;
  after[1].used = 100;
  after[2].used = 500;
  const std::vector<LimitRow> rows = limit_rows(before, after, 100, 100);
  EXPECT_EQ(rows[0].would_hold, 100u);
  EXPECT_EQ(rows[1].would_hold, 300u);
  EXPECT_EQ(rows[2].would_hold, 200u);
  EXPECT_EQ(next_limit(rows, Resource::system_ptes)->use.resource, Resource::commit);
  EXPECT_EQ(next_limit(rows, std::nullopt)->use.resource, Resource::system_ptes);
}

}  // namespace
}  // namespace vitrine::lab
