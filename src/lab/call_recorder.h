// CallRecorder: keeps what the kernel says of its calls (trace::CallTrace) as trees, one per call of the routine that
// an experiment asks about. CallNode also is the union of many such trees: every path that was taken at least once.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "trace/call_trace.h"

namespace vitrine::lab {

struct RecordedAllocation {
  std::string site;
  trace::AllocationKind kind{};
  u32 tag = 0;
  u64 bytes = 0;
};

// A routine with what it called, in order; or, without calls, one allocation.
struct CallNode {
  std::string routine;
  std::optional<RecordedAllocation> allocation;
  std::vector<CallNode> calls;

  [[nodiscard]] bool is_allocation() const { return allocation.has_value(); }
  // Removes every path that leads to no allocation that `keep` accepts. False: nothing is left.
  bool prune(const std::function<bool(const RecordedAllocation&)>& keep);
  // Adds the paths of `other`, a call of the same routine, at their places in the sequence.
  void merge(const CallNode& other);
};

class CallRecorder final : public trace::CallObserver {
 public:
  using OnCall = std::function<void(CallNode)>;

  // Every outermost call of `root` is given to `on_call` when it returns.
  CallRecorder(std::string_view root, OnCall on_call) : root_(root), on_call_(std::move(on_call)) {}
  void enter(std::string_view routine) override;
  void leave() override;
  void allocated(const trace::Allocation& allocation) override;

 private:
  std::string root_;
  OnCall on_call_;
  std::vector<CallNode> open_;  // from the root to the routine that runs
  u64 outside_ = 0;             // calls under way that are not below the root
};

// Calls `visit(path, allocation)` for each allocation in order; `path` is the routines from the root down.
void for_each_allocation(
    const CallNode& root,
    const std::function<void(const std::vector<std::string>& path, const RecordedAllocation& allocation)>& visit);

}  // namespace vitrine::lab
