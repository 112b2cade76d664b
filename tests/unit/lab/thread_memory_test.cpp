#include "lab/thread_memory.h"

#include <gtest/gtest.h>

#include "lab/graph.h"

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

TEST(ThreadMemory, TheGraphHasTheSeedsFourPlacesInTheirOrder) {
  const ThreadMemoryReport report = measure(*sim::find_profile("nt52-x86"));
  ASSERT_EQ(report.graph.routine, "NtCreateThreadEx");
  ASSERT_FALSE(report.graph.calls.empty());
  const CallNode& create = report.graph.calls.front();
  EXPECT_EQ(create.routine, "PspCreateThread");
  std::vector<std::string> places;
  for (const CallNode& call : create.calls) {
    if (places_of_the_seed().contains(call.routine)) places.push_back(call.routine);
  }
  EXPECT_EQ(places, (std::vector<std::string>{"ObCreateObject", "ExCreateHandle", "MmCreateTeb", "KeInitThread"}));
  const std::string dot = to_dot(report.graph, places_of_the_seed());
  EXPECT_NE(dot.find("(4) &nbsp;KeInitThread"), std::string::npos);
  EXPECT_NE(dot.find("MmCreateKernelStack"), std::string::npos);
}

}  // namespace
}  // namespace vitrine::lab
