// The dispatcher under a thousand threads on eight processors: 20,000 operations per seed here; with
// VITRINE_TORTURE=full a million. After every window, which has at most four operations, each processor's lists are
// checked, and after every tenth all books: each thread's place, its wait, its timer. Where each thread goes that
// becomes ready is checked as it happens, and no thread makes a change of state that NT does not know.
#include "tests/unit/ke/torture.h"

#include <cstdlib>
#include <string_view>

namespace vitrine::ke {
namespace {

class LongTorture : public testing::TestWithParam<u64> {};

TEST_P(LongTorture, AThousandThreadsOnEightProcessorsKeepTheBooksWhole) {
  const char* size = std::getenv("VITRINE_TORTURE");
  const bool full = size != nullptr && std::string_view(size) == "full";
  const u64 seed = GetParam();
  Torture::Options options{.machine = {.processor_count = 8, .seed = seed}, .threads = 1000};
  if (seed % 2 == 0) options.machine.threads_per_core = options.machine.nodes = 2;
  if (seed % 3 == 0) options.profile = "nt52-x64";
  options.operations = full ? 1'000'000 : 20'000;
  options.check_every = 10;
  Torture torture(options);
  torture.run();
  EXPECT_GT(torture.placements(), options.operations / 4);
}
INSTANTIATE_TEST_SUITE_P(Seeds, LongTorture, testing::Range<u64>(1, 11));

}  // namespace
}  // namespace vitrine::ke
