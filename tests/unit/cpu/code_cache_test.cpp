// What C++ finds in the tables of the code cache.
#include "cpu/translator/code_cache.h"

#include <gtest/gtest.h>

#include <set>

namespace vitrine::cpu::test {
namespace {

using translator::Arena;
using translator::Block;
using translator::CodeCache;
using translator::FaultRange;
using translator::FlagSource;
using translator::Table;
using translator::Variant;

constexpr Pfn kFirst{7}, kSecond{8};
constexpr Va kPage = 0x1'4000'0000;

class CodeCacheTest : public ::testing::Test {
 protected:
  Block& publish(Va va, Pfn frame, const Variant& variant = {}, Pfn second = {}) {
    Block& block = cache_.add_block();
    block.va = va;
    block.frame = frame;
    block.variant = variant;
    block.crossing = second != Pfn{};
    block.second_frame = second;
    cache_.publish(block);
    return block;
  }
  CodeCache cache_{1 << 20, 1 << 16};
};

TEST_F(CodeCacheTest, ABlockIsFoundByAddressFrameAndVariantTogether) {
  constexpr Variant kSingle{.flags_saved = true, .single = true};
  constexpr Variant kCompared{
      .flags_saved = false, .flag_source = {FlagSource::Operation::compare, 8, 0, -1, 5}, .single = false};
  Block& plain = publish(kPage, kFirst);
  Block& single = publish(kPage, kFirst, kSingle);
  Block& compared = publish(kPage, kFirst, kCompared);
  Block& elsewhere = publish(kPage, kSecond);
  Block& later = publish(kPage + 4, kFirst);
  EXPECT_EQ(cache_.find(kPage, kFirst, {}), &plain);
  EXPECT_EQ(cache_.find(kPage, kFirst, kSingle), &single);
  EXPECT_EQ(cache_.find(kPage, kFirst, kCompared), &compared);
  EXPECT_EQ(cache_.find(kPage, kSecond, {}), &elsewhere);
  EXPECT_EQ(cache_.find(kPage + 4, kFirst, {}), &later);
  EXPECT_EQ(cache_.find(kPage + 8, kFirst, {}), nullptr);
  EXPECT_EQ(cache_.find(kPage + 4096, kFirst, {}), nullptr) << "the same place in another page";
  Variant other = kCompared;
  other.flag_source.immediate = 6;
  EXPECT_EQ(cache_.find(kPage, kFirst, other), nullptr);
  cache_.publish_as(compared, other);
  EXPECT_EQ(cache_.find(kPage, kFirst, other), &compared);
}

TEST_F(CodeCacheTest, AWrittenFrameLosesItsBlocksAndThoseThatReachIntoIt) {
  Block& crossing = publish(kPage + 4090, kFirst, {}, kSecond);
  Block& stays = publish(kPage, kFirst);
  Block& goes = publish(kPage + 4096, kSecond);
  const std::vector<Block*> dropped = cache_.invalidate(kSecond);
  EXPECT_EQ(std::set<Block*>(dropped.begin(), dropped.end()), (std::set<Block*>{&crossing, &goes}));
  EXPECT_FALSE(cache_.has_code(kSecond));
  EXPECT_TRUE(cache_.has_code(kFirst));
  EXPECT_EQ(cache_.find(kPage + 4090, kFirst, {}), nullptr);
  EXPECT_EQ(cache_.find(kPage + 4096, kSecond, {}), nullptr);
  EXPECT_EQ(cache_.find(kPage, kFirst, {}), &stays);
  Block& again = publish(kPage + 4090, kFirst, {}, kSecond);
  EXPECT_EQ(cache_.find(kPage + 4090, kFirst, {}), &again) << "in the place of the dead one";
  EXPECT_EQ(cache_.invalidate(kFirst).size(), 2u) << "the dead one is not named again";
}

TEST_F(CodeCacheTest, AFaultIsFoundInTheRangeThatHoldsItAndInNoOther) {
  u8* const hot = cache_.hot.here();
  u8* const cold = cache_.cold.here();
  for (u32 n = 0; n < 100; ++n) {
    cache_.add_fault_range({hot + 10 * n, hot + 10 * n + 4, n, false});
    cache_.add_fault_range({cold + 10 * n, cold + 10 * n + 4, 1000 + n, true});
  }
  for (u32 n = 0; n < 100; ++n) {
    for (u32 byte = 0; byte < 10; ++byte) {
      const FaultRange* const in_hot = cache_.find_fault_range(hot + 10 * n + byte);
      const FaultRange* const in_cold = cache_.find_fault_range(cold + 10 * n + byte);
      ASSERT_EQ(in_hot != nullptr, byte < 4);
      ASSERT_EQ(in_cold != nullptr, byte < 4);
      if (byte >= 4) continue;
      EXPECT_EQ(in_hot->site, n);
      EXPECT_EQ(in_cold->site, 1000 + n);
    }
  }
  EXPECT_EQ(cache_.find_fault_range(hot - 1), nullptr);
  EXPECT_EQ(cache_.find_fault_range(cold - 1), nullptr);
  cache_.clear();
  EXPECT_EQ(cache_.find_fault_range(hot), nullptr);
}

TEST(TranslatorTable, ElementsStayWhereTheyAreAndTheirMemoryIsUsedAgain) {
  Arena arena;
  Table<u64> numbers(arena), others(arena);
  std::vector<u64*> places;
  for (u64 n = 0; n < 20'000; ++n) {
    places.push_back(&numbers.push_back(n));
    others.push_back(~n);
  }
  for (u64 n = 0; n < 20'000; ++n) {
    ASSERT_EQ(&numbers[n], places[n]);
    ASSERT_EQ(numbers[n], n);
    ASSERT_EQ(others[n], ~n);
  }
  numbers.clear();
  EXPECT_EQ(numbers.size(), 0u);
  EXPECT_EQ(&numbers.push_back(5), places[0]);
}

}  // namespace
}  // namespace vitrine::cpu::test
