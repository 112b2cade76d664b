// Views of files in the system cache [WI6p2 ch. 11].
#include "cc/cache_manager.h"

#include <gtest/gtest.h>

#include "../mm/fixture.h"

namespace vitrine::cc {
namespace {

constexpr u64 kMegabyte = 1 << 20;

class CacheTest : public mm::test::MemoryTest {
 protected:
  explicit CacheTest(u64 ram_bytes = 64ull << 20) : MemoryTest(ram_bytes), cache_(manager_, pool_) {}
  [[nodiscard]] std::unique_ptr<SharedCacheMap> file() { return std::move(*cache_.initialize()); }
  [[nodiscard]] u64 blocks(std::string_view tag) const {
    for (const ex::PoolTagInfo& info : pool_.tags()) {
      if (info.tag == ex::pool_tag(tag)) return info.usage.blocks;
    }
    return 0;
  }
  CacheManager cache_;
};

TEST_F(CacheTest, AViewIs256KilobytesOfAFileAndStaysMapped) {
  auto map = file();
  EXPECT_EQ(cache_.copy(*map, Transfer::read, kMegabyte, 1000, 10), Status::success);
  EXPECT_EQ(map->views(), 1u);
  EXPECT_EQ(manager_.books().held.system_cache_pages, 64u);
  EXPECT_EQ(manager_.books().held.system_cache_table_pages, 1u);
  EXPECT_EQ(cache_.copy(*map, Transfer::read, kMegabyte, kViewBytes - 1, 1), Status::success);
  EXPECT_EQ(map->views(), 1u);
  EXPECT_EQ(cache_.copy(*map, Transfer::write, kMegabyte, kViewBytes - 1, 2), Status::success);
  EXPECT_EQ(map->views(), 2u) << "the transfer crosses into the next one";
  EXPECT_EQ(cache_.counters().copy_reads, 2u);
  EXPECT_EQ(cache_.counters().copy_read_misses, 1u);
  EXPECT_EQ(cache_.counters().copy_writes, 1u);
}

TEST_F(CacheTest, EndsWithItsViewsAndTheirTables) {
  const mm::HeldBooks before = manager_.books().held;
  {
    auto first = file(), second = file();
    ASSERT_EQ(cache_.copy(*first, Transfer::read, 8 * kMegabyte, 0, 8 * kMegabyte), Status::success);
    ASSERT_EQ(cache_.copy(*second, Transfer::read, kMegabyte, 0, 1), Status::success);
    EXPECT_EQ(cache_.views(), 33u);
    first.reset();
    EXPECT_EQ(cache_.views(), 1u);
  }
  const mm::HeldBooks after = manager_.books().held;
  EXPECT_EQ(after.system_cache_pages, 0u);
  EXPECT_EQ(after.system_cache_table_pages, before.system_cache_table_pages);
  EXPECT_EQ(blocks("CcSc"), 0u);
  EXPECT_EQ(blocks("CcVp"), 0u);
  EXPECT_EQ(blocks("CcVa"), 1u) << "an array of VACBs stays";
}

// WI6p2: on x64 an array of 128 KB holds 2,048 VACBs of 64 bytes.
TEST_F(CacheTest, VacbsComeInArraysOf2048) {
  auto map = file();
  ASSERT_EQ(cache_.copy(*map, Transfer::read, 2048 * kViewBytes, 0, 2048 * kViewBytes), Status::success);
  EXPECT_EQ(blocks("CcVa"), 1u);
  auto other = file();
  ASSERT_EQ(cache_.copy(*other, Transfer::read, 1, 0, 1), Status::success);
  EXPECT_EQ(blocks("CcVa"), 2u);
}

// WI6p2: four entries in the shared cache map reach 1 MB; an array of its own 32 MB; then arrays of 128 in levels.
TEST_F(CacheTest, TheIndexHasTheShapeOfTheFilesSize) {
  EXPECT_EQ(ViewIndex::levels_for(128), 0u);
  EXPECT_EQ(ViewIndex::levels_for(129), 2u);
  EXPECT_EQ(ViewIndex::levels_for(128 * 128), 2u);
  EXPECT_EQ(ViewIndex::levels_for(128 * 128 + 1), 3u);
  auto map = file();
  ASSERT_EQ(cache_.copy(*map, Transfer::read, kMegabyte, 0, 1), Status::success);
  EXPECT_EQ(blocks("CcVp") + blocks("CcVl"), 0u);
  ASSERT_EQ(cache_.copy(*map, Transfer::write, kMegabyte + 1, kMegabyte, 1), Status::success);
  EXPECT_EQ(blocks("CcVp"), 1u);
  ASSERT_EQ(cache_.copy(*map, Transfer::write, 33 * kMegabyte, 33 * kMegabyte - 1, 1), Status::success);
  EXPECT_EQ(blocks("CcVp"), 0u);
  EXPECT_EQ(blocks("CcVl"), 3u) << "two leaves below a root";
  map.reset();
  EXPECT_EQ(blocks("CcVl"), 0u);
}

TEST_F(CacheTest, ASparseFileTakesNoMoreThanItsViewsDo) {
  auto map = file();
  constexpr u64 kHuge = 1ull << 60;
  EXPECT_EQ(cache_.copy(*map, Transfer::write, kHuge, kHuge - 1, 1), Status::success);
  EXPECT_EQ(map->views(), 1u);
  EXPECT_EQ(blocks("CcVl"), ViewIndex::levels_for(kHuge / kViewBytes));
}

class FullCacheTest : public CacheTest {
 protected:
  FullCacheTest() : CacheTest(2ull << 20) {}
};

TEST_F(FullCacheTest, TheViewUsedLongestAgoMakesRoom) {
  auto old = file(), kept = file();
  ASSERT_EQ(cache_.copy(*old, Transfer::read, 1, 0, 1), Status::success);
  ASSERT_EQ(cache_.copy(*kept, Transfer::read, 8 * kMegabyte, 0, 7 * kViewBytes), Status::success);
  const u64 rest = memory_.commit_limit() - memory_.committed();
  ASSERT_EQ(memory_.charge_commit(rest), Status::success);  // the next view would need a page table
  EXPECT_EQ(cache_.copy(*kept, Transfer::read, 8 * kMegabyte, 7 * kViewBytes, 1), Status::success);
  EXPECT_EQ(old->views(), 0u);
  EXPECT_EQ(kept->views(), 8u);
  EXPECT_EQ(cache_.counters().views_reused, 1u);
  // All of its views are younger than the request's first: it takes them one after the other, and goes on.
  EXPECT_EQ(cache_.copy(*old, Transfer::read, 8 * kMegabyte, 0, 4 * kMegabyte), Status::success);
  EXPECT_EQ(cache_.views(), 8u);
  memory_.return_commit(rest);
}

TEST_F(FullCacheTest, WithNoViewToReuseATransferFailsAndKeepsNothing) {
  const u64 rest = memory_.commit_limit() - memory_.committed();
  auto map = file();
  const u64 left = memory_.commit_limit() - memory_.committed();
  ASSERT_LE(left, rest);
  ASSERT_EQ(memory_.charge_commit(left), Status::success);
  EXPECT_EQ(cache_.copy(*map, Transfer::read, kMegabyte, 0, 1), Status::insufficient_resources);
  EXPECT_EQ(map->views(), 0u);
  EXPECT_EQ(manager_.books().held.system_cache_pages, 0u);
  memory_.return_commit(left);
  EXPECT_EQ(cache_.copy(*map, Transfer::read, kMegabyte, 0, 1), Status::success);
}

}  // namespace
}  // namespace vitrine::cc
