#include "torture.h"

namespace vitrine::ke {
namespace {

class TortureTest : public testing::TestWithParam<u64> {};
TEST_P(TortureTest, TheBooksStayWholeAndTheRunRepeats) {
  const u64 seed = GetParam();
  Torture::Options options{.machine = {.processor_count = 3, .seed = seed}};
  if (seed % 3 == 1) options.machine = {.processor_count = 8, .threads_per_core = 2, .nodes = 2, .seed = seed};
  if (seed % 2 == 0) options.profile = "nt52-x64";
  Torture first(options);
  const u64 hash = first.run();
  EXPECT_GT(first.placements(), 100u);
  EXPECT_EQ(hash, Torture(options).run());
}

// facts 5.1: random operations make every change of state that NT has, and no other: the checker looks after every
// window. Few threads, so that a process is out now and then.
TEST(TortureStates, EveryChangeOfStateOccursAndNoOther) {
  StateChanges seen;
  for (u64 seed = 1; seed <= 40; ++seed) {
    Torture torture(
        {.machine = {.processor_count = 2, .seed = seed}, .threads = 2, .operations = 1000, .swap_every = 4});
    torture.run();
    for (u8 from = 0; from < kThreadStates; ++from) {
      for (u8 to = 0; to < kThreadStates; ++to) {
        const StateChanges::Pair pair{static_cast<ThreadState>(from), static_cast<ThreadState>(to)};
        if (torture.state_changes().contains(pair)) seen.add(pair);
      }
    }
  }
  EXPECT_EQ(seen, kStateChanges);
}

INSTANTIATE_TEST_SUITE_P(Seeds, TortureTest, testing::Range<u64>(1, 13));

}  // namespace
}  // namespace vitrine::ke
