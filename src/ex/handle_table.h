// HandleTable: NT's three-level handle table. It maps a handle value (index << 2) to an object and its granted access,
// and serves both the tables of processes and PspCidTable, whose "handles" are process and thread ids [facts 2.1
// to 2.5].
//
// Owns its levels, which it books as paged pool "Obtb" and never gives back before it is destroyed, as NT does. Owns no
// reference to the objects: `ob` and `ps` count those. Refuses pseudo and kernel handles (ob/handles.h decides about
// them).
//
// Host memory: 16 bytes per entry in leaves that are made on demand.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/status.h"
#include "base/types.h"
#include "ex/pool.h"
#include "ex/quota.h"
#include "sim/profile.h"

namespace vitrine::ex {

// A handle as the guest passes it. The two low bits are the program's own and mean nothing here.
struct Handle {
  u64 value = 0;
  auto operator<=>(const Handle&) const = default;
  [[nodiscard]] explicit operator bool() const { return value != 0; }
};

// NT keeps these in spare bits of the entry. They also are the OBJ_/HANDLE_FLAG bits that a guest asks for.
namespace handle_attributes {
inline constexpr u8 kProtectFromClose = 1;
inline constexpr u8 kInherit = 2;
inline constexpr u8 kAuditOnClose = 4;
inline constexpr u8 kAll = 7;
}  // namespace handle_attributes

// One entry: live when it names an object, else a link of a free list (or entry 0 of its leaf, which is never live).
class HandleEntry {
 public:
  [[nodiscard]] bool live() const { return object_ != 0; }
  // Precondition of the next three: live.
  [[nodiscard]] void* object() const { return reinterpret_cast<void*>(object_ & ~u64{7}); }
  [[nodiscard]] u8 attributes() const { return static_cast<u8>(object_ & 7); }
  [[nodiscard]] u32 granted_access() const { return access_or_next_; }
  void set_attributes(u8 attributes) { object_ = (object_ & ~u64{7}) | (attributes & 7); }
  void set_granted_access(u32 access) { access_or_next_ = access; }

 private:
  friend class HandleTable;
  u64 object_ = 0;          // host pointer, 8-aligned; low bits: attributes
  u32 access_or_next_ = 0;  // free: index of the next free entry, 0 ends the list
  [[maybe_unused]] u32 reserved_ = 0;
};
static_assert(sizeof(HandleEntry) == 16);

// In which order freed values come back. NT: processes reuse the last one at once; ids come back as late as possible
// (StrictFIFO).
enum class HandleReuse : u8 { last_in_first_out, strict_fifo };

class HandleTable {
 public:
  // Sites of one kind of table, so that books tell process tables from the id table.
  struct Sites {
    PoolSite table, leaf, mid, top;
  };
  [[nodiscard]] static Sites make_sites(Pool& pool, std::string_view owner_name);

  // Books the HANDLE_TABLE and the first leaf. `quota` pays for them and all growth; null for System and the id table
  // (booked, not charged). Errors: insufficient_resources, quota_exceeded.
  [[nodiscard]] static Result<std::unique_ptr<HandleTable>> create(const sim::Profile& profile, Pool& pool,
                                                                   const Sites& sites, HandleReuse reuse,
                                                                   QuotaCharger* quota);
  // The same with a geometry of its own (scaled-down tests). Booked bytes follow the geometry.
  [[nodiscard]] static Result<std::unique_ptr<HandleTable>> create(const sim::Profile& profile,
                                                                   const sim::HandleGeometry& geometry, Pool& pool,
                                                                   const Sites& sites, HandleReuse reuse,
                                                                   QuotaCharger* quota);
  // Returns all pool and quota. Entries may still be live: the owner has dropped its references before.
  ~HandleTable();
  HandleTable(const HandleTable&) = delete;
  HandleTable& operator=(const HandleTable&) = delete;

  // Preconditions: object non-null and 8-aligned. Errors: insufficient_resources (table full or no pool),
  // quota_exceeded.
  [[nodiscard]] Result<Handle> allocate(void* object, u32 granted_access, u8 attributes);
  // Null when the value names no live entry. Pointers stay valid as long as the table lives.
  [[nodiscard]] HandleEntry* find(Handle handle);
  [[nodiscard]] const HandleEntry* find(Handle handle) const { return const_cast<HandleTable*>(this)->find(handle); }
  // Precondition: live (checked).
  void release(Handle handle);

  // The first live handle above `after` (start with {0}); null handle at the end. O(entries passed).
  [[nodiscard]] Handle next(Handle after) const;

  [[nodiscard]] u32 count() const { return count_; }
  [[nodiscard]] u32 level() const { return level_; }
  [[nodiscard]] u32 leaf_count() const { return leaf_count_; }
  // NT: NextHandleNeedingPool: the first value not backed by a leaf.
  [[nodiscard]] Handle next_handle_needing_pool() const {
    return {static_cast<u64>(leaf_count_) * geometry_.entries_per_leaf * 4};
  }
  // Requests that found every value of the geometry in use.
  [[nodiscard]] u64 full_failures() const { return full_failures_; }
  [[nodiscard]] const sim::HandleGeometry& geometry() const { return geometry_; }
  // Everything booked, in order: the table, then its leaves and what they hang from. Grows only.
  [[nodiscard]] const std::vector<PoolBlock>& blocks() const { return blocks_; }
  // Bytes booked now, as charged.
  [[nodiscard]] u64 booked_bytes() const;
  [[nodiscard]] u64 booked_blocks() const { return blocks_.size(); }
  // Of those, what whole pages hold.
  [[nodiscard]] u64 booked_pages() const;
  // Usable entries of a table that is grown to its end: maximum minus one per leaf [facts 2.3].
  [[nodiscard]] static u32 capacity(const sim::HandleGeometry& geometry);
  // NT: ExDupHandleTable, for a child that inherits. The new table has the source's size and the entries that `keep`
  // accepts, at the same values; the caller then references their objects. The free list holds the rest. Errors as for
  // create.
  using Keep = std::function<bool(Handle, const HandleEntry&)>;
  [[nodiscard]] static Result<std::unique_ptr<HandleTable>> duplicate(const sim::Profile& profile,
                                                                      const HandleTable& source, const Sites& sites,
                                                                      QuotaCharger* quota, const Keep& keep);

 private:
  HandleTable(const sim::Profile& profile, const sim::HandleGeometry& geometry, Pool& pool, const Sites& sites,
              HandleReuse reuse, QuotaCharger* quota);
  [[nodiscard]] Status grow();
  [[nodiscard]] Status book(PoolSite site, u64 bytes);
  void unbook_to(std::size_t block_count);
  [[nodiscard]] HandleEntry& entry(u32 index) {
    return leaves_[index / geometry_.entries_per_leaf][index % geometry_.entries_per_leaf];
  }
  void move_last_free();

  const sim::HandleGeometry geometry_;
  Pool& pool_;
  const Sites sites_;
  QuotaCharger* const quota_;
  const u32 pointer_size_;
  const u32 entry_size_;
  const u32 table_size_;
  const HandleReuse reuse_;
  u8 level_ = 0;
  u32 leaf_count_ = 0;
  u32 count_ = 0;
  u64 full_failures_ = 0;
  u32 first_free_ = 0;  // index; 0 ends
  u32 last_free_ = 0;
  std::vector<std::unique_ptr<HandleEntry[]>> leaves_;
  std::vector<PoolBlock> blocks_;  // everything booked, in order
};

}  // namespace vitrine::ex
