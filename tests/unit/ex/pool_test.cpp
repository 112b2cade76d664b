#include "ex/pool.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "sim/random.h"

namespace vitrine::ex {
namespace {

const sim::Profile& profile(std::string_view name) { return *sim::find_profile(name); }

struct CountingSource : PageSource {
  std::array<u64, 2> pages{};
  u64 limit = ~u64{0};
  Status charge_pool_pages(PoolType type, Va first, u64 count) override {
    EXPECT_EQ(first & kPageMask, 0u);
    if (pages[0] + pages[1] + count > limit) return Status::insufficient_resources;
    pages[static_cast<u32>(type)] += count;
    return Status::success;
  }
  void return_pool_pages(PoolType type, Va, u64 count) override { pages[static_cast<u32>(type)] -= count; }
};

u64 charged_for(Pool& pool, u64 bytes) {
  const PoolSite site = pool.site("test", PoolType::nonpaged, pool_tag("Test"));
  PoolBlock block = *pool.allocate(site, bytes);
  const u64 charged = pool.charged_bytes(block);
  EXPECT_EQ(charged, pool.rounded_bytes(bytes));
  pool.free(block);
  return charged;
}

// Header and body of a thread object [facts 1.3].
TEST(PoolTest, RoundsThreadObjectsAsNtDoes) {
  Pool x86(profile("nt52-x86"), nullptr);
  EXPECT_EQ(charged_for(x86, 24 + 592), 624u);
  Pool x64(profile("nt52-x64"), nullptr);
  EXPECT_EQ(charged_for(x64, 48 + 1064), 1136u);
  Pool seven(profile("nt61-x64"), nullptr);
  EXPECT_EQ(charged_for(seven, 48 + 1176 + 32), 1280u);
}

TEST(PoolTest, RoundsZeroBytesUpToTheSmallestBlock) {
  Pool pool(profile("nt61-x64"), nullptr);
  EXPECT_EQ(charged_for(pool, 0), 32u);
}

TEST(PoolTest, GivesWholePagesWhenHeaderAndOneGranuleNoLongerFit) {
  Pool pool(profile("nt61-x64"), nullptr);
  EXPECT_EQ(charged_for(pool, 4096 - 32), 4080u);
  EXPECT_EQ(charged_for(pool, 4096 - 31), 4096u);
  EXPECT_EQ(charged_for(pool, 4096), 4096u);
  EXPECT_EQ(charged_for(pool, 4097), 8192u);
}

TEST(PoolTest, AddressesLieBehindTheHeaderInsideTheRegion) {
  const sim::Profile& p = profile("nt61-x64");
  Pool pool(p, nullptr);
  const PoolSite small = pool.site("small", PoolType::paged, pool_tag("Smal"));
  PoolBlock first = *pool.allocate(small, 100);
  PoolBlock page = *pool.allocate(small, 4096);
  EXPECT_EQ(pool.address(first), p.layout.paged_pool.start + p.sizes.pool_header);
  EXPECT_EQ(pool.address(page) & kPageMask, 0u);
  EXPECT_TRUE(pool.is_allocated(pool.address(first)));
  const Va address = pool.address(first);
  pool.free(first);
  EXPECT_FALSE(first);
  EXPECT_FALSE(pool.is_allocated(address));
  pool.free(page);
}

TEST(PoolTest, PacksThreeThreadObjectsAndTheirVadsIntoOnePage) {
  CountingSource source;
  Pool pool(profile("nt61-x64"), &source);
  const PoolSite thread = pool.site("thread", PoolType::nonpaged, pool_tag("Thr\xE5"));
  const PoolSite vad = pool.site("vad", PoolType::nonpaged, pool_tag("Vadl"));
  std::vector<PoolBlock> blocks;
  for (int i = 0; i < 3; ++i) blocks.push_back(*pool.allocate(thread, 1256));
  blocks.push_back(*pool.allocate(vad, 144));
  EXPECT_EQ(pool.charged_bytes(blocks.back()), 160u);
  EXPECT_EQ(source.pages[0], 1u);
  blocks.push_back(*pool.allocate(thread, 1256));
  EXPECT_EQ(source.pages[0], 2u);
  for (PoolBlock& block : blocks) pool.free(block);
  EXPECT_EQ(source.pages[0], 0u);
}

TEST(PoolTest, FillsTheTightestHoleFirst) {
  Pool pool(profile("nt61-x64"), nullptr);
  const PoolSite site = pool.site("test", PoolType::nonpaged, pool_tag("Test"));
  PoolBlock a = *pool.allocate(site, 496);  // 512
  PoolBlock b = *pool.allocate(site, 112);  // 128
  PoolBlock c = *pool.allocate(site, 240);  // 256
  PoolBlock d = *pool.allocate(site, 112);
  const Va hole = pool.address(c);
  pool.free(a);
  pool.free(c);
  PoolBlock e = *pool.allocate(site, 240);
  EXPECT_EQ(pool.address(e), hole);
  for (PoolBlock* block : {&b, &d, &e}) pool.free(*block);
}

TEST(PoolTest, BooksPerSiteAndTagReturnToZero) {
  CountingSource source;
  Pool pool(profile("nt52-x86"), &source);
  const PoolSite one = pool.site("one", PoolType::paged, pool_tag("Same"));
  const PoolSite two = pool.site("two", PoolType::paged, pool_tag("Same"));
  PoolBlock a = *pool.allocate(one, 10);      // 24
  PoolBlock b = *pool.allocate(two, 10'000);  // 12,288
  ASSERT_EQ(pool.tags().size(), 1u);
  EXPECT_EQ(pool.tags()[0].usage.bytes, 24u + 12'288u);
  EXPECT_EQ(pool.site_info(two).usage.bytes, 12'288u);
  EXPECT_EQ(pool.usage(PoolType::paged).blocks, 2u);
  EXPECT_EQ(pool.pages(PoolType::paged), 4u);
  pool.free(b);
  pool.free(a);
  EXPECT_EQ(pool.usage(PoolType::paged).bytes, 0u);
  EXPECT_EQ(pool.usage(PoolType::paged).blocks, 0u);
  EXPECT_EQ(pool.site_info(one).usage.frees, 1u);
  EXPECT_EQ(pool.site_info(two).usage.peak_bytes, 12'288u);
  EXPECT_EQ(pool.pages(PoolType::paged), 0u);
  EXPECT_EQ(source.pages[1], 0u);
}

TEST(PoolTest, FailsWithInsufficientResourcesWhenTheRegionIsFull) {
  sim::Profile tiny = profile("nt61-x64");
  tiny.layout.nonpaged_pool.bytes = 4 * kPageSize;
  Pool pool(tiny, nullptr);
  const PoolSite site = pool.site("test", PoolType::nonpaged, pool_tag("Test"));
  std::vector<PoolBlock> blocks;
  for (;;) {
    const Result<PoolBlock> block = pool.allocate(site, 1256);
    if (!block) {
      EXPECT_EQ(block.error(), Status::insufficient_resources);
      break;
    }
    blocks.push_back(*block);
  }
  EXPECT_EQ(blocks.size(), 12u);                // three a page
  PoolBlock small = *pool.allocate(site, 200);  // the rest of a page still serves smaller ones
  EXPECT_FALSE(pool.allocate(site, 4096));
  EXPECT_EQ(pool.allocate(site, ~u64{0}).error(), Status::insufficient_resources);
  pool.free(small);
  for (PoolBlock& block : blocks) pool.free(block);
  PoolBlock all = *pool.allocate(site, 4 * kPageSize);
  EXPECT_FALSE(pool.allocate(site, 1));
  pool.free(all);
}

TEST(PoolTest, ChargesNothingWhenThePageSourceRefuses) {
  CountingSource source;
  source.limit = 1;
  Pool pool(profile("nt61-x64"), &source);
  const PoolSite site = pool.site("test", PoolType::paged, pool_tag("Test"));
  EXPECT_EQ(pool.allocate(site, 8192).error(), Status::insufficient_resources);
  EXPECT_EQ(pool.usage(PoolType::paged).bytes, 0u);
  EXPECT_EQ(pool.pages(PoolType::paged), 0u);
  PoolBlock block = *pool.allocate(site, 4096);
  pool.free(block);
}

TEST(PoolTest, RemembersTheLengthOfVeryLongBlocks) {
  CountingSource source;
  Pool pool(profile("nt61-x64"), &source);
  const PoolSite site = pool.site("test", PoolType::paged, pool_tag("Test"));
  PoolBlock block = *pool.allocate(site, 5000 * kPageSize);
  EXPECT_EQ(pool.charged_bytes(block), 5000 * kPageSize);
  EXPECT_EQ(source.pages[1], 5000u);
  pool.free(block);
  EXPECT_EQ(source.pages[1], 0u);
}

TEST(PoolTest, ListenerSeesEachAllocationWithTheRunningSum) {
  Pool pool(profile("nt61-x64"), nullptr);
  std::vector<PoolEvent> events;
  pool.set_listener([&](const PoolEvent& event) { events.push_back(event); });
  const PoolSite site = pool.site("who", PoolType::nonpaged, pool_tag("Who "));
  PoolBlock a = *pool.allocate(site, 1);
  PoolBlock b = *pool.allocate(site, 100);
  pool.free(a);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[1].requested_bytes, 100u);
  EXPECT_EQ(events[1].charged_bytes, 128u);
  EXPECT_EQ(events[1].total_bytes, 32u + 128u);
  EXPECT_TRUE(events[2].is_free);
  EXPECT_EQ(events[2].total_bytes, 128u);
  EXPECT_EQ(pool.site_info(events[2].site).name, "who");
  pool.free(b);
}

// Against a plain model: no two live blocks overlap, and the sums agree, whatever the order of frees.
TEST(PoolTest, RandomAllocationsNeverOverlapAndAddUp) {
  for (const char* name : {"nt52-x86", "nt61-x64"}) {
    CountingSource source;
    Pool pool(profile(name), &source);
    const PoolSite site = pool.site("test", PoolType::nonpaged, pool_tag("Test"));
    sim::Random random(7, "pool test");
    const u64 header = profile(name).sizes.pool_header;
    std::map<Va, u64> live;  // start of block -> length
    std::vector<PoolBlock> blocks;
    u64 sum = 0;
    for (int step = 0; step < 20'000; ++step) {
      if (blocks.empty() || random.below(5) < 3) {
        const u64 bytes = random.below(100) == 0 ? random.below(50'000) : random.below(1'500);
        const PoolBlock block = *pool.allocate(site, bytes);
        const u64 length = pool.charged_bytes(block);
        Va start = pool.address(block);
        if (length % kPageSize != 0 || (start & kPageMask) != 0) start -= header;
        const auto after = live.lower_bound(start);
        ASSERT_TRUE(after == live.end() || start + length <= after->first);
        ASSERT_TRUE(after == live.begin() || std::prev(after)->first + std::prev(after)->second <= start);
        live[start] = length;
        sum += length;
        blocks.push_back(block);
      } else {
        const u64 victim = random.below(blocks.size());
        PoolBlock block = blocks[victim];
        const u64 length = pool.charged_bytes(block);
        Va start = pool.address(block);
        if (length % kPageSize != 0 || (start & kPageMask) != 0) start -= header;
        live.erase(start);
        sum -= length;
        pool.free(block);
        blocks[victim] = blocks.back();
        blocks.pop_back();
      }
      ASSERT_EQ(pool.usage(PoolType::nonpaged).bytes, sum);
    }
    for (PoolBlock& block : blocks) pool.free(block);
    EXPECT_EQ(source.pages[0], 0u);
  }
}

// Facts 8.12: session space begins at FFFFF900'00000000. Its pool is as large as a block can name.
TEST(PoolTest, TheSessionHasAPoolOfItsOwn) {
  Pool pool(*sim::find_profile("nt61-x64"), nullptr);
  auto record = *pool.allocate(pool.site("win32k", PoolType::session, pool_tag("Usti")), 100);
  EXPECT_EQ(pool.address(record), 0xFFFF'F900'0000'0010u);
  EXPECT_EQ(pool.pages(PoolType::session), 1u);
  EXPECT_EQ(pool.pages(PoolType::paged), 0u);
  EXPECT_TRUE(pool.is_allocated(0xFFFF'F900'0000'0010u));
  EXPECT_EQ(pool_type_name(pool.tags().front().type), "session pool");
  pool.free(record);
  EXPECT_EQ(pool.pages(PoolType::session), 0u);
  EXPECT_EQ(pool.page_capacity(PoolType::session), (256ull << 30) / kPageSize);
}

TEST(PoolTest, TagTextDropsTheProtectionBit) { EXPECT_EQ(pool_tag_text(pool_tag("Thr\xE5")), "Thre"); }

}  // namespace
}  // namespace vitrine::ex
