#include "lab/csrss.h"

#include <gtest/gtest.h>

namespace vitrine::lab {
namespace {

std::vector<CsrssSeries> measure(u32 processors, std::vector<csr::Strategy> strategies, u64 threads) {
  auto all = measure_csrss({.machine = {.profile = sim::find_profile(sim::kDefaultProfile),
                                        .processors = processors,
                                        .ram_bytes = 16ull << 30},
                            .strategies = std::move(strategies),
                            .threads = threads,
                            .on_sample = {}});
  EXPECT_TRUE(all.has_value()) << all.error();
  return all ? std::move(*all) : std::vector<CsrssSeries>{};
}

TEST(CsrssExperiment, WithoutCsrssTwoProcessorsCreateTwiceAsFastAsOne) {
  const csr::Strategy bypass{.kind = csr::TableKind::bypass, .buckets = 0};
  const auto one = measure(1, {bypass}, 3'000), two = measure(2, {bypass}, 3'000);
  ASSERT_TRUE(one.size() == 1 && two.size() == 1);
  ASSERT_GT(one[0].points.size(), 10u);
  EXPECT_NEAR(two[0].modelled_ns.at_zero / one[0].modelled_ns.at_zero, 0.5, 0.1);
  // No sample goes back behind the one before it: each point lies near the line.
  for (const CsrssPoint& point : two[0].points) {
    EXPECT_GT(point.modelled_ns, 0);
    EXPECT_LT(point.modelled_ns, one[0].modelled_ns.at_zero * 2);
  }
}

// Seed 001's patch: the creation slows down by an order of magnitude against the table with 1,024 buckets.
TEST(CsrssExperiment, WalkedOrCountedAConstantHashVisitsTheSame) {
  const csr::Strategy walked{.kind = csr::TableKind::constant, .buckets = 1};
  csr::Strategy counted = walked;
  counted.walk = csr::Walk::counted;
  const auto all = measure(1, {walked, counted}, 2'000);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].sums.visits, all[1].sums.visits);
  EXPECT_EQ(all[0].modelled_ns.per_thread, all[1].modelled_ns.per_thread);
  EXPECT_GT(all[0].visits.per_thread, 1.9);
}

}  // namespace
}  // namespace vitrine::lab
