#include "mm/vad.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "sim/random.h"

namespace vitrine::mm {
namespace {

constexpr Va kLow = 0x1'0000, kHigh = 0x100'0000;

TEST(VadTree, FirstFitFromEitherEnd) {
  VadTree tree(kLow, kHigh);
  EXPECT_EQ(tree.find_gap(0x1000, 0x1'0000, SearchFrom::bottom, 0, ~0ull), kLow);
  EXPECT_EQ(tree.find_gap(0x1'1000, 0x1'0000, SearchFrom::top, 0, ~0ull), kHigh - 0x2'0000);
  tree.insert(kLow, kLow + 0x1000);
  // 15 pages are left in the granule, but none of them begins one.
  EXPECT_EQ(tree.find_gap(0x1000, 0x1'0000, SearchFrom::bottom, 0, ~0ull), kLow + 0x1'0000);
  EXPECT_EQ(tree.find_gap(0x1000, 0x1000, SearchFrom::bottom, 0, ~0ull), kLow + 0x1000);
  tree.insert(kHigh - 0x1'0000, kHigh);
  EXPECT_EQ(tree.find_gap(0x2000, 0x1000, SearchFrom::top, 0, ~0ull), kHigh - 0x1'2000);
  EXPECT_EQ(tree.find_gap(kHigh - kLow, 0x1000, SearchFrom::bottom, 0, ~0ull), 0u);
}

TEST(VadTree, FloorAndCeilingBoundTheSearch) {
  VadTree tree(kLow, kHigh);
  tree.insert(0x10'0000, 0x11'0000);
  EXPECT_EQ(tree.find_gap(0x1000, 0x1'0000, SearchFrom::bottom, 0x10'0800, ~0ull), 0x11'0000u);
  EXPECT_EQ(tree.find_gap(0x1000, 0x1'0000, SearchFrom::top, 0, 0x10'8000), 0xF'0000u);
  EXPECT_EQ(tree.find_gap(0x2'0000, 0x1'0000, SearchFrom::bottom, 0xF'0000, 0x12'0000), 0u);
  EXPECT_EQ(tree.find_gap(0x1'0000, 0x1'0000, SearchFrom::bottom, 0xF'0000, 0x12'0000), 0xF'0000u);
}

// A slow allocator over a map says what is right.
class Model {
 public:
  Model(Va low, Va high) : low_(low), high_(high) {}
  std::map<Va, Va> ranges;
  Va find(u64 bytes, u64 alignment, SearchFrom from, Va floor, Va ceiling) const {
    std::vector<std::pair<Va, Va>> gaps;
    Va end = low_;
    for (const auto& [start, stop] : ranges) {
      gaps.emplace_back(end, start);
      end = stop;
    }
    gaps.emplace_back(end, high_);
    Va best = 0;
    for (auto [start, stop] : gaps) {
      start = std::max(start, floor);
      stop = std::min(stop, ceiling);
      if (start >= stop || stop - start < bytes) continue;
      const Va place = from == SearchFrom::bottom ? align_up(start, alignment) : align_down(stop - bytes, alignment);
      if (place < start || place + bytes > stop) continue;
      best = place;
      if (from == SearchFrom::bottom) return best;
    }
    return best;
  }

 private:
  Va low_, high_;
};

// Ranges of up to forty units in a space of 4,096.
class VadTreeAtRandom : public testing::TestWithParam<u64> {};

TEST_P(VadTreeAtRandom, AgreesWithASlowModel) {
  const u64 unit = GetParam(), high = 4096 * unit;
  sim::Random random(1, "vad test");
  VadTree tree(kLow, high);
  Model model(kLow, high);
  u64 found = 0;
  for (u32 step = 0; step < 6'000; ++step) {
    const u64 bytes = (1 + random.below(40)) * unit;
    const u64 alignment = random.below(3) == 0 ? kPageSize : random.below(8) == 0 ? 0x4'0000 : kAllocationGranularity;
    const SearchFrom from = random.below(2) == 0 ? SearchFrom::bottom : SearchFrom::top;
    const Va floor = random.below(4) == 0 ? random.below(high) : 0;
    const Va ceiling = random.below(4) == 0 ? random.below(high) & ~kPageMask : ~0ull;
    const Va place = tree.find_gap(bytes, alignment, from, page_floor(floor), ceiling);
    ASSERT_EQ(place, model.find(bytes, alignment, from, page_floor(floor), ceiling)) << step;
    if (place != 0 && random.below(10) < 6) {
      tree.insert(place, place + bytes);
      model.ranges[place] = place + bytes;
      ++found;
    } else if (!model.ranges.empty()) {
      auto it = model.ranges.lower_bound(random.below(high));
      if (it == model.ranges.end()) it = model.ranges.begin();
      Vad* vad = tree.find(it->first);
      ASSERT_NE(vad, nullptr);
      ASSERT_EQ(vad->end(), it->second);
      if (it->second - it->first > kPageSize && random.below(3) == 0) {
        tree.resize(*vad, it->first, it->second - kPageSize);
        it->second -= kPageSize;
      } else {
        tree.erase(*vad);
        model.ranges.erase(it);
      }
    }
    if (step % 32 == 0) ASSERT_TRUE(tree.is_consistent()) << step;
  }
  EXPECT_GT(found, 500u);
  EXPECT_EQ(tree.size(), model.ranges.size());
}

// With gigabytes, gaps lie on both sides of the size from which on the tree no longer tells them apart.
INSTANTIATE_TEST_SUITE_P(Units, VadTreeAtRandom, testing::Values(kPageSize, 1ull << 30),
                         [](const auto& unit) { return unit.param == kPageSize ? "pages" : "gigabytes"; });

TEST(VadTree, FindsAGapAmongAHundredThousandWithoutWalkingThem) {
  VadTree tree(kLow, 1ull << 46);
  for (u32 i = 0; i < 100'000; ++i) {
    const Va place = tree.find_gap(0x1000, kAllocationGranularity, SearchFrom::bottom, 0, ~0ull);
    ASSERT_EQ(place, kLow + i * kAllocationGranularity);  // each leaves 15 pages that never fit
    tree.insert(place, place + 0x1000);
  }
  tree.erase(*tree.find(kLow + 70'000 * kAllocationGranularity));
  EXPECT_EQ(tree.find_gap(0x1'0000, kAllocationGranularity, SearchFrom::bottom, 0, ~0ull),
            kLow + 70'000 * kAllocationGranularity);
  EXPECT_TRUE(tree.is_consistent());
  EXPECT_LE(tree.host_bytes(), 100'000 * 73u + 100'000);
}

}  // namespace
}  // namespace vitrine::mm
