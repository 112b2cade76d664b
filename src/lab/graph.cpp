#include "lab/graph.h"

#include <fmt/format.h>

#include "ex/pool.h"

namespace vitrine::lab {
namespace {

constexpr std::string_view kAllocator = "ExAllocatePoolWithTag";

std::string kind_text(const RecordedAllocation& a) {
  switch (a.kind) {
    case trace::AllocationKind::nonpaged_pool:
      return "nonpaged pool, " + ex::pool_tag_text(a.tag);
    case trace::AllocationKind::paged_pool:
      return "paged pool, " + ex::pool_tag_text(a.tag);
    case trace::AllocationKind::kernel_stack:
      return "pages under system PTEs";
    case trace::AllocationKind::committed:
      return "user memory";
    case trace::AllocationKind::page_table:
      return "one serves many threads";
    case trace::AllocationKind::table_entry:
      return "table entry";
  }
  return {};
}

// An allocation, or the allocator with nothing but one below it; null otherwise.
const RecordedAllocation* as_allocation(const CallNode& node) {
  if (node.is_allocation()) return &*node.allocation;
  const bool allocator = node.calls.size() == 1 && node.calls[0].is_allocation();
  return allocator && node.routine == kAllocator ? &*node.calls[0].allocation : nullptr;
}

class Drawing {
 public:
  explicit Drawing(const std::map<std::string, std::string>& marks) : marks_(marks) {}

  // Returns the node's name.
  std::string draw(const CallNode& node) {
    const std::string name = fmt::format("n{}", next_++);
    const auto mark = marks_.find(node.routine);
    if (mark == marks_.end()) {
      text_ += fmt::format("  {} [label=\"{}\"];\n", name, node.routine);
    } else {
      text_ +=
          fmt::format("  {} [label=<<B>{} &nbsp;{}</B>>, fillcolor=\"#ffe9a8\"];\n", name, mark->second, node.routine);
    }
    std::vector<std::string> row;
    for (std::size_t i = 0; i < node.calls.size();) {
      if (as_allocation(node.calls[i]) != nullptr) {
        row.push_back(draw_allocations(node, i));
      } else {
        row.push_back(draw(node.calls[i++]));
      }
    }
    link(name, row);
    return name;
  }
  [[nodiscard]] std::string finish() const {
    return "digraph calls {\n  rankdir=TB; ranksep=0.35; nodesep=0.25;\n"
           "  node [shape=box, style=\"rounded,filled\", fillcolor=\"#f4f4f4\", fontname=\"Helvetica\", fontsize=11,"
           " height=0.3];\n  edge [arrowsize=0.7];\n" +
           text_ + "}\n";
  }

 private:
  // What a routine takes one after the other is one box; `i` moves behind it.
  std::string draw_allocations(const CallNode& node, std::size_t& i) {
    std::string label;
    for (; i < node.calls.size(); ++i) {
      const RecordedAllocation* a = as_allocation(node.calls[i]);
      if (a == nullptr) break;
      label += fmt::format("{}{} ({} bytes)\\n{}", label.empty() ? "" : "\\n", a->site, a->bytes, kind_text(*a));
    }
    const std::string name = fmt::format("n{}", next_++);
    text_ += fmt::format("  {} [shape=box, style=filled, fillcolor=\"#cfe3f7\", label=\"{}\"];\n", name, label);
    return name;
  }
  // The first call hangs below its caller; the others follow it to the right.
  void link(const std::string& caller, const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text_ += fmt::format("  {} -> {} [{}];\n", caller, row[i], i == 0 ? "weight=100" : "style=invis");
    }
    if (row.size() < 2) return;
    text_ += "  { rank=same;";
    for (std::size_t i = 1; i < row.size(); ++i) {
      text_ += fmt::format(" {} -> {} [arrowhead=vee, color=\"#888888\"];", row[i - 1], row[i]);
    }
    text_ += " }\n";
  }

  const std::map<std::string, std::string>& marks_;
  std::string text_;
  u32 next_ = 0;
};

}  // namespace

std::string to_dot(const CallNode& root, const std::map<std::string, std::string>& marks) {
  Drawing drawing(marks);
  (void)drawing.draw(root);
  return drawing.finish();
}

const std::map<std::string, std::string>& places_of_the_seed() {
  static const std::map<std::string, std::string> places{
      {"ObCreateObject", "(1)"}, {"ExCreateHandle", "(2)"}, {"MmCreateTeb", "(3)"}, {"KeInitThread", "(4)"}};
  return places;
}

}  // namespace vitrine::lab
