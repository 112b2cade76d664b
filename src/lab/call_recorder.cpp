#include "lab/call_recorder.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace vitrine::lab {
namespace {

bool same_step(const CallNode& a, const CallNode& b) {
  if (a.is_allocation() != b.is_allocation()) return false;
  if (a.is_allocation()) return a.allocation->site == b.allocation->site;
  if (a.routine != b.routine) return false;
  // The allocator is called for many things one after the other: what for tells the steps apart.
  const bool single =
      a.calls.size() == 1 && b.calls.size() == 1 && a.calls[0].is_allocation() && b.calls[0].is_allocation();
  return !single || same_step(a.calls[0], b.calls[0]);
}

void visit_allocations(const CallNode& node, std::vector<std::string>& path, const auto& visit) {
  if (node.is_allocation()) return visit(path, *node.allocation);
  path.push_back(node.routine);
  for (const CallNode& call : node.calls) visit_allocations(call, path, visit);
  path.pop_back();
}

}  // namespace

bool CallNode::prune(const std::function<bool(const RecordedAllocation&)>& keep) {
  if (is_allocation()) return keep(*allocation);
  std::erase_if(calls, [&](CallNode& call) { return !call.prune(keep); });
  return !calls.empty();
}

void CallNode::merge(const CallNode& other) {
  std::size_t place = 0;  // what comes next in the sequence goes here
  for (const CallNode& step : other.calls) {
    const auto from = calls.begin() + static_cast<std::ptrdiff_t>(place);
    auto found = std::find_if(from, calls.end(), [&](const CallNode& call) { return same_step(call, step); });
    if (found == calls.end()) {
      found = calls.insert(from, step);
    } else {
      found->merge(step);
    }
    place = static_cast<std::size_t>(found - calls.begin()) + 1;
  }
}

void CallRecorder::enter(std::string_view routine) {
  if (open_.empty() && (outside_ > 0 || routine != root_)) {
    ++outside_;
    return;
  }
  open_.push_back({.routine = std::string(routine), .allocation = {}, .calls = {}});
}

void CallRecorder::leave() {
  if (open_.empty()) {
    VITRINE_CHECK(outside_ > 0);
    --outside_;
    return;
  }
  CallNode done = std::move(open_.back());
  open_.pop_back();
  if (open_.empty()) {
    on_call_(std::move(done));
  } else {
    open_.back().calls.push_back(std::move(done));
  }
}

void CallRecorder::allocated(const trace::Allocation& allocation) {
  if (open_.empty()) return;
  open_.back().calls.push_back({.routine = {},
                                .allocation = RecordedAllocation{std::string(allocation.site), allocation.kind,
                                                                 allocation.tag, allocation.bytes},
                                .calls = {}});
}

void for_each_allocation(
    const CallNode& root,
    const std::function<void(const std::vector<std::string>& path, const RecordedAllocation& allocation)>& visit) {
  std::vector<std::string> path;
  visit_allocations(root, path, visit);
}

}  // namespace vitrine::lab
