// What C++ finds in the tables of the code cache.
#include "cpu/translator/code_cache.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

namespace vitrine::cpu::test {
namespace {

using translator::Arena;
using translator::Block;
using translator::ChainExit;
using translator::CodeCache;
using translator::Condition;
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

// Jumps at the end of a block, and where they lead.
class ExitsTest : public CodeCacheTest {
 protected:
  static constexpr u32 kJumpBytes = 5, kConditionalBytes = 6;
  u32 exit_at(u8* displacement) {
    ChainExit exit;
    exit.displacement = displacement;
    return cache_.add_exit(exit);
  }
  void pair(u32 first, u32 second) {
    cache_.exit(first).pair = true;
    cache_.exit(first).other = second;
  }
  static const u8* led_to(const u8* displacement) {
    i32 relative = 0;
    std::memcpy(&relative, displacement, sizeof relative);
    return displacement + 4 + relative;
  }
  u8* start_ = cache_.hot.here();
};

TEST_F(ExitsTest, TheTargetOfTheLastJumpTakesItsPlace) {
  const u32 exit = exit_at(cache_.hot.jump());
  cache_.make_way(exit);
  EXPECT_EQ(cache_.hot.here(), start_);
  cache_.hot.dword(0x11223344);
  cache_.link(exit, start_);
  EXPECT_EQ(start_[0], 0x44) << "the target is as it was emitted";
}

TEST_F(ExitsTest, AJumpWithCodeBehindItIsLinked) {
  u8* const jump = cache_.hot.jump();
  const u32 exit = exit_at(jump);
  cache_.hot.dword(0x11223344);
  u8* const here = cache_.hot.here();
  cache_.make_way(exit);
  EXPECT_EQ(cache_.hot.here(), here);
  cache_.link(exit, here);
  EXPECT_EQ(led_to(jump), here);
}

TEST_F(ExitsTest, AJumpToWhatFollowsDoesNothing) {
  const u32 exit = exit_at(cache_.hot.jump());
  cache_.link(exit, cache_.hot.here());
  EXPECT_EQ(start_[0], 0x0F);
  EXPECT_EQ(start_[1], 0x1F);
}

TEST_F(ExitsTest, APairWhoseFirstWasTakenIsTurnedRound) {
  u8* const first = cache_.hot.jump(Condition::e);
  u8* const second = cache_.hot.jump();
  const u32 taken = exit_at(first), other = exit_at(second);
  pair(taken, other);
  u8* const unlinked = start_ + 0x400;
  translator::Emitter::patch(second, unlinked);
  cache_.make_way(taken);
  EXPECT_EQ(cache_.hot.here(), start_ + kConditionalBytes);
  EXPECT_EQ(start_[1], 0x85) << "JNE";
  EXPECT_EQ(led_to(first), unlinked);
  cache_.hot.dword(0x11223344);
  cache_.link(taken, start_ + kConditionalBytes);
  u8* const later = start_ + 0x200;
  cache_.link(other, later);
  EXPECT_EQ(led_to(first), later);
  EXPECT_EQ(start_[kConditionalBytes], 0x44) << "the target is as it was emitted";
}

TEST_F(ExitsTest, APairWhoseTargetLiesBehindItAlreadyIsTurnedRoundInItsPlace) {
  u8* const first = cache_.hot.jump(Condition::b);
  u8* const second = cache_.hot.jump();
  const u32 taken = exit_at(first);
  pair(taken, translator::kNoExit);
  u8* const loop = start_ + 0x100;
  translator::Emitter::patch(second, loop);
  cache_.link(taken, start_ + kConditionalBytes + kJumpBytes);
  EXPECT_EQ(start_[1], 0x83) << "JAE";
  EXPECT_EQ(led_to(first), loop);
  EXPECT_EQ(start_[kConditionalBytes], 0x0F);
}

TEST_F(ExitsTest, APairWhoseSecondWentFirstStays) {
  u8* const first = cache_.hot.jump(Condition::e);
  const u32 taken = exit_at(first), other = exit_at(cache_.hot.jump());
  pair(taken, other);
  cache_.make_way(other);
  EXPECT_EQ(cache_.hot.here(), start_ + kConditionalBytes);
  cache_.hot.dword(0x11223344);
  cache_.make_way(taken);
  u8* const later = start_ + 0x200;
  cache_.link(taken, later);
  EXPECT_EQ(start_[1], 0x84);
  EXPECT_EQ(led_to(first), later);
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
