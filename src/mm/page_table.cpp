#include "mm/page_table.h"

#include <algorithm>
#include <utility>

namespace vitrine::mm {
namespace {

constexpr u32 kLevels = 4;
constexpr u32 kIndexBits = 9;
constexpr u32 kEntries = 1u << kIndexBits;
// So many edits cost more one by one than forgetting the whole space.
constexpr std::size_t kFlushThreshold = 1024;

// Level 0 is the leaf table.
constexpr u32 shift_of(u32 level) { return static_cast<u32>(kPageShift) + level * kIndexBits; }
constexpr u32 index_of(Va va, u32 level) { return static_cast<u32>(va >> shift_of(level)) & (kEntries - 1); }

// Whether an entry that the processor may hold stays right when the new one takes its place.
bool only_gains(Pte before, Pte after) {
  using namespace cpu::pte;
  if (!before.is_valid()) return true;
  if (!after.is_valid() || before.pfn() != after.pfn()) return false;
  const u64 lost = before.bits & ~after.bits;
  const u64 gained = after.bits & ~before.bits;
  return (lost & (kWrite | kUser | kAccessed | kDirty)) == 0 && (gained & kNoExecute) == 0;
}

}  // namespace

PageTable::~PageTable() { VITRINE_CHECK(space_ == nullptr); }

u64* PageTable::table(Pfn pfn) const { return reinterpret_cast<u64*>(memory_.pfn().ram().page(pfn)); }

Status PageTable::create(cpu::Backend& backend) {
  VITRINE_CHECK(space_ == nullptr);
  const auto made = make_table();
  if (!made) return made.error();
  root_ = *made;
  space_ = backend.create_space(root_);
  return Status::success;
}

void PageTable::destroy() {
  VITRINE_CHECK(space_ != nullptr && memory_.pfn().used_entries(root_) == 0);
  edits_.clear();
  space_.reset();
  free_table(root_);
  root_ = {};
  cached_region_ = ~0ull;
}

Result<Pfn> PageTable::make_table() {
  if (const Status status = memory_.charge_commit(1); !is_success(status)) return Failure(status);
  const auto frame = memory_.pfn().allocate(FrameUse::page_table, Contents::zeroed);
  if (!frame) {
    memory_.return_commit(1);
    return Failure(frame.error());
  }
  ++table_pages_;
  return frame->pfn;
}

void PageTable::free_table(Pfn pfn) {
  memory_.pfn().free(pfn);
  memory_.return_commit(1);
  --table_pages_;
}

bool PageTable::find_leaf(Va va, Pfn& leaf) const {
  const u64 region = va >> shift_of(1);
  if (region == cached_region_) {
    leaf = cached_leaf_;
    return true;
  }
  Pfn here = root_;
  for (u32 level = kLevels - 1; level > 0; --level) {
    const u64 entry = table(here)[index_of(va, level)];
    if ((entry & cpu::pte::kPresent) == 0) return false;
    here = cpu::pte::frame(entry);
  }
  cached_region_ = region;
  cached_leaf_ = leaf = here;
  return true;
}

Pte PageTable::get(Va va) const {
  Pfn leaf;
  return find_leaf(va, leaf) ? Pte{table(leaf)[index_of(va, 0)]} : Pte{};
}

Status PageTable::ensure(Va va) {
  Pfn leaf;
  if (find_leaf(va, leaf)) return Status::success;
  Pfn here = root_;
  for (u32 level = kLevels - 1; level > 0; --level) {
    u64& entry = table(here)[index_of(va, level)];
    if ((entry & cpu::pte::kPresent) == 0) {
      const auto made = make_table();
      if (!made) {
        free_empty_path(va);
        return made.error();
      }
      memory_.pfn().set_pte(*made, PteLocation::in_table(here, index_of(va, level)), Pte{}, false);
      memory_.pfn().add_used_entry(here);
      entry = Pte::table(*made).bits;
    }
    here = cpu::pte::frame(entry);
  }
  return Status::success;
}

void PageTable::set(Va va, Pte pte) {
  Pfn leaf;
  if (!find_leaf(va, leaf)) {
    VITRINE_CHECK(pte.is_empty());
    return;
  }
  u64& entry = table(leaf)[index_of(va, 0)];
  const Pte before{entry};
  if (before == pte) return;
  entry = pte.bits;
  if (!only_gains(before, pte)) edits_.push_back({space_.get(), page_floor(va), before.bits, pte.bits});
  if (before.is_empty()) {
    memory_.pfn().add_used_entry(leaf);
  } else if (pte.is_empty() && memory_.pfn().drop_used_entry(leaf) == 0) {
    free_empty_path(va);
  }
}

Status PageTable::put(Va va, Pte pte) {
  if (const Status status = ensure(va); !is_success(status)) return status;
  set(va, pte);
  return Status::success;
}

void PageTable::mark(Va va, u64 accessed_and_dirty) {
  Pfn leaf;
  if (find_leaf(va, leaf))
    table(leaf)[index_of(va, 0)] |= accessed_and_dirty & (cpu::pte::kAccessed | cpu::pte::kDirty);
}

void PageTable::trim(Va va) { free_empty_path(va); }

void PageTable::free_empty_path(Va va) {
  Pfn path[kLevels];  // by level
  path[kLevels - 1] = root_;
  u32 lowest = kLevels - 1;
  for (; lowest > 0; --lowest) {
    const u64 entry = table(path[lowest])[index_of(va, lowest)];
    if ((entry & cpu::pte::kPresent) == 0) break;
    path[lowest - 1] = cpu::pte::frame(entry);
  }
  for (u32 level = lowest; level < kLevels - 1; ++level) {
    if (memory_.pfn().used_entries(path[level]) != 0) return;
    if (level == 0 && cached_region_ == va >> shift_of(1)) cached_region_ = ~0ull;
    u64& entry = table(path[level + 1])[index_of(va, level + 1)];
    edits_.push_back({space_.get(), page_floor(va), std::exchange(entry, 0), 0});
    memory_.pfn().drop_used_entry(path[level + 1]);
    free_table(path[level]);
  }
}

PteLocation PageTable::location(Va va) const {
  Pfn leaf;
  VITRINE_CHECK(find_leaf(va, leaf));
  return PteLocation::in_table(leaf, index_of(va, 0));
}

Va PageTable::next_used(Va va, Va end) const {
  return va >= end ? end : std::min(next_used_at(root_, kLevels - 1, va, end), end);
}

// The first used leaf entry at or after `va` inside this table; `end` when there is none before it.
Va PageTable::next_used_at(Pfn pfn, u32 level, Va va, Va end) const {
  const u64 span = 1ull << shift_of(level);
  const u64* entries = table(pfn);
  Va here = va;
  for (u32 i = index_of(va, level); i < kEntries && here < end; ++i, here = align_down(here, span) + span) {
    if (entries[i] == 0) continue;
    if (level == 0) return page_floor(here);
    const Va found = next_used_at(cpu::pte::frame(entries[i]), level - 1, here, end);
    const Va next = align_down(here, span) + span;
    if (found < end && found < next) return found;
  }
  return end;
}

void PageTable::commit_edits(cpu::Backend& backend) {
  if (edits_.empty()) return;
  if (edits_.size() > kFlushThreshold)
    backend.flush(*space_);
  else
    backend.commit(edits_);
  edits_.clear();
  if (edits_.capacity() > kFlushThreshold) edits_.shrink_to_fit();
}

}  // namespace vitrine::mm
