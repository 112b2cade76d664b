// BlockTable: finds a block by (address, frame, variant). Open addressing with the keys inline: a translation asks
// several times for blocks that are not there. An entry is never taken out, only overwritten; a dead block is not
// found.
//
// Plain data, never iterated in an order that decides anything.
#pragma once

#include <vector>

#include "cpu/translator/block.h"

namespace vitrine::cpu::translator {

class BlockTable {
 public:
  BlockTable() { clear(); }
  void clear() {
    entries_.assign(kFirstEntries, {});
    used_ = 0;
  }

  [[nodiscard]] Block* find(Va va, Pfn frame, Variant variant) const {
    const Key key = key_of(va, frame, variant);
    const Entry& entry = entries_[slot_of(key)];
    return entry.block == nullptr || entry.block->dead ? nullptr : entry.block;
  }
  void put(Va va, Pfn frame, Variant variant, Block& block) {
    if (2 * (used_ + 1) > entries_.size()) grow();
    const Key key = key_of(va, frame, variant);
    Entry& entry = entries_[slot_of(key)];
    if (entry.block == nullptr) ++used_;
    entry = {key, &block};
  }

 private:
  static constexpr std::size_t kFirstEntries = 4096;  // a power of two
  struct Key {
    u64 va, frame_and_variant, flag_source;
    bool operator==(const Key&) const = default;
  };
  struct Entry {
    Key key{};
    Block* block = nullptr;  // null: free
  };
  [[nodiscard]] static Key key_of(Va va, Pfn frame, Variant variant) {
    return {va,
            frame.value << 4 | (variant.flags_saved ? 1u : 0u) | (variant.single ? 2u : 0u) |
                (variant.counted ? 4u : 0u) | (variant.one ? 8u : 0u),
            variant.flag_source.packed()};
  }
  // Where the key is, or the free entry where it would be.
  [[nodiscard]] std::size_t slot_of(const Key& key) const {
    const u64 mixed = key.va * 0x9E37'79B9'7F4A'7C15ull ^ key.frame_and_variant * 0xC2B2'AE3D'27D4'EB4Full ^
                      key.flag_source * 0x1656'67B1'9E37'79F9ull;
    std::size_t slot = (mixed ^ mixed >> 32) & (entries_.size() - 1);
    while (entries_[slot].block != nullptr && entries_[slot].key != key) slot = (slot + 1) & (entries_.size() - 1);
    return slot;
  }
  void grow() {
    std::vector<Entry> old(2 * entries_.size());
    std::swap(old, entries_);
    used_ = 0;
    for (const Entry& entry : old) {
      if (entry.block == nullptr || entry.block->dead) continue;
      entries_[slot_of(entry.key)] = entry;
      ++used_;
    }
  }

  std::vector<Entry> entries_;
  std::size_t used_ = 0;
};

}  // namespace vitrine::cpu::translator
