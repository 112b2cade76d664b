#include "sim/random.h"

#include <gtest/gtest.h>

#include <array>

namespace vitrine::sim {
namespace {

TEST(Random, SameSeedAndNameGiveTheSameStream) {
  Random a(5, "x"), b(5, "x");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.next(), b.next());
}

TEST(Random, NameAndSeedEachMakeAnotherStream) {
  Random a(5, "x"), b(5, "y"), c(6, "x"), d(5, "");
  const u64 first = a.next();
  EXPECT_NE(first, b.next());
  EXPECT_NE(first, c.next());
  EXPECT_NE(first, d.next());
}

// Blackman and Vigna's generator, not another: the scrambler and the state update decide every recorded run.
TEST(Random, TheStreamIsPinned) {
  Random a(0, "");
  Random b(0, "");
  std::array<u64, 4> first{};
  for (u64& value : first) value = a.next();
  // xoshiro256** from SplitMix64(0): the published first outputs of that combination.
  EXPECT_EQ(first[0], 0x99EC5F36CB75F2B4ull);
  EXPECT_EQ(first[1], 0xBF6E1F784956452Aull);
  EXPECT_EQ(first[2], 0x1A5F849D4933E6E0ull);
  EXPECT_EQ(first[0], b.next());
}

TEST(Random, BelowIsInRangeAndReachesBothEnds) {
  Random r(1, "below");
  std::array<int, 3> hits{};
  for (int i = 0; i < 3000; ++i) ++hits.at(r.below(3));
  for (const int n : hits) EXPECT_NEAR(n, 1000, 150);
  EXPECT_EQ(r.below(1), 0u);
}

}  // namespace
}  // namespace vitrine::sim
