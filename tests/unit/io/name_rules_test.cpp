#include "io/name_rules.h"

#include <gtest/gtest.h>

#include "io/byte_range_locks.h"
#include "io/host_error.h"

#include <cerrno>

namespace vitrine::io {
namespace {

TEST(NameRules, PathsAreSplitAndIllegalComponentsRefused) {
  const auto split = split_path(u"\\a\\b c\\");
  ASSERT_TRUE(split);
  EXPECT_EQ(split->components, (std::vector<std::u16string_view>{u"a", u"b c"}));
  EXPECT_TRUE(split->trailing_backslash);
  EXPECT_TRUE(split_path(u"\\")->components.empty());
  for (std::u16string_view bad : {u"\\a\\\\b", u"\\..\\a", u"\\.", u"\\a:b", u"\\a/b", u"\\a*", u"\\a\x01", u"\\\\"}) {
    EXPECT_EQ(split_path(bad).error(), Status::object_name_invalid);
  }
  EXPECT_TRUE(is_legal_component(std::u16string(255, u'x')));
  EXPECT_FALSE(is_legal_component(std::u16string(256, u'x')));
  EXPECT_TRUE(is_legal_component(u"nul"));       // reserved in user mode only
  EXPECT_TRUE(is_legal_component(u"trailing. "));  // as for \\?\ paths
}

struct Case { std::u16string_view pattern, name; bool matches; };

// [MS-FSA 2.1.4.4]
TEST(NameRules, WildcardsMatchAsNtsExpressionsDo) {
  const Case cases[] = {
      {u"*", u"a.b", true},       {u"*.*", u"a", false},      {u"*.*", u"a.b", true},    {u"?", u"ab", false},
      {u"a?c", u"ABC", true},     {u"a*c*e", u"abcde", true}, {u"a*c*e", u"abcd", false}, {u"", u"a", false},
      {u"<", u"abc", true},       {u"<", u"abc.txt", false},  {u"<.txt", u"a.b.txt", true}, {u"<.b", u"a.b.txt", false},
      {u"<\"*", u"abc", true},    {u"<\"*", u"a.b", true},    {u"a>>", u"a", true},      {u"a>>", u"ab", true},
      {u"a>>", u"abcd", false},   {u"a>>.c", u"ab.c", true},  {u">.c", u"ab.c", false},  {u"a\"", u"a", true},
      {u"a\"", u"a.", true},      {u"a\"b", u"ab", false},    {u"*.txt", u"x.TXT", true}, {u"x.*", u"x", false},
      {u"\u00e4*", u"\u00c4x", true},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(matches_expression(c.pattern, c.name), c.matches)
        << std::string(c.pattern.begin(), c.pattern.end()) << " on " << std::string(c.name.begin(), c.name.end());
  }
}

TEST(NameRules, ManyStarsTakeNoExponentialTime) {
  std::u16string pattern;
  for (int i = 0; i < 100; ++i) pattern += u"*a";
  EXPECT_FALSE(matches_expression(pattern + u"b", std::u16string(255, u'a')));
}

struct Owners {
  const FileObject* a = reinterpret_cast<const FileObject*>(8);
  const FileObject* b = reinterpret_cast<const FileObject*>(16);
};

TEST(ByteRangeLocks, ExclusiveExcludesAllAndSharedExcludesExclusive) {
  const Owners o;
  ByteRangeLocks locks;
  EXPECT_EQ(locks.lock({10, 10, o.a, 0, LockKind::exclusive}), Status::success);
  EXPECT_EQ(locks.lock({19, 1, o.b, 0, LockKind::shared}), Status::lock_not_granted);
  EXPECT_EQ(locks.lock({19, 1, o.a, 0, LockKind::exclusive}), Status::lock_not_granted);
  EXPECT_EQ(locks.lock({20, 10, o.b, 0, LockKind::shared}), Status::success);
  EXPECT_EQ(locks.lock({25, 10, o.a, 0, LockKind::shared}), Status::success);
  EXPECT_EQ(locks.lock({~u64{0}, 2, o.a, 0, LockKind::shared}), Status::invalid_lock_range);
  EXPECT_EQ(locks.lock({~u64{0}, 1, o.a, 0, LockKind::shared}), Status::success);
}

TEST(ByteRangeLocks, TransfersObeyTheLocksOfOthers) {
  ByteRangeLocks locks;
  alignas(8) static char storage[2];
  const auto& a = reinterpret_cast<const FileObject&>(storage[0]);
  const auto& b = reinterpret_cast<const FileObject&>(storage[1]);
  ASSERT_EQ(locks.lock({0, 10, &a, 7, LockKind::exclusive}), Status::success);
  ASSERT_EQ(locks.lock({20, 10, &a, 7, LockKind::shared}), Status::success);
  EXPECT_EQ(locks.check(TransferKind::read, 9, 1, b, 7), Status::file_lock_conflict);
  EXPECT_EQ(locks.check(TransferKind::write, 9, 1, a, 7), Status::success);
  EXPECT_EQ(locks.check(TransferKind::write, 9, 1, a, 8), Status::file_lock_conflict);  // another key
  EXPECT_EQ(locks.check(TransferKind::read, 20, 1, b, 0), Status::success);
  EXPECT_EQ(locks.check(TransferKind::write, 20, 1, a, 7), Status::file_lock_conflict);  // shared: even the owner
  EXPECT_EQ(locks.check(TransferKind::write, 10, 10, b, 0), Status::success);
  EXPECT_EQ(locks.unlock(a, 0, 9, 7), Status::range_not_locked);
  EXPECT_EQ(locks.unlock(a, 0, 10, 7), Status::success);
  locks.unlock_all(a);
  EXPECT_TRUE(locks.empty());
}

TEST(HostError, TheTableKnowsTheUsualErrors) {
  EXPECT_EQ(status_from_errno(ENOSPC), Status::disk_full);
  EXPECT_EQ(status_from_errno(EACCES), Status::access_denied);
  EXPECT_EQ(status_from_errno(ENOENT), Status::object_name_not_found);
  EXPECT_EQ(status_from_errno(ENAMETOOLONG), Status::name_too_long);
  EXPECT_EQ(status_from_errno(EPIPE), Status::pipe_broken);
  EXPECT_EQ(status_from_errno(EIO), Status::io_device_error);
  EXPECT_EQ(status_from_errno(4095), Status::unexpected_io_error);
}

}  // namespace
}  // namespace vitrine::io
