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
INSTANTIATE_TEST_SUITE_P(Seeds, TortureTest, testing::Range<u64>(1, 13));

}  // namespace
}  // namespace vitrine::ke
