#include "cc/cache_manager.h"

#include <algorithm>

namespace vitrine::cc {
namespace {

constexpr u64 kVacbArrayBytes = 128 << 10;  // WI6p2 ch. 11; for all versions here

}  // namespace

SharedCacheMap::SharedCacheMap(CacheManager& manager, ex::PoolBlock block)
    : manager_(manager), block_(block), index_(manager.pool_, manager.index_sites_) {}

SharedCacheMap::~SharedCacheMap() {
  while (!views_.empty()) manager_.unmap(*views_.begin()->second);
  manager_.pool_.free(block_);
}

CacheManager::CacheManager(mm::MemoryManager& memory, ex::Pool& pool)
    : memory_(memory),
      pool_(pool),
      vacbs_per_array_(static_cast<u32>(kVacbArrayBytes / memory.profile().sizes.vacb)),
      map_site_(pool.site("CcInitializeCacheMap: shared cache map", ex::PoolType::nonpaged, ex::pool_tag("CcSc"))),
      array_site_(pool.site("CcAllocateVacbArray", ex::PoolType::nonpaged, ex::pool_tag("CcVa"))),
      index_sites_{pool.site("CcCreateVacbArray: index", ex::PoolType::nonpaged, ex::pool_tag("CcVp")),
                   pool.site("CcAllocateVacbLevels: index", ex::PoolType::nonpaged, ex::pool_tag("CcVl")),
                   memory.profile().pointer_size} {}

CacheManager::~CacheManager() {
  VITRINE_CHECK(mapped_ == 0);
  for (auto& [vacbs, block] : arrays_) pool_.free(block);
}

Result<std::unique_ptr<SharedCacheMap>> CacheManager::initialize() {
  const auto block = pool_.allocate(map_site_, memory_.profile().sizes.shared_cache_map);
  if (!block) return Failure(block.error());
  return std::unique_ptr<SharedCacheMap>(new SharedCacheMap(*this, *block));
}

Status CacheManager::copy(SharedCacheMap& file, Transfer transfer, u64 file_bytes, u64 offset, u64 length) {
  VITRINE_CHECK(length > 0 && offset < file_bytes && length <= file_bytes - offset);
  ++(transfer == Transfer::read ? counters_.copy_reads : counters_.copy_writes);
  bool missed = false;
  for (u64 view = offset / kViewBytes; view <= (offset + length - 1) / kViewBytes; ++view) {
    if (const auto found = file.views_.find(view); found != file.views_.end()) {
      found->second->use_link.unlink();
      used_.push_back(*found->second);
      continue;
    }
    missed = true;
    // Before the view: growing the index must not meet a view that it does not know.
    VITRINE_TRY(file.index_.add((file_bytes + kViewBytes - 1) / kViewBytes, view, file.views_));
    if (const Status status = map_view(file, view); !is_success(status)) {
      file.index_.remove(view);
      return status;
    }
  }
  if (missed && transfer == Transfer::read) ++counters_.copy_read_misses;
  return Status::success;
}

Status CacheManager::map_view(SharedCacheMap& file, u64 view) {
  Vacb* slot = nullptr;
  VITRINE_TRY(take_slot(slot));
  slot->file = &file;
  slot->view = view;
  used_.push_back(*slot);
  file.views_[view] = slot;
  ++counters_.views_mapped;
  counters_.peak_views = std::max(counters_.peak_views, ++mapped_);
  return Status::success;
}

// A free slot with addresses of its own, or those of the view that was used longest ago.
Status CacheManager::take_slot(Vacb*& slot) {
  const auto take = [&] {
    if (free_.empty()) VITRINE_TRY(add_array());
    const auto first = memory_.system_cache().allocate(kViewPages);
    if (!first) return first.error();
    slot = free_.back();
    free_.pop_back();
    slot->first_page = *first;
    return Status::success;
  };
  if (is_success(take())) return Status::success;
  Vacb* oldest = used_.front();
  if (oldest == nullptr) return Status::insufficient_resources;
  ++counters_.views_reused;
  unmap(*oldest);
  return is_success(take()) ? Status::success : Status::insufficient_resources;
}

Status CacheManager::add_array() {
  const auto block = pool_.allocate(array_site_, kVacbArrayBytes);
  if (!block) return block.error();
  arrays_.emplace_back(std::make_unique<Vacb[]>(vacbs_per_array_), *block);
  for (u32 i = vacbs_per_array_; i-- > 0;) free_.push_back(&arrays_.back().first[i]);
  return Status::success;
}

void CacheManager::unmap(Vacb& vacb) {
  vacb.use_link.unlink();
  vacb.file->index_.remove(vacb.view);
  vacb.file->views_.erase(vacb.view);
  vacb.file = nullptr;
  memory_.system_cache().free(vacb.first_page, kViewPages);
  free_.push_back(&vacb);
  --mapped_;
}

}  // namespace vitrine::cc
