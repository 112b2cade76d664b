#include "cc/view_index.h"

#include <utility>

namespace vitrine::cc {
namespace {

constexpr u64 kInlineViews = 4;    // 1 MB
constexpr u64 kLinearViews = 128;  // 32 MB
constexpr u32 kFanoutShift = 7;    // 128 pointers in an array of the tree

}  // namespace

u32 ViewIndex::levels_for(u64 file_views) {
  if (file_views <= kLinearViews) return 0;
  u32 levels = 1;
  for (u64 reach = kLinearViews; reach < file_views; reach <<= kFanoutShift) ++levels;
  return levels;
}

Status ViewIndex::add(u64 file_views, u64 view, const std::map<u64, Vacb*>& views) {
  const u32 levels = levels_for(file_views);
  const u64 entries = levels == 0 && file_views > kInlineViews ? file_views : 0;
  // NT: CcExtendVacbArray; an index never shrinks.
  if (levels > levels_ || entries > array_entries_) {
    ex::PoolBlock array;
    if (entries != 0) {
      const auto made = pool_.allocate(sites_.array, entries * sites_.pointer_size);
      if (!made) return made.error();
      array = *made;
    }
    ViewIndex former(pool_, sites_);
    former.swap(*this);
    array_ = array;
    array_entries_ = entries;
    levels_ = levels;
    for (const auto& [mapped, vacb] : views) {
      if (const Status status = add_path(mapped); !is_success(status)) {
        former.swap(*this);
        return status;
      }
    }
  }
  return add_path(view);
}

Status ViewIndex::add_path(u64 view) {
  for (u32 level = 0; level < levels_; ++level) {
    Node& node = nodes_[{level, view >> (kFanoutShift * (level + 1))}];
    if (node.used++ != 0) return Status::success;  // so are those above it
    const auto made = pool_.allocate(sites_.level, (u64{1} << kFanoutShift) * sites_.pointer_size);
    if (!made) {
      for (u32 undo = level + 1; undo-- > 0;) {
        const auto at = nodes_.find({undo, view >> (kFanoutShift * (undo + 1))});
        if (at->second.block) pool_.free(at->second.block);
        nodes_.erase(at);
      }
      return made.error();
    }
    node.block = *made;
  }
  return Status::success;
}

void ViewIndex::remove(u64 view) {
  for (u32 level = 0; level < levels_; ++level) {
    const auto at = nodes_.find({level, view >> (kFanoutShift * (level + 1))});
    if (at == nodes_.end() || --at->second.used != 0) return;
    pool_.free(at->second.block);
    nodes_.erase(at);
  }
}

ViewIndex::~ViewIndex() {
  if (array_) pool_.free(array_);
  for (auto& [place, node] : nodes_) pool_.free(node.block);
}

void ViewIndex::swap(ViewIndex& other) {
  std::swap(levels_, other.levels_);
  std::swap(array_entries_, other.array_entries_);
  std::swap(array_, other.array_);
  std::swap(nodes_, other.nodes_);
}

}  // namespace vitrine::cc
