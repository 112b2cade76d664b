#include "lab/call_recorder.h"

#include <gtest/gtest.h>

namespace vitrine::lab {
namespace {

using trace::AllocationKind;
using trace::CallScope;
using trace::CallTrace;

std::string text(const CallNode& node) {
  if (node.is_allocation()) return node.allocation->site;
  std::string all = node.routine + "(";
  for (const CallNode& call : node.calls) all += text(call) + " ";
  return all + ")";
}

struct Recorded {
  CallTrace trace;
  std::vector<CallNode> calls;
  CallRecorder recorder{"Root", [this](CallNode call) { calls.push_back(std::move(call)); }};
  Recorded() { trace.set_observer(&recorder); }
};

TEST(CallRecorder, KeepsCallsInSequenceBelowTheRootOnly) {
  Recorded r;
  {
    const CallScope other(r.trace, "Other");
    const CallScope nested(r.trace, "Root");  // not outermost
    r.trace.allocated({"lost", AllocationKind::paged_pool, 0, 1});
  }
  {
    const CallScope root(r.trace, "Root");
    {
      const CallScope a(r.trace, "A");
      r.trace.allocated({"x", AllocationKind::paged_pool, 0, 1});
    }
    {
      const CallScope b(r.trace, "B");
    }
    r.trace.allocated({"y", AllocationKind::paged_pool, 0, 2});
  }
  ASSERT_EQ(r.calls.size(), 1u);
  EXPECT_EQ(text(r.calls[0]), "Root(A(x ) B() y )");
}

TEST(CallRecorder, PruningLeavesOnlyWhatLeadsToMemory) {
  Recorded r;
  {
    const CallScope root(r.trace, "Root");
    {
      const CallScope a(r.trace, "A");
      const CallScope b(r.trace, "B");
    }
    {
      const CallScope c(r.trace, "C");
      r.trace.allocated({"entry", AllocationKind::table_entry, 0, 8});
    }
    {
      const CallScope d(r.trace, "D");
      r.trace.allocated({"x", AllocationKind::paged_pool, 0, 1});
    }
  }
  CallNode call = r.calls.at(0);
  EXPECT_TRUE(call.prune([](const RecordedAllocation& a) { return a.kind != AllocationKind::table_entry; }));
  EXPECT_EQ(text(call), "Root(D(x ) )");
  EXPECT_FALSE(call.prune([](const RecordedAllocation&) { return false; }));
}

TEST(CallRecorder, AUnionKeepsTheSequenceOfBoth) {
  const auto leaf = [](std::string site) {
    return CallNode{.routine = {}, .allocation = RecordedAllocation{std::move(site), {}, 0, 1}, .calls = {}};
  };
  CallNode first{.routine = "Root", .allocation = {}, .calls = {leaf("a"), leaf("c")}};
  const CallNode second{.routine = "Root", .allocation = {}, .calls = {leaf("a"), leaf("b"), leaf("c"), leaf("d")}};
  first.merge(second);
  EXPECT_EQ(text(first), "Root(a b c d )");
}

}  // namespace
}  // namespace vitrine::lab
