// BlockTable: finds a block by (address, frame, variant). Each frame with code has a small table of its own: one
// translation asks several times for blocks of its page, and that table stays in the host's cache meanwhile. A dead
// block is not found.
//
// Plain data, never iterated in an order that decides anything.
#pragma once

#include <algorithm>
#include <array>
#include <unordered_map>
#include <vector>

#include "cpu/translator/arena.h"
#include "cpu/translator/block.h"

namespace vitrine::cpu::translator {

class BlockTable {
 public:
  BlockTable(Arena& arena, u64 frames) : with_code_((frames + 63) / 64), frames_(arena), nodes_(arena), links_(arena) {}
  void clear() {
    by_frame_.clear();
    std::ranges::fill(with_code_, 0);
    frames_.clear();
    free_.clear();
    nodes_.clear();
    links_.clear();
    last_ = nullptr;
  }

  [[nodiscard]] Block* find(Va va, Pfn frame, const Variant& variant) const {
    const FrameBlocks* const blocks = frame_of(frame);
    if (blocks == nullptr) return nullptr;
    const Node* const node = node_of(*blocks, va, variant);
    return node == nullptr || node->block->dead ? nullptr : node->block;
  }
  // The block serves for this variant from now on.
  void put(const Variant& variant, Block& block) {
    FrameBlocks& blocks = make_frame(block.frame);
    if (Node* const node = const_cast<Node*>(node_of(blocks, block.va, variant))) {
      node->block = &block;
      return;
    }
    u32& first = blocks.first[bucket_of(block.va)];
    nodes_.push_back({block.va, variant, first, &block});
    first = static_cast<u32>(nodes_.size());
  }
  // The block holds only as long as the bytes of this frame do.
  void depend(Pfn frame, Block& block) {
    u32& first = make_frame(frame).dependents;
    links_.push_back({&block, first});
    first = static_cast<u32>(links_.size());
  }
  [[nodiscard]] bool has_code(Pfn frame) const { return (with_code_[frame.value / 64] >> frame.value % 64 & 1) != 0; }
  // The same for all: a bit for each frame. Stays where it is.
  [[nodiscard]] const u64* with_code() const { return with_code_.data(); }
  // Forgets the blocks of a frame; returns those that depended on it.
  [[nodiscard]] std::vector<Block*> drop(Pfn frame) {
    const auto found = by_frame_.find(frame.value);
    if (found == by_frame_.end()) return {};
    std::vector<Block*> dropped;
    for (u32 at = found->second->dependents; at != 0; at = links_[at - 1].next) dropped.push_back(links_[at - 1].block);
    free_.push_back(found->second);
    by_frame_.erase(found);
    with_code_[frame.value / 64] &= ~(1ull << frame.value % 64);
    last_ = nullptr;
    return dropped;
  }

 private:
  static constexpr u32 kBuckets = 256;
  struct Node {
    Va va = 0;
    Variant variant;
    u32 next = 0;  // of the bucket; an index plus 1, 0: none
    Block* block = nullptr;
  };
  struct Link {
    Block* block = nullptr;
    u32 next = 0;
  };
  struct FrameBlocks {
    std::array<u32, kBuckets> first{};
    u32 dependents = 0;  // the first link
  };
  [[nodiscard]] static u32 bucket_of(Va va) { return static_cast<u32>(va >> 4) % kBuckets; }

  [[nodiscard]] FrameBlocks* frame_of(Pfn frame) const {
    if (last_ != nullptr && last_frame_ == frame) return last_;
    const auto found = by_frame_.find(frame.value);
    if (found == by_frame_.end()) return nullptr;
    last_frame_ = frame;
    return last_ = found->second;
  }
  FrameBlocks& make_frame(Pfn frame) {
    if (FrameBlocks* const there = frame_of(frame)) return *there;
    FrameBlocks* blocks;
    if (free_.empty()) {
      blocks = &frames_.push_back({});
    } else {
      blocks = free_.back();
      free_.pop_back();
      *blocks = {};
    }
    by_frame_.emplace(frame.value, blocks);
    with_code_[frame.value / 64] |= 1ull << frame.value % 64;
    return *blocks;
  }
  [[nodiscard]] const Node* node_of(const FrameBlocks& blocks, Va va, const Variant& variant) const {
    for (u32 at = blocks.first[bucket_of(va)]; at != 0; at = nodes_[at - 1].next) {
      const Node& node = nodes_[at - 1];
      if (node.va == va && node.variant == variant) return &node;
    }
    return nullptr;
  }

  std::vector<u64> with_code_;
  std::unordered_map<u64, FrameBlocks*> by_frame_;  // the same frames; looked up only
  Table<FrameBlocks> frames_;
  std::vector<FrameBlocks*> free_;
  Table<Node> nodes_;
  Table<Link> links_;
  mutable Pfn last_frame_;
  mutable FrameBlocks* last_ = nullptr;  // of `last_frame_`
};

}  // namespace vitrine::cpu::translator
