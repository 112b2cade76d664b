#include "mm/pte.h"

#include <gtest/gtest.h>

#include "mm/memory_constants.h"

namespace vitrine::mm {
namespace {

TEST(Pte, EachFormIsItselfAndNoOther) {
  const Protection rw{Protection::kReadWrite};
  struct Case {
    Pte pte;
    int form;
  };
  const Case cases[] = {{Pte{}, 0},
                        {Pte::valid(Pfn{5}, rw, false), 1},
                        {Pte::demand_zero(rw), 2},
                        {Pte::page_file(3, 77, rw), 3},
                        {Pte::transition(Pfn{5}, rw), 4},
                        {Pte::vad_lookup(rw), 5},
                        {Pte::subsection(0, rw), 6},
                        {Pte::decommitted(), 7}};
  for (const Case& c : cases) {
    EXPECT_EQ(c.pte.is_empty(), c.form == 0);
    EXPECT_EQ(c.pte.is_valid(), c.form == 1);
    EXPECT_EQ(c.pte.is_demand_zero(), c.form == 2);
    EXPECT_EQ(c.pte.is_page_file(), c.form == 3);
    EXPECT_EQ(c.pte.is_transition(), c.form == 4);
    EXPECT_EQ(c.pte.is_vad_lookup(), c.form == 5);
    EXPECT_EQ(c.pte.is_prototype(), c.form == 5 || c.form == 6);
    EXPECT_EQ(c.pte.is_decommitted(), c.form == 7);
    if (c.form != 0 && c.form != 7) EXPECT_EQ(c.pte.protection(), rw) << c.form;
  }
  EXPECT_TRUE(Pte::shadow(Pfn{9}, rw).is_shadow());
  EXPECT_TRUE(Pte::shadow(Pfn{9}, rw).is_transition());
  EXPECT_EQ(Pte::shadow(Pfn{9}, rw).pfn(), Pfn{9});
}

TEST(Pte, HardwareBitsFollowTheProtection) {
  const auto bits = [](u8 code) { return Pte::valid(Pfn{1}, {code}, false).bits; };
  EXPECT_EQ(bits(Protection::kRead) & cpu::pte::kWrite, 0u);
  EXPECT_NE(bits(Protection::kRead) & cpu::pte::kNoExecute, 0u);
  EXPECT_EQ(bits(Protection::kExecuteRead) & cpu::pte::kNoExecute, 0u);
  EXPECT_NE(bits(Protection::kReadWrite) & cpu::pte::kWrite, 0u);
  EXPECT_EQ(bits(Protection::kWriteCopy) & cpu::pte::kWrite, 0u);
  EXPECT_TRUE(Pte{bits(Protection::kWriteCopy)}.is_copy_on_write());
  EXPECT_EQ(bits(Protection::kReadWrite) & cpu::pte::kDirty, 0u);
  EXPECT_EQ(cpu::pte::frame(bits(Protection::kReadWrite)), Pfn{1}) << "our code bits are outside the frame number";
}

TEST(Protection, EveryWin32ValueComesBack) {
  for (const u32 base : {page::kReadOnly, page::kReadWrite, page::kWriteCopy, page::kExecute, page::kExecuteRead,
                         page::kExecuteReadWrite, page::kExecuteWriteCopy}) {
    for (const u32 modifier : {0u, page::kGuard, page::kNoCache, page::kWriteCombine}) {
      const auto code = protection_from_win32(base | modifier);
      ASSERT_TRUE(code);
      EXPECT_EQ(protection_to_win32(*code), base | modifier);
      EXPECT_EQ(code->is_guard(), modifier == page::kGuard);
      EXPECT_FALSE(code->is_no_access());
      EXPECT_FALSE(code->is_decommitted());
    }
  }
  constexpr u32 kTargetsInvalid = 0x4000'0000;  // Control Flow Guard's: no part of the protection
  EXPECT_EQ(protection_from_win32(page::kExecuteRead | kTargetsInvalid), protection_from_win32(page::kExecuteRead));
  EXPECT_FALSE(protection_from_win32(page::kReadWrite | kTargetsInvalid));
  EXPECT_TRUE(protection_from_win32(page::kNoAccess)->is_no_access());
}

TEST(Protection, ImpossibleValuesAreRefused) {
  for (const u32 bad :
       {0u, 0x3u, page::kReadOnly | page::kExecute, page::kNoAccess | page::kGuard, page::kNoAccess | page::kNoCache,
        page::kReadOnly | page::kGuard | page::kNoCache, 0x800u | page::kReadOnly, page::kGuard}) {
    EXPECT_FALSE(protection_from_win32(bad)) << bad;
  }
}

TEST(Protection, SectionsGrantWhatTheyWereMadeWith) {
  const auto allows = [](u32 granted, u32 wanted) {
    return is_compatible(*protection_from_win32(granted), *protection_from_win32(wanted));
  };
  EXPECT_TRUE(allows(page::kReadOnly, page::kReadOnly));
  EXPECT_TRUE(allows(page::kReadOnly, page::kWriteCopy));
  EXPECT_FALSE(allows(page::kReadOnly, page::kReadWrite));
  EXPECT_FALSE(allows(page::kReadOnly, page::kExecuteRead));
  EXPECT_FALSE(allows(page::kWriteCopy, page::kReadWrite));
  EXPECT_TRUE(allows(page::kReadWrite, page::kReadWrite));
  EXPECT_TRUE(allows(page::kExecuteRead, page::kExecuteWriteCopy));
  EXPECT_FALSE(allows(page::kExecuteRead, page::kExecuteReadWrite));
  EXPECT_TRUE(allows(page::kExecuteReadWrite, page::kExecuteReadWrite));
  EXPECT_FALSE(allows(page::kExecute, page::kReadOnly));
}

}  // namespace
}  // namespace vitrine::mm
