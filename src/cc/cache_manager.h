// CacheManager: the views through which cached files are read and written. A view is 256 KB of a file in the system
// cache, described by a VACB; a file that was read has a shared cache map with an index of its views. Views stay until
// their file is closed or another file needs the slot: the one used longest ago goes first. NT: Cc [WI6p2 ch. 11].
//
// Owns the VACBs, the views' addresses in mm's region of the system cache (their page tables are charged there) and the
// pool of both. Refuses: bytes. They go straight between host and caller, the host's own page cache stands for the
// pages behind a view; so there is no read-ahead, no lazy writer, and a view makes no page resident. Nothing suspends.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/intrusive_list.h"
#include "cc/view_index.h"
#include "ex/pool.h"
#include "mm/memory_manager.h"

namespace vitrine::cc {

inline constexpr u64 kViewBytes = 256 << 10;

class CacheManager;
class SharedCacheMap;

// NT: VACB. Part of an array in nonpaged pool; free, or on the list of mapped ones.
struct Vacb {
  SharedCacheMap* file = nullptr;  // null: free
  u64 view = 0;                    // its number in the file: offset / kViewBytes
  u32 first_page = 0;              // of the system cache's region
  ListLink use_link;               // mapped ones, used longest ago first
};

// NT: SHARED_CACHE_MAP: a file that is cached, however often it is open. Ends with its views.
class SharedCacheMap {
 public:
  ~SharedCacheMap();
  SharedCacheMap(const SharedCacheMap&) = delete;
  SharedCacheMap& operator=(const SharedCacheMap&) = delete;

  [[nodiscard]] u64 views() const { return views_.size(); }

 private:
  friend class CacheManager;
  SharedCacheMap(CacheManager& manager, ex::PoolBlock block);

  CacheManager& manager_;
  ex::PoolBlock block_;
  ViewIndex index_;
  std::map<u64, Vacb*> views_;  // by number
};

enum class Transfer : u8 { read, write };

// Counts since the machine was made; reads and writes as SystemPerformanceInformation has them.
struct CacheCounters {
  u64 copy_reads = 0, copy_read_misses = 0;  // requests, and those that had to map a view
  u64 copy_writes = 0;
  u64 views_mapped = 0, views_reused = 0;  // ever, and those of them that took another view's place
  u64 peak_views = 0;
};

class CacheManager {
 public:
  // Both outlive it; every map ends before it.
  CacheManager(mm::MemoryManager& memory, ex::Pool& pool);
  ~CacheManager();
  CacheManager(const CacheManager&) = delete;
  CacheManager& operator=(const CacheManager&) = delete;

  // The first cached transfer of a file (NT: CcInitializeCacheMap). Error: insufficient_resources.
  [[nodiscard]] Result<std::unique_ptr<SharedCacheMap>> initialize();
  // The bytes [offset, offset + length) of a file of `file_bytes` are copied through its views. length > 0, and the
  // range ends at or before `file_bytes`. Error: insufficient_resources (no addresses, no pool, and no view to reuse).
  [[nodiscard]] Status copy(SharedCacheMap& file, Transfer transfer, u64 file_bytes, u64 offset, u64 length);

  [[nodiscard]] const CacheCounters& counters() const { return counters_; }
  [[nodiscard]] u64 views() const { return mapped_; }
  [[nodiscard]] u64 capacity() const { return memory_.system_cache().total() / kViewPages; }

 private:
  friend class SharedCacheMap;
  static constexpr u32 kViewPages = kViewBytes / kPageSize;

  [[nodiscard]] Status map_view(SharedCacheMap& file, u64 view);
  [[nodiscard]] Status take_slot(Vacb*& slot);
  [[nodiscard]] Status add_array();
  void unmap(Vacb& vacb);

  mm::MemoryManager& memory_;
  ex::Pool& pool_;
  const u32 vacbs_per_array_;
  ex::PoolSite map_site_, array_site_;
  ViewIndex::Sites index_sites_;
  std::vector<std::pair<std::unique_ptr<Vacb[]>, ex::PoolBlock>> arrays_;
  std::vector<Vacb*> free_;
  IntrusiveList<Vacb, &Vacb::use_link> used_;
  u64 mapped_ = 0;
  CacheCounters counters_;
};

}  // namespace vitrine::cc
