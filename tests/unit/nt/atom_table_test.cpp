#include "nt/atom_table.h"

#include <gtest/gtest.h>

namespace vitrine::nt {
namespace {

TEST(AtomTable, IgnoresCaseAndCountsUses) {
  AtomTable atoms;
  const Atom first = *atoms.add(u"Window");
  EXPECT_EQ(first, kFirstStringAtom);
  EXPECT_EQ(*atoms.add(u"WINDOW"), first);
  EXPECT_EQ(atoms.query(first)->usage, 2);
  EXPECT_EQ(atoms.query(first)->name, u"Window");
  EXPECT_EQ(atoms.remove(first), Status::success);
  EXPECT_EQ(*atoms.find(u"window"), first);
  EXPECT_EQ(atoms.remove(first), Status::success);
  EXPECT_EQ(atoms.find(u"window").error(), Status::object_name_not_found);
  EXPECT_EQ(atoms.remove(first), Status::invalid_handle);
}

TEST(AtomTable, NumbersAreUsedAgainLowestFirst) {
  AtomTable atoms;
  const Atom a = *atoms.add(u"a"), b = *atoms.add(u"b");
  EXPECT_EQ(b, a + 1);
  EXPECT_EQ(atoms.remove(a), Status::success);
  EXPECT_EQ(*atoms.add(u"c"), a);
}

TEST(AtomTable, IntegerAtomsNameThemselvesAndAreNotStored) {
  AtomTable atoms;
  EXPECT_EQ(*atoms.add(u"#49151"), 0xBFFF);
  EXPECT_TRUE(atoms.strings().empty());
  EXPECT_EQ(atoms.add(u"#0").error(), Status::invalid_parameter);
  EXPECT_EQ(atoms.add(u"#49152").error(), Status::invalid_parameter);
  EXPECT_EQ(atoms.add(u"#99999999999").error(), Status::invalid_parameter);
  EXPECT_GE(*atoms.add(u"#12x"), kFirstStringAtom);
  EXPECT_EQ(atoms.query(7)->name, u"#7");
}

TEST(AtomTable, RefusesEmptyAndLongNamesAndEndsWhenFull) {
  AtomTable atoms;
  EXPECT_EQ(atoms.add(u"").error(), Status::object_name_invalid);
  EXPECT_EQ(atoms.add(std::u16string(256, u'x')).error(), Status::invalid_parameter);
  EXPECT_TRUE(atoms.add(std::u16string(255, u'x')).has_value());
}

}  // namespace
}  // namespace vitrine::nt
