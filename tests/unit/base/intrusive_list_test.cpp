#include "base/intrusive_list.h"

#include <gtest/gtest.h>

#include <vector>

namespace vitrine {
namespace {

struct Item {
  int value;
  ListLink link;
};
using List = IntrusiveList<Item, &Item::link>;

std::vector<int> values(const List& list) {
  std::vector<int> out;
  for (const Item& item : list) out.push_back(item.value);
  return out;
}

TEST(IntrusiveList, KeepsTheOrderOfInsertion) {
  Item a{1, {}}, b{2, {}}, c{3, {}};
  List list;
  list.push_back(b);
  list.push_back(c);
  list.push_front(a);
  EXPECT_EQ(values(list), (std::vector{1, 2, 3}));
  while (list.pop_front() != nullptr) {
  }
}

TEST(IntrusiveList, UnlinksFromTheMiddleWithoutTheList) {
  Item a{1, {}}, b{2, {}}, c{3, {}};
  List list;
  for (Item* item : {&a, &b, &c}) list.push_back(*item);
  b.link.unlink();
  EXPECT_FALSE(b.link.is_linked());
  EXPECT_EQ(values(list), (std::vector{1, 3}));
  EXPECT_EQ(list.next(a), &c);
  EXPECT_EQ(list.next(c), nullptr);
  EXPECT_EQ(list.pop_back(), &c);
  EXPECT_EQ(list.pop_back(), &a);
  EXPECT_EQ(list.pop_back(), nullptr);
}

TEST(IntrusiveList, RefusesAnElementThatIsLinkedAlready) {
  Item a{1, {}};
  List list;
  list.push_back(a);
  EXPECT_DEATH(list.push_back(a), "is_linked");
  a.link.unlink();
}

}  // namespace
}  // namespace vitrine
