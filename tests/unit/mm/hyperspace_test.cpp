// The process's part of kernel address space: its working-set list grows with the pages that are valid.
#include "fixture.h"

namespace vitrine::mm::test {
namespace {

class HyperspaceTest : public MemoryTest {};

// Facts 5.4 3B: a new process takes the hyperspace page, VAD bitmap and working-set list pages besides its page
// directory. On x64 a page-directory-pointer and a page-directory page of hyperspace are its own, too.
TEST_F(HyperspaceTest, ANewProcessTakesItsPagesAndGivesThemBack) {
  const HeldBooks before = manager_.books().held;
  auto space = make_space();
  const HeldBooks with = manager_.books().held;
  // 0x1080 pages into the region begins the list; the bitmap before it lies in the same table of 512.
  EXPECT_EQ(space->hyperspace().pages(), 2u + 1u + 1u + 1u) << "tables above, table, bitmap, list";
  EXPECT_EQ(with.hyperspace_pages - before.hyperspace_pages, space->hyperspace().pages());
  EXPECT_EQ(with.committed_pages - before.committed_pages, space->hyperspace().pages() + 1) << "and the root";
  EXPECT_EQ(before.resident_available_pages - with.resident_available_pages,
            static_cast<i64>(space->hyperspace().pages()));
  space.reset();
  EXPECT_EQ(manager_.books().held, before);
}

// NT: a WSLE of 8 bytes for each valid page, behind an MMWSL of 0x488 [GC, facts 8.9].
TEST_F(HyperspaceTest, TheListGrowsByAPageWhenItsEntriesAreUsedUp) {
  auto space = make_space();
  const u64 first_page = (kPageSize - 0x488) / 8;
  const Va base = commit(*space, (first_page + 1) * kPageSize);
  for (u64 i = 0; i < first_page; ++i) ASSERT_TRUE(is_success(touch(*space, base + i * kPageSize, kWriteFault).status));
  EXPECT_EQ(space->working_set_pages(), first_page);
  EXPECT_EQ(space->hyperspace().list_pages(), 1u);
  const u64 committed = memory_.committed();
  ASSERT_TRUE(is_success(touch(*space, base + first_page * kPageSize, kWriteFault).status));
  EXPECT_EQ(space->hyperspace().list_pages(), 2u);
  EXPECT_EQ(memory_.committed(), committed + 1);
  ASSERT_TRUE(space->free(base, 0, mem::kRelease));
  EXPECT_EQ(space->working_set_pages(), 0u);
  EXPECT_EQ(space->peak_working_set_pages(), first_page + 1);
  EXPECT_EQ(space->hyperspace().list_pages(), 2u) << "nothing trims";
}

TEST_F(HyperspaceTest, AFaultWithoutRoomInTheListFailsAndKeepsNothing) {
  auto space = make_space();
  const u64 first_page = (kPageSize - 0x488) / 8;
  const Va base = commit(*space, (first_page + 1) * kPageSize);
  for (u64 i = 0; i < first_page; ++i) ASSERT_TRUE(is_success(touch(*space, base + i * kPageSize, kWriteFault).status));
  const u64 rest = memory_.commit_limit() - memory_.committed();
  ASSERT_EQ(memory_.charge_commit(rest), Status::success);
  const HeldBooks before = manager_.books().held;
  EXPECT_EQ(touch(*space, base + first_page * kPageSize, kWriteFault).status, Status::no_memory);
  EXPECT_EQ(manager_.books().held, before);
  memory_.return_commit(rest);
  EXPECT_TRUE(is_success(touch(*space, base + first_page * kPageSize, kWriteFault).status));
}

class SmallHyperspaceTest : public MemoryTest {
 protected:
  SmallHyperspaceTest() : MemoryTest(64 * kPageSize) {}
};

TEST_F(SmallHyperspaceTest, AProcessThatFindsNoPageForItLeavesNothing) {
  const u64 rest = memory_.commit_limit() - memory_.committed();
  for (u64 pages = 0; pages < 6; ++pages) {  // the root and five of hyperspace
    ASSERT_EQ(memory_.charge_commit(rest - pages), Status::success);
    const HeldBooks before = manager_.books().held;
    EXPECT_FALSE(manager_.create_space({})) << pages;
    EXPECT_EQ(manager_.books().held, before) << pages;
    memory_.return_commit(rest - pages);
  }
  EXPECT_TRUE(manager_.create_space({}));
}

class X86HyperspaceTest : public MemoryTest {
 protected:
  X86HyperspaceTest() : MemoryTest(64ull << 20, 0, "nt52-x86") {}
};

TEST_F(X86HyperspaceTest, HasOnePageTableOnX86) {
  auto space = make_space();
  EXPECT_EQ(space->hyperspace().pages(), 3u) << "page table, VAD bitmap, working-set list";
}

}  // namespace
}  // namespace vitrine::mm::test
