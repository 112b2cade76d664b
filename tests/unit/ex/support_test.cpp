#include <gtest/gtest.h>

#include "ex/callback.h"
#include "ex/fast_ref.h"
#include "ex/push_lock.h"
#include "ex/rundown.h"
#include "ex/unicode.h"

namespace vitrine::ex {
namespace {

TEST(RundownTest, RefusesNewUsersOnceBegunAndTellsTheLastOne) {
  RundownProtection rundown;
  ASSERT_TRUE(rundown.acquire());
  ASSERT_TRUE(rundown.acquire());
  EXPECT_FALSE(rundown.begin());  // someone is inside
  EXPECT_FALSE(rundown.acquire());
  EXPECT_FALSE(rundown.release());
  EXPECT_TRUE(rundown.release());
  rundown.reinitialize();
  EXPECT_TRUE(rundown.acquire());
  EXPECT_FALSE(rundown.release());  // nobody waits
}

TEST(FastReferenceTest, ServesReferencesFromTheCacheUntilItIsEmpty) {
  int object = 0;
  FastReference<int> reference;
  reference.assign(&object, 2);
  EXPECT_TRUE(reference.acquire_cached());
  EXPECT_TRUE(reference.acquire_cached());
  EXPECT_FALSE(reference.acquire_cached());
  EXPECT_TRUE(reference.release_cached(&object, 2));
  const auto taken = reference.take();
  EXPECT_EQ(taken.references, 2u);  // the field's own and the cached one
  EXPECT_FALSE(reference.release_cached(&object, 2));
  EXPECT_EQ(maximum_fast_references(8), 15u);
  EXPECT_EQ(maximum_fast_references(4), 7u);
}

TEST(PushLockTest, RecursionIsAProgrammersError) {
  PushLock lock;
  const ExclusiveGuard guard(lock);
  EXPECT_DEATH(lock.acquire_shared(), "");
}

TEST(CallbackArrayTest, HoldsExactlyAsManyRoutinesAsItHasSlots) {
  CallbackArray<int> callbacks(2, Status::insufficient_resources);
  std::vector<int> calls;
  const u32 first = *callbacks.add([&](int value) { calls.push_back(value); });
  (void)callbacks.add([&](int value) { calls.push_back(10 * value); });
  EXPECT_EQ(callbacks.add([](int) {}).error(), Status::insufficient_resources);
  callbacks.call(3);
  EXPECT_EQ(calls, (std::vector<int>{3, 30}));
  EXPECT_EQ(callbacks.remove(first), Status::success);
  EXPECT_EQ(callbacks.remove(first), Status::procedure_not_found);
  EXPECT_EQ(callbacks.remove(99), Status::procedure_not_found);
  callbacks.call(4);
  EXPECT_EQ(calls.back(), 40);
}

TEST(CallbackArrayTest, ARoutineMayRemoveItself) {
  CallbackArray<> callbacks(1, Status::insufficient_resources);
  u32 slot = 0;
  int calls = 0;
  slot = *callbacks.add([&] {
    ++calls;
    EXPECT_EQ(callbacks.remove(slot), Status::success);
  });
  callbacks.call();
  callbacks.call();
  EXPECT_EQ(calls, 1);
}

TEST(UnicodeTest, UpcasesLettersOfSeveralScriptsAndNothingElse) {
  EXPECT_EQ(upcase(u"az{`\u00E9\u00F7\u00FF\u0101\u0102\u03B1\u044F\uFF41"),
            u"AZ{`\u00C9\u00F7\u0178\u0100\u0102\u0391\u042F\uFF21");
  EXPECT_EQ(upcase(char16_t{0x131}), 0x131);  // dotless i stays, as in NT
  EXPECT_EQ(upcase(char16_t{0xDF}), 0xDF);    // sharp s has no single capital
  EXPECT_EQ(upcase(char16_t{0xB5}), 0xB5);    // the micro sign's capital belongs to mu
  EXPECT_EQ(upcase(char16_t{0x3C2}), 0x3C2);  // final sigma's to sigma
  EXPECT_EQ(upcase(char16_t{0x1F80}), 0x1F88);
}

TEST(UnicodeTest, ComparesByCapitalThenLength) {
  EXPECT_TRUE(equal_ignoring_case(u"HarddiskVolume1", u"HARDDISKvolume1"));
  EXPECT_LT(compare_ignoring_case(u"ab", u"ABC"), 0);
  EXPECT_GT(compare_ignoring_case(u"b", u"ABC"), 0);
  EXPECT_FALSE(equal_ignoring_case(std::u16string_view(u"a\0b", 3), std::u16string_view(u"a\0c", 3)));
}

TEST(UnicodeTest, EveryUnitSurvivesTheWayThroughUtf8) {
  for (u32 unit = 0; unit < 0x1'0000; ++unit) {
    const std::u16string text(1, static_cast<char16_t>(unit));
    ASSERT_EQ(from_utf8(to_utf8(text)), text) << unit;
  }
  EXPECT_EQ(to_utf8(u"\U0001F30E"), "\xF0\x9F\x8C\x8E");
}

TEST(UnicodeTest, IllFormedUtf8BecomesReplacementCharacters) {
  EXPECT_EQ(from_utf8("\xC0\x80"), u"\uFFFD\uFFFD");  // overlong
  EXPECT_EQ(from_utf8("\xE2\x82"), u"\uFFFD\uFFFD");  // cut off
  EXPECT_EQ(from_utf8("\xF5\x80\x80\x80"), u"\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(from_utf8("a\xFFz"), u"a\uFFFDz");
}

}  // namespace
}  // namespace vitrine::ex
