#include "lab/thread_memory.h"

#include <gtest/gtest.h>

namespace vitrine::lab {
namespace {

ThreadMemoryReport measure(const sim::Profile& profile) {
  auto report = measure_thread_memory(profile);
  EXPECT_TRUE(report.has_value());
  return report ? std::move(*report) : ThreadMemoryReport{};
}

u64 bytes_with(const ThreadMemoryReport& report, u64 table_pages) {
  for (const CreationCost& cost : report.costs) {
    if (cost.table_pages == table_pages) return cost.counted_bytes;
  }
  return 0;
}

// Seed 000: "around 20 kbyte" and "around 40 kbyte" [facts 1.6].
TEST(ThreadMemory, SumsAreTheSeedsWithAndWithoutTableGrowth) {
  struct Case {
    std::string_view profile;
    u64 steady, one_page, two_pages;
  };
  for (const Case& c : {Case{"nt52-x86", 17'088, 21'168, 25'264}, Case{"nt52-x64", 34'064, 38'128, 42'224},
                        Case{"nt61-x64", 34'240, 38'304, 42'400}}) {
    const ThreadMemoryReport report = measure(*sim::find_profile(c.profile));
    EXPECT_EQ(bytes_with(report, 0), c.steady) << c.profile;
    EXPECT_EQ(bytes_with(report, 1), c.one_page) << c.profile;
    EXPECT_EQ(bytes_with(report, 2), c.two_pages) << c.profile;
  }
}

TEST(ThreadMemory, AnotherSizeInTheProfileGivesAnotherSum) {
  sim::Profile profile = *sim::find_profile("nt52-x64");
  const u64 before = bytes_with(measure(profile), 0);
  profile.sizes.ethread += 0x100;
  EXPECT_EQ(bytes_with(measure(profile), 0), before + 0x100);
  profile.stack.pages += 1;
  EXPECT_EQ(bytes_with(measure(profile), 0), before + 0x100 + 4096);
  profile.sizes.teb = 3 * 4096;
  EXPECT_EQ(bytes_with(measure(profile), 0), before + 0x100 + 2 * 4096);
}

TEST(ThreadMemory, GuardPagesTakeAddressesButNoMemory) {
  sim::Profile profile = *sim::find_profile("nt52-x64");
  const ThreadMemoryReport one = measure(profile);
  profile.stack.guard_pages += 1;
  const ThreadMemoryReport two = measure(profile);
  EXPECT_EQ(bytes_with(two, 0), bytes_with(one, 0));
  EXPECT_EQ(two.address_space_bytes, one.address_space_bytes + 4096);
}

// The seed's four places, in its order, and nothing else of the thread's own.
TEST(ThreadMemory, TheSeedsFourPlacesAreNamed) {
  const ThreadMemoryReport report = measure(*sim::find_profile("nt52-x86"));
  ASSERT_FALSE(report.costs.empty());
  std::vector<std::string> sites;
  for (const MemoryRow& row : report.costs.front().rows) {
    if (row.counted) sites.push_back(row.site.substr(0, row.site.find(':')));
  }
  EXPECT_EQ(sites, (std::vector<std::string>{"ObCreateObject", "MiCreatePebOrTeb", "MmCreateTeb", "MmCreateKernelStack",
                                             "PspCidTable", "process handle table"}));
}

TEST(ThreadMemory, WhatIsCountedIsTheSumOfItsRows) {
  for (const CreationCost& cost : measure(*sim::find_profile("nt61-x64")).costs) {
    u64 sum = 0;
    for (const MemoryRow& row : cost.rows) sum += row.counted ? row.bytes : 0;
    EXPECT_EQ(sum, cost.counted_bytes) << cost.table_pages;
    EXPECT_GT(cost.calls, 0u);
  }
}

}  // namespace
}  // namespace vitrine::lab
