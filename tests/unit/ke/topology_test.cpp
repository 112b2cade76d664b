#include "dispatcher_bench.h"

namespace vitrine::ke {
namespace {

Bench::Body nothing() {
  return [](TestThread&) -> Task<Status> { co_return Status::success; };
}

// facts 6.7: an idle core is better than the idle sibling of a busy one, even if that is the ideal processor.
TEST(Topology, AnIdleCoreComesBeforeTheSiblingOfABusyOne) {
  Bench b({.processor_count = 4, .threads_per_core = 2});
  b.spinner(8, kForever, {.ideal_processor = 0});
  auto& second = b.spinner(8, kForever, {.ideal_processor = 1});  // 0's sibling
  EXPECT_EQ(second.thread.next_processor, 3);                     // the highest of the idle core
  auto& third = b.spinner(8, kForever, {.ideal_processor = 1});
  EXPECT_EQ(third.thread.next_processor, 1);  // no whole core is left: the ideal one
  b.stop();
}

// facts 6.7: the node of the ideal processor comes before any other, an idle sibling there before a whole core
// elsewhere.
TEST(Topology, TheIdealNodeComesBeforeAnotherNodesIdleCore) {
  Bench b({.processor_count = 8, .threads_per_core = 2, .nodes = 2});
  for (u8 n : {u8{0}, u8{2}}) b.spinner(8, kForever, {.ideal_processor = n});
  auto& t = b.spinner(8, kForever, {.ideal_processor = 0});
  EXPECT_EQ(t.thread.next_processor, 1);  // node 0 is 0 to 3, and 1 is the ideal one's sibling; node 1 idles wholly
  auto& u = b.spinner(8, kForever, {.ideal_processor = 0});
  EXPECT_EQ(u.thread.next_processor, 3);
  auto& v = b.spinner(8, kForever, {.ideal_processor = 0});
  EXPECT_EQ(v.thread.next_processor, 7);  // the node is full
  b.stop();
}

// facts 6.7: new threads take the next processor of their process's node, not the sibling of the one before; the next
// process begins on the next node.
TEST(Topology, IdealProcessorsAvoidSiblingsAndProcessesRotateOverNodes) {
  Bench b({.processor_count = 8, .threads_per_core = 2, .nodes = 2});
  const auto ideals = [&b](Process& process) {
    std::vector<int> result;
    for (int i = 0; i < 3; ++i) {
      Thread thread;
      b.kernel.init_thread(thread, process, {});
      result.push_back(thread.ideal_processor);
    }
    return result;
  };
  Process next;
  b.kernel.init_process(next, 8, b.kernel.active_processors());
  EXPECT_THAT(ideals(b.process), testing::ElementsAre(2, 0, 2));
  EXPECT_THAT(ideals(next), testing::ElementsAre(6, 4, 6));
}

// An affinity that leaves the node or only siblings is obeyed all the same.
TEST(Topology, AffinityLimitsTheIdealProcessor) {
  Bench b({.processor_count = 8, .threads_per_core = 2, .nodes = 2});
  auto& t = b.spawn(8, nothing(), {.affinity = 0xC0, .ideal_processor = std::nullopt}, true);
  EXPECT_GE(t.thread.ideal_processor, 6);
  auto& u = b.spawn(8, nothing(), {.affinity = 0x1, .ideal_processor = std::nullopt}, true);
  EXPECT_EQ(u.thread.ideal_processor, 0);
  b.stop();
}

}  // namespace
}  // namespace vitrine::ke
