#include "mm/pfn_database.h"

#include <gtest/gtest.h>

#include "mm/kernel_region.h"

namespace vitrine::mm {
namespace {

class Owner final : public FrameOwner {
 public:
  std::vector<u64> repurposed;
  void repurpose(PteLocation, Pfn pfn) override { repurposed.push_back(pfn.value); }
  bool reclaim() override { return false; }
};

class PfnTest : public ::testing::Test {
 protected:
  PfnTest() : ram_(*ram::GuestRam::create(256 * kPageSize)), pfn_(ram_, 48) { pfn_.set_owner(&owner_); }
  void expect_sum() {
    u64 owned = 0;
    for (u8 use = 0; use < static_cast<u8>(FrameUse::count); ++use) owned += pfn_.used_for(static_cast<FrameUse>(use));
    u64 listed = 0;
    for (u8 list = 0; list < kPageLists; ++list) listed += pfn_.list_length(static_cast<PageLocation>(list));
    EXPECT_EQ(owned + listed + pfn_.never_used() + pfn_.reserved(), pfn_.total());
  }
  Pfn shared_page(bool modified) {
    const Pfn pfn = pfn_.allocate(FrameUse::shared, Contents::any)->pfn;
    pfn_.set_pte(pfn, PteLocation::in_segment(1, pfn.value), Pte::subsection(0, {1}), true);
    pfn_.mark_modified(pfn, modified);
    return pfn;
  }

  ram::GuestRam ram_;
  PfnDatabase pfn_;
  Owner owner_;
};

TEST_F(PfnTest, BooksItsOwnFrames) { EXPECT_EQ(pfn_.reserved(), 3u + 1u); }  // 256 x 48 bytes, and frame 0

TEST_F(PfnTest, ANeverUsedFrameNeedsNoZeroing) {
  const auto frame = pfn_.allocate(FrameUse::process_private, Contents::zeroed);
  ASSERT_TRUE(frame);
  EXPECT_FALSE(frame->was_zeroed_now);
  EXPECT_FALSE(frame->had_bytes);
  ram_.page(frame->pfn)[0] = std::byte{9};
  pfn_.free(frame->pfn);
  const auto again = pfn_.allocate(FrameUse::process_private, Contents::zeroed);
  EXPECT_EQ(again->pfn, frame->pfn) << "a recycled frame is preferred to host memory never touched";
  EXPECT_TRUE(again->was_zeroed_now);
  EXPECT_EQ(ram_.page(again->pfn)[0], std::byte{0});
  expect_sum();
}

TEST_F(PfnTest, SupplyOrderFollowsTheNeed) {
  const Pfn a = pfn_.allocate(FrameUse::process_private, Contents::any)->pfn;
  const Pfn b = pfn_.allocate(FrameUse::process_private, Contents::any)->pfn;
  pfn_.free(a);
  ASSERT_TRUE(pfn_.zero_one_free_page());  // a: zeroed
  pfn_.free(b);                            // b: free
  EXPECT_EQ(pfn_.allocate(FrameUse::process_private, Contents::any)->pfn, b);
  pfn_.free(b);
  const auto zeroed = pfn_.allocate(FrameUse::process_private, Contents::zeroed);
  EXPECT_EQ(zeroed->pfn, a);
  EXPECT_FALSE(zeroed->was_zeroed_now);
  EXPECT_FALSE(pfn_.zero_one_free_page() && pfn_.zero_one_free_page()) << "only b was free";
}

TEST_F(PfnTest, TheLastShareDecidesTheList) {
  const Pfn clean = shared_page(false);
  const Pfn dirty = shared_page(true);
  pfn_.add_share(clean);
  EXPECT_EQ(pfn_.drop_share(clean), 1u);
  EXPECT_EQ(pfn_.location(clean), PageLocation::active);
  EXPECT_EQ(pfn_.drop_share(clean), 0u);
  EXPECT_EQ(pfn_.location(clean), PageLocation::standby);
  pfn_.drop_share(dirty);
  EXPECT_EQ(pfn_.location(dirty), PageLocation::modified);
  pfn_.reactivate(clean);
  EXPECT_EQ(pfn_.share_count(clean), 1u);
  pfn_.written(dirty);
  EXPECT_EQ(pfn_.location(dirty), PageLocation::standby);
  expect_sum();
}

TEST_F(PfnTest, AReferencedPageWaitsInTransition) {
  const Pfn pfn = shared_page(false);
  pfn_.add_reference(pfn);
  pfn_.drop_share(pfn);
  EXPECT_EQ(pfn_.location(pfn), PageLocation::transition);
  pfn_.reactivate(pfn);
  pfn_.free(pfn);  // deleted while locked
  EXPECT_EQ(pfn_.location(pfn), PageLocation::transition);
  pfn_.drop_reference(pfn);
  EXPECT_EQ(pfn_.location(pfn), PageLocation::free);
  expect_sum();
}

TEST_F(PfnTest, StandbyIsTakenLastAndOldestFirst) {
  const Pfn first = shared_page(false);
  const Pfn second = shared_page(false);
  pfn_.drop_share(first);
  pfn_.drop_share(second);
  while (pfn_.available() > 2) {
    ASSERT_TRUE(pfn_.allocate(FrameUse::process_private, Contents::any));
  }
  EXPECT_TRUE(owner_.repurposed.empty());
  EXPECT_EQ(pfn_.allocate(FrameUse::process_private, Contents::zeroed)->pfn, first);
  EXPECT_EQ(pfn_.allocate(FrameUse::process_private, Contents::zeroed)->pfn, second);
  EXPECT_EQ(owner_.repurposed, (std::vector<u64>{first.value, second.value}));
  EXPECT_EQ(pfn_.allocate(FrameUse::process_private, Contents::any).error(), Status::no_memory);
  expect_sum();
}

TEST_F(PfnTest, RunsCostNothingAndComeBack) {
  const u64 before = pfn_.available();
  const u64 host = pfn_.host_bytes();
  std::vector<FrameRun> runs;
  for (u32 i = 0; i < 40; ++i) runs.push_back(*pfn_.allocate_run(6, FrameUse::kernel_stack));
  EXPECT_EQ(pfn_.available(), before - 240);
  EXPECT_EQ(pfn_.used_for(FrameUse::kernel_stack), 240u);
  EXPECT_EQ(pfn_.host_bytes(), host);
  EXPECT_EQ(pfn_.frame_of_run(runs[0], 5).value, pfn_.frame_of_run(runs[0], 0).value + 5);
  for (const FrameRun run : runs) pfn_.free_run(run, 6, FrameUse::kernel_stack);
  EXPECT_EQ(pfn_.available(), before);
  expect_sum();
}

TEST_F(PfnTest, ARunIsScatteredWhenNothingElseIsLeft) {
  std::vector<Pfn> singles;
  while (auto frame = pfn_.allocate(FrameUse::process_private, Contents::any)) singles.push_back(frame->pfn);
  EXPECT_EQ(pfn_.allocate_run(2, FrameUse::kernel_stack).error(), Status::no_memory);
  for (u32 i = 0; i < 12; i += 2) pfn_.free(singles[i]);  // six frames, no two adjacent
  const auto run = pfn_.allocate_run(6, FrameUse::kernel_stack);
  ASSERT_TRUE(run);
  EXPECT_EQ(pfn_.available(), 0u);
  EXPECT_EQ(pfn_.frame_of_run(*run, 1), singles[2]);
  expect_sum();
  pfn_.free_run(*run, 6, FrameUse::kernel_stack);
  EXPECT_EQ(pfn_.available(), 6u);
  expect_sum();
}

TEST_F(PfnTest, AnActivatedRunReadsZeroWhateverItsFramesHeld) {
  const auto fresh = pfn_.allocate_run(1, FrameUse::shadow);
  EXPECT_FALSE(pfn_.activate(*fresh, FrameUse::shadow, FrameUse::process_private).had_bytes);
  while (pfn_.never_used() > 0) ASSERT_TRUE(pfn_.allocate(FrameUse::process_private, Contents::any));
  const Pfn used = pfn_.frame_of_run(*fresh, 0);
  ram_.page(used)[17] = std::byte{1};
  pfn_.free(used);
  const auto recycled = pfn_.allocate_run(1, FrameUse::shadow);
  ASSERT_TRUE(recycled);
  const auto frame = pfn_.activate(*recycled, FrameUse::shadow, FrameUse::process_private);
  EXPECT_EQ(frame.pfn, used);
  EXPECT_TRUE(frame.had_bytes);
  EXPECT_EQ(ram_.page(used)[17], std::byte{0});
  expect_sum();
}

class SystemPteTest : public ::testing::Test {
 protected:
  SystemPteTest()
      : ram_(*ram::GuestRam::create(64 * kPageSize)),
        memory_(ram_, *sim::find_profile("nt61-x64"), 0),
        ptes_({0xFFFF'F880'0000'0000, 1024 * kPageSize}, 8, memory_) {}
  ram::GuestRam ram_;
  PhysicalMemory memory_;
  KernelRegion ptes_;
};

TEST_F(SystemPteTest, FillsTheRegionExactlyAndReusesTheLowestHole) {
  std::vector<u32> stacks;
  while (auto first = ptes_.allocate(7)) stacks.push_back(*first);
  EXPECT_EQ(stacks.size(), 1024u / 7);
  EXPECT_EQ(ptes_.failures(), 1u);
  EXPECT_TRUE(ptes_.allocate(2)) << "1024 = 146 x 7 + 2";
  EXPECT_EQ(ptes_.allocate(1).error(), Status::insufficient_resources);
  ptes_.free(stacks[100], 7);
  ptes_.free(stacks[50], 7);
  EXPECT_EQ(*ptes_.allocate(7), stacks[50]);
  ptes_.free(stacks[101], 7);
  EXPECT_EQ(*ptes_.allocate(14), stacks[100]) << "neighbours merge";
}

TEST_F(SystemPteTest, TablesAreChargedWhileInUse) {
  const u64 committed = memory_.committed();
  const auto low = ptes_.allocate(500);
  EXPECT_EQ(ptes_.table_pages(), 1u);
  const auto crossing = ptes_.allocate(100);
  EXPECT_EQ(ptes_.table_pages(), 2u);
  EXPECT_EQ(memory_.committed(), committed + 2);
  ptes_.free(*low, 500);
  EXPECT_EQ(ptes_.table_pages(), 2u);
  ptes_.free(*crossing, 100);
  EXPECT_EQ(memory_.committed(), committed);
  EXPECT_EQ(ptes_.used(), 0u);
}

}  // namespace
}  // namespace vitrine::mm
