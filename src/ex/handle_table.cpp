#include "ex/handle_table.h"

#include <new>
#include <string>
#include <utility>

#include "base/check.h"

namespace vitrine::ex {

HandleTable::Sites HandleTable::make_sites(Pool& pool, std::string_view owner_name) {
  const u32 tag = pool_tag("Obtb");
  const std::string prefix(owner_name);
  return {pool.site(prefix + ": HANDLE_TABLE", PoolType::paged, tag),
          pool.site(prefix + ": leaf page", PoolType::paged, tag),
          pool.site(prefix + ": mid-level page", PoolType::paged, tag),
          pool.site(prefix + ": top-level array", PoolType::paged, tag)};
}

HandleTable::HandleTable(const sim::Profile& profile, const sim::HandleGeometry& geometry, Pool& pool,
                         const Sites& sites, HandleReuse reuse, QuotaCharger* quota)
    : geometry_(geometry),
      pool_(pool),
      sites_(sites),
      quota_(quota),
      pointer_size_(profile.pointer_size),
      entry_size_(profile.sizes.handle_table_entry),
      table_size_(profile.sizes.handle_table),
      reuse_(reuse) {
  VITRINE_CHECK(geometry.entries_per_leaf >= 2 && geometry.pointers_per_mid > 0 && geometry.top_entries > 0);
}

HandleTable::~HandleTable() { unbook_to(0); }

Result<std::unique_ptr<HandleTable>> HandleTable::create(const sim::Profile& profile, Pool& pool, const Sites& sites,
                                                         HandleReuse reuse, QuotaCharger* quota) {
  return create(profile, profile.handles, pool, sites, reuse, quota);
}

Result<std::unique_ptr<HandleTable>> HandleTable::create(const sim::Profile& profile,
                                                         const sim::HandleGeometry& geometry, Pool& pool,
                                                         const Sites& sites, HandleReuse reuse, QuotaCharger* quota) {
  std::unique_ptr<HandleTable> table(new (std::nothrow) HandleTable(profile, geometry, pool, sites, reuse, quota));
  if (table == nullptr) return Failure(Status::insufficient_resources);
  if (const Status status = table->book(sites.table, table->table_size_); !is_success(status)) return Failure(status);
  if (const Status status = table->grow(); !is_success(status)) return Failure(status);
  return table;
}

Status HandleTable::book(PoolSite site, u64 bytes) {
  const Result<PoolBlock> block = pool_.allocate(site, bytes);
  if (!block) return block.error();
  if (quota_ != nullptr) {
    const Status status = quota_->charge_pool(PoolType::paged, pool_.charged_bytes(*block));
    if (!is_success(status)) {
      PoolBlock unused = *block;
      pool_.free(unused);
      return status;
    }
  }
  blocks_.push_back(*block);
  return Status::success;
}

void HandleTable::unbook_to(std::size_t block_count) {
  while (blocks_.size() > block_count) {
    if (quota_ != nullptr) quota_->return_pool(PoolType::paged, pool_.charged_bytes(blocks_.back()));
    pool_.free(blocks_.back());
    blocks_.pop_back();
  }
}

u64 HandleTable::booked_bytes() const {
  u64 bytes = 0;
  for (const PoolBlock block : blocks_) bytes += pool_.charged_bytes(block);
  return bytes;
}

u32 HandleTable::capacity(const sim::HandleGeometry& geometry) {
  return geometry.maximum_handles - geometry.maximum_handles / geometry.entries_per_leaf;
}

// NT: ExpAllocateHandleTableEntrySlow. The first leaf is the root; the second needs a mid-level page above both; when
// that is full, a top array; from then on each full mid-level page calls for the next [facts 2.1].
Status HandleTable::grow() {
  const trace::CallScope scope(pool_.calls(), "ExpAllocateHandleTableEntrySlow");
  const u32 leaf = leaf_count_;
  if (u64{leaf + 1} * geometry_.entries_per_leaf > geometry_.maximum_handles) {
    ++full_failures_;
    return Status::insufficient_resources;
  }
  const bool first_mid = leaf == 1;
  const bool needs_top = leaf == geometry_.pointers_per_mid && leaf > 0;
  const bool needs_mid = first_mid || (leaf > 0 && leaf % geometry_.pointers_per_mid == 0);
  const std::size_t before = blocks_.size();
  Status status = Status::success;
  if (needs_top) status = book(sites_.top, u64{geometry_.top_entries} * pointer_size_);
  if (is_success(status) && needs_mid) status = book(sites_.mid, u64{geometry_.pointers_per_mid} * pointer_size_);
  if (is_success(status)) status = book(sites_.leaf, u64{geometry_.entries_per_leaf} * entry_size_);
  std::unique_ptr<HandleEntry[]> entries;
  if (is_success(status)) {
    entries.reset(new (std::nothrow) HandleEntry[geometry_.entries_per_leaf]);
    if (entries == nullptr) status = Status::insufficient_resources;
  }
  if (!is_success(status)) {
    unbook_to(before);
    return status;
  }
  // Entry 0 of every leaf stays out of the free list; the others are handed out in ascending order [facts 2.2, 2.4].
  const u32 base = leaf * geometry_.entries_per_leaf;
  for (u32 i = geometry_.entries_per_leaf - 1; i > 0; --i) {
    entries[i].access_or_next_ = first_free_;
    first_free_ = base + i;
  }
  leaves_.push_back(std::move(entries));
  ++leaf_count_;
  level_ = leaf_count_ > geometry_.pointers_per_mid ? 2 : leaf_count_ > 1 ? 1 : 0;
  return Status::success;
}

// When FirstFree has run out the LastFree chain takes its place, reversed if ids are to come back in the order in which
// they were freed [facts 2.4].
void HandleTable::move_last_free() {
  u32 index = std::exchange(last_free_, 0);
  if (reuse_ != HandleReuse::strict_fifo) {
    first_free_ = index;
    return;
  }
  while (index != 0) {
    const u32 next = entry(index).access_or_next_;
    entry(index).access_or_next_ = first_free_;
    first_free_ = index;
    index = next;
  }
}

Result<Handle> HandleTable::allocate(void* object, u32 granted_access, u8 attributes) {
  const trace::CallScope scope(pool_.calls(), "ExCreateHandle");
  const u64 address = reinterpret_cast<u64>(object);
  VITRINE_CHECK(address != 0 && (address & 7) == 0);
  if (first_free_ == 0) move_last_free();
  if (first_free_ == 0) {
    if (const Status status = grow(); !is_success(status)) return Failure(status);
  }
  const u32 index = first_free_;
  HandleEntry& slot = entry(index);
  first_free_ = slot.access_or_next_;
  slot.object_ = address | (attributes & handle_attributes::kAll);
  slot.access_or_next_ = granted_access;
  ++count_;
  if (pool_.calls().observer() != nullptr) [[unlikely]] {
    const PoolSiteInfo& leaf = pool_.site_info(sites_.leaf);
    pool_.calls().allocated({leaf.name, trace::AllocationKind::table_entry, leaf.tag, entry_size_});
  }
  return Handle{u64{index} << 2};
}

HandleEntry* HandleTable::find(Handle handle) {
  const u64 index = handle.value >> 2;
  if (index >= u64{leaf_count_} * geometry_.entries_per_leaf) return nullptr;
  HandleEntry& slot = entry(static_cast<u32>(index));
  return slot.live() ? &slot : nullptr;
}

void HandleTable::release(Handle handle) {
  HandleEntry* slot = find(handle);
  VITRINE_CHECK(slot != nullptr);
  u32& list = reuse_ == HandleReuse::strict_fifo ? last_free_ : first_free_;
  slot->object_ = 0;
  slot->access_or_next_ = list;
  list = static_cast<u32>(handle.value >> 2);
  --count_;
}

Handle HandleTable::next(Handle after) const {
  const u64 end = u64{leaf_count_} * geometry_.entries_per_leaf;
  for (u64 index = (after.value >> 2) + 1; index < end; ++index) {
    if (leaves_[index / geometry_.entries_per_leaf][index % geometry_.entries_per_leaf].live()) return {index << 2};
  }
  return {0};
}

Result<std::unique_ptr<HandleTable>> HandleTable::duplicate(const sim::Profile& profile, const HandleTable& source,
                                                            const Sites& sites, QuotaCharger* quota, const Keep& keep) {
  Result<std::unique_ptr<HandleTable>> created =
      create(profile, source.geometry_, source.pool_, sites, source.reuse_, quota);
  if (!created) return created;
  HandleTable& table = **created;
  while (table.leaf_count_ < source.leaf_count_) {
    if (const Status status = table.grow(); !is_success(status)) return Failure(status);
  }
  table.first_free_ = table.last_free_ = 0;
  const u32 end = source.leaf_count_ * source.geometry_.entries_per_leaf;
  for (u32 index = 1; index < end; ++index) {
    if (index % source.geometry_.entries_per_leaf == 0) continue;
    HandleEntry& slot = table.entry(index);
    const HandleEntry& old = const_cast<HandleTable&>(source).entry(index);
    if (old.live() && keep({u64{index} << 2}, old)) {
      slot = old;
      ++table.count_;
    } else {
      // NT links the entries that are not inherited in front, so that the highest value is used first [ROS ex/handle.c,
      // K].
      slot.access_or_next_ = table.first_free_;
      table.first_free_ = index;
    }
  }
  return created;
}

}  // namespace vitrine::ex
