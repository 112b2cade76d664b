#include "sim/profile.h"

#include <gtest/gtest.h>

namespace vitrine::sim {
namespace {

TEST(Profile, EachIsFoundByItsNameAndNoOther) {
  for (const Profile& p : all_profiles()) EXPECT_EQ(find_profile(p.name), &p);
  EXPECT_NE(find_profile(kDefaultProfile), nullptr);
  EXPECT_EQ(find_profile("nt40-x86"), nullptr);
  EXPECT_EQ(find_profile(""), nullptr);
}

// Books must add up whatever the numbers: a structure that is not granular or a region that overlaps would charge
// wrongly.
TEST(Profile, SizesAndRegionsAreConsistent) {
  for (const Profile& p : all_profiles()) {
    SCOPED_TRACE(p.name);
    EXPECT_GE(p.sizes.ethread, p.sizes.kthread);
    EXPECT_GE(p.sizes.eprocess, p.sizes.kprocess);
    EXPECT_LE(p.sizes.vad_short, p.sizes.vad);
    EXPECT_LE(p.sizes.vad, p.sizes.vad_long);
    EXPECT_EQ(p.sizes.pool_granule, p.sizes.pool_header);
    EXPECT_EQ(p.pointer_size == 8, p.layout.paged_pool.start > 0xFFFF'FFFFull);
    const Region regions[] = {p.layout.system_ptes, p.layout.paged_pool, p.layout.nonpaged_pool, p.layout.pfn_database};
    for (const Region& a : regions) {
      EXPECT_EQ(a.start % kPageSize, 0u);
      for (const Region& b : regions) {
        if (&a != &b) {
          EXPECT_TRUE(a.start + a.bytes <= b.start || b.start + b.bytes <= a.start);
        }
      }
    }
    // facts 2.3: the three levels hold at least the maximum number of handles.
    EXPECT_GE(u64{p.handles.entries_per_leaf} * p.handles.pointers_per_mid * p.handles.top_entries,
              p.handles.maximum_handles);
    EXPECT_GT(p.scheduler.timer_table_size, 0u);
    EXPECT_LT(p.user.lowest, p.user.highest_plus_one);
  }
}

// DESIGN 6: every price says where it comes from.
TEST(Profile, EveryPriceHasASource) {
  for (const Profile& p : all_profiles()) {
    const CostTable& c = p.costs;
    for (const Cost& cost :
         {c.instruction, c.system_call, c.context_switch, c.page_fault, c.zero_page, c.copy_page, c.interrupt,
          c.exception_dispatch, c.disk_access, c.disk_page, c.thread_create, c.lpc_call, c.csrss_visit, c.csrss_request,
          c.csrss_lock_transfer}) {
      EXPECT_GT(cost.picoseconds, 0u);
      EXPECT_FALSE(cost.source.empty());
    }
  }
}

// facts 6.3: "20 ms or so" on the 10 ms clock.
TEST(Profile, QuantumOfTheX86ClientIsTwentyMilliseconds) {
  const SchedulerPolicy& s = find_profile("nt52-x86")->scheduler;
  EXPECT_EQ(6 / s.quantum_units_per_tick * s.clock_interval_100ns, 200'000u);
}

}  // namespace
}  // namespace vitrine::sim
