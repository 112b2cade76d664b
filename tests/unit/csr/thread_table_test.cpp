#include "csr/thread_table.h"

#include <gtest/gtest.h>

#include <vector>

#include "sim/random.h"

namespace vitrine::csr {
namespace {

struct Table {
  explicit Table(const char* strategy) : table(make_thread_table(*parse_strategy(strategy), records)) {}
  u32 add(u32 id) {
    const u32 index = records.allocate();
    records[index].id = id;
    table->insert(index);
    return index;
  }
  void drop(u32 id) {
    const u32 index = table->find(id).index;
    ASSERT_NE(index, kNoRecord);
    table->remove(index);
    records.release(index);
  }
  ThreadRecords records;
  std::unique_ptr<ThreadTable> table;
};

// The n-th id that the id table gives out: multiples of 4, none of 0x400.
u32 nth_id(u32 n) { return (n / 255 * 256 + n % 255 + 1) * 4; }

TEST(CsrThreadTable, NewEntriesGoToTheHeadSoTheOldestIsTheFarthest) {
  for (const char* strategy : {"constant", "constant,counted", "chained:4"}) {
    Table t(strategy);
    const u32 step = t.table->shape().buckets == 4 ? 16 : 4;  // the same bucket in each
    for (u32 i = 1; i <= 100; ++i) t.add(i * step);
    EXPECT_EQ(t.table->find(step).visits, 100u) << strategy;
    EXPECT_EQ(t.table->find(100 * step).visits, 1u) << strategy;
    EXPECT_EQ(t.table->find(60 * step).visits, 41u) << strategy;
    EXPECT_EQ(t.table->find(101 * step).visits, 100u) << "who is not there costs the whole chain: " << strategy;
    EXPECT_EQ(t.table->find(101 * step).index, kNoRecord);
  }
}

// facts 4.2: ids that are multiples of 0x400 are never given out, so four of the 1,024 buckets stay empty.
TEST(CsrThreadTable, OfTheTableOf1024BucketsFourStayEmpty) {
  Table t("chained:1024");
  for (u32 n = 0; n < 20'400; ++n) t.add(nth_id(n));
  const TableShape shape = t.table->shape();
  EXPECT_EQ(shape.buckets, 1024u);
  EXPECT_EQ(shape.used_buckets, 1020u);
  EXPECT_EQ(shape.entries, 20'400u);
  EXPECT_EQ(shape.longest_chain, 20u);
  EXPECT_EQ(t.table->find(nth_id(0)).visits, 20u);
}

TEST(CsrThreadTable, CountingGivesTheVisitsOfWalkingWhateverComesAndGoes) {
  Table walked("chained:8"), counted("chained:8,counted");
  sim::Random random(7, "test");
  std::vector<u32> ids;
  u32 next = 0;
  for (u32 step = 0; step < 20'000; ++step) {
    if (ids.empty() || random.below(100) < 52) {
      const u32 id = nth_id(next++);
      walked.add(id);
      counted.add(id);
      ids.push_back(id);
    } else {
      const u64 which = random.below(ids.size());
      walked.drop(ids[which]);
      counted.drop(ids[which]);
      ids[which] = ids.back();
      ids.pop_back();
    }
    const u32 asked = nth_id(static_cast<u32>(random.below(next)));
    const Found a = walked.table->find(asked), b = counted.table->find(asked);
    ASSERT_EQ(a.visits, b.visits) << "step " << step;
    ASSERT_EQ(a.index == kNoRecord, b.index == kNoRecord);
  }
}

// Linear hashing: look-ups stay short, and no insertion looks at more than the two chains that it splits.
TEST(CsrThreadTable, ResizingStaysFlatWhileItGrowsAndShrinks) {
  Table t("resizing");
  constexpr u32 kCount = 50'000;
  for (u32 n = 0; n < kCount; ++n) {
    t.add(nth_id(n));
    ASSERT_LE(t.table->find(nth_id(0)).visits, 4u) << n;
    ASSERT_EQ(t.records[t.table->find(nth_id(n / 2)).index].id, nth_id(n / 2));
  }
  TableShape shape = t.table->shape();
  EXPECT_EQ(shape.entries, kCount);
  EXPECT_EQ(shape.buckets, kCount);
  EXPECT_LE(shape.longest_chain, 4u);
  const u64 full = t.table->heap_bytes(8);
  EXPECT_GE(full, u64{kCount} * 16);
  for (u32 n = 0; n < kCount; ++n) {
    t.drop(nth_id(n));
    if (n + 1 < kCount) ASSERT_LE(t.table->find(nth_id(kCount - 1)).visits, 8u) << n;
  }
  shape = t.table->shape();
  EXPECT_EQ(shape.entries, 0u);
  EXPECT_LT(shape.buckets, 100u);
  EXPECT_LT(t.table->heap_bytes(8), full / 10);
}

TEST(CsrThreadTable, AnIndexIsReusedAndStartsClean) {
  Table t("chained:16");
  const u32 first = t.add(4);
  t.records[first].flags = thread_flags::kTerminated;
  t.drop(4);
  const u32 second = t.add(8);
  EXPECT_EQ(second, first);
  EXPECT_EQ(t.records[second].flags, 0u);
  EXPECT_EQ(t.table->find(4).index, kNoRecord);
  EXPECT_EQ(t.table->find(8).index, second);
}

}  // namespace
}  // namespace vitrine::csr
