// Pool: the kernel's heap, kept as books. Every allocation that NT would make gets a real kernel address inside the
// profile's pool region, the size that NT would round it to, and a line in the books per site; no bytes exist behind
// it.
//
// Owns the addresses of the pool regions. Refuses: contents, per-processor look-aside lists (they change when a page
// is returned, not what is charged).
//
// How a block is placed [facts 1.7, 8.13]: a request is rounded to (header + bytes) up to the granule (8 on x86, 16 on
// x64). Requests of more than page - header - granule bytes get whole pages without a header. Smaller ones share pages:
// best fit over pages by their largest free run, then best fit inside the page, first address among equals. An empty
// page is returned at once. NT searches by fragment where this searches by page; the number of pages is the same unless
// a page holds several free runs.
//
// Host memory: a block is its 8-byte name (PoolBlock, of which 56 bits are used), kept by its owner; it names address,
// size and site, so that the pool keeps nothing per block. Per shared page: 44 bytes (x64) or 76 (x86).
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/types.h"
#include "ex/page_source.h"
#include "sim/profile.h"
#include "trace/call_trace.h"

namespace vitrine::ex {

class PoolRegion;

// NT: a pool tag is four characters, first one in the lowest byte.
[[nodiscard]] constexpr u32 pool_tag(std::string_view text) {
  u32 tag = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const u8 character = i < text.size() ? static_cast<u8>(text[i]) : static_cast<u8>(' ');
    tag |= static_cast<u32>(character) << (8 * i);
  }
  return tag;
}
// "Thr" followed by the same letter with NT's protection bit (top bit of the last byte) removed.
[[nodiscard]] std::string pool_tag_text(u32 tag);

// A place in the kernel that allocates, by name. 0 is nobody.
struct PoolSite {
  u16 value = 0;
  auto operator<=>(const PoolSite&) const = default;
};

// One allocation. Plain data of 56 bits; null when zero. Only the pool that made it can read it.
struct PoolBlock {
  u64 bits = 0;
  [[nodiscard]] explicit operator bool() const { return bits != 0; }
  auto operator<=>(const PoolBlock&) const = default;
  [[nodiscard]] PoolSite site() const { return {static_cast<u16>((bits >> 45) & 0x7FF)}; }
};
inline constexpr u32 kPoolBlockBits = 56;

// What one site, tag or pool type holds now. Bytes are as NT counts them: rounded, header included.
struct PoolUsage {
  u64 blocks = 0;
  u64 bytes = 0;
  u64 peak_bytes = 0;
  u64 allocations = 0;  // ever made
  u64 frees = 0;
};

struct PoolSiteInfo {
  std::string name;  // "PspCreateThread: thread object"
  u32 tag = 0;
  PoolType type{};
  PoolUsage usage;
};

struct PoolTagInfo {
  u32 tag = 0;
  PoolType type{};
  PoolUsage usage;  // peak is the sum of the sites' peaks, an upper bound
};

struct PoolEvent {
  bool is_free = false;
  PoolSite site;
  u32 tag = 0;
  PoolType type{};
  Va address = 0;
  u64 requested_bytes = 0;  // 0 for a free
  u64 charged_bytes = 0;
  u64 total_bytes = 0;  // of this pool type, after the event
};

class Pool {
 public:
  using Listener = std::function<void(const PoolEvent&)>;

  // `profile` and `source` outlive the pool. A null source means that only the regions limit it (tests, tools).
  Pool(const sim::Profile& profile, PageSource* source);
  // Checks nothing: a machine may be dropped with live objects. Use `usage()` to assert that the books are zero.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // The site with this name, type and tag; made at the first call. Call it once per owner, not per allocation.
  // At most 2,047 sites exist (checked).
  [[nodiscard]] PoolSite site(std::string_view name, PoolType type, u32 tag);

  // Errors: insufficient_resources when the region is full, `bytes` exceeds it, or the page source refuses.
  // A request for 0 bytes takes the smallest block, as in NT. Never suspends.
  [[nodiscard]] Result<PoolBlock> allocate(PoolSite site, u64 bytes);
  // Precondition: `block` is live (checked as far as the page's bitmap can tell). Sets `block` to null.
  void free(PoolBlock& block);

  // The address that ExAllocatePool would have returned: just after the header, or page-aligned for whole pages.
  [[nodiscard]] Va address(PoolBlock block) const;
  // What it is charged with: rounded, header included; a multiple of the page size for whole pages.
  [[nodiscard]] u64 charged_bytes(PoolBlock block) const;
  // Bytes in use in the page that a small block lies in, its own included. Of whole pages: its own.
  [[nodiscard]] u64 page_bytes(PoolBlock block) const;
  // What `allocate(bytes)` would charge.
  [[nodiscard]] u64 rounded_bytes(u64 bytes) const;

  [[nodiscard]] const PoolUsage& usage(PoolType type) const { return totals_[static_cast<u32>(type)]; }
  [[nodiscard]] u64 pages(PoolType type) const;
  [[nodiscard]] u64 page_capacity(PoolType type) const;
  // Requests for which the region had no room.
  [[nodiscard]] u64 failures(PoolType type) const;
  [[nodiscard]] const PoolSiteInfo& site_info(PoolSite site) const;
  // Sites in order of creation, site 0 excluded.
  [[nodiscard]] u32 site_count() const { return static_cast<u32>(sites_.size()) - 1; }
  // Sorted by type, then tag bytes as text.
  [[nodiscard]] std::vector<PoolTagInfo> tags() const;
  // Whether `address` lies in an allocated granule of any region (kd's !pool).
  [[nodiscard]] bool is_allocated(Va address) const;

  // At most one listener; an empty function removes it. It must not allocate from this pool.
  void set_listener(Listener listener) { listener_ = std::move(listener); }
  // Here because every folder that takes memory reaches the pool.
  [[nodiscard]] trace::CallTrace& calls() { return calls_; }

 private:
  struct Place;
  [[nodiscard]] Place place(PoolBlock block) const;
  void book(PoolSite site, bool is_free, u64 requested, u64 charged, Va address);
  [[nodiscard]] const PoolRegion& region(PoolType type) const { return *regions_[static_cast<u32>(type)]; }
  [[nodiscard]] PoolRegion& region(PoolType type) { return *regions_[static_cast<u32>(type)]; }

  const u32 header_bytes_;
  const u32 granule_bytes_;
  std::array<std::unique_ptr<PoolRegion>, kPoolTypes.size()> regions_;
  std::array<PoolUsage, kPoolTypes.size()> totals_{};
  std::vector<PoolSiteInfo> sites_;
  Listener listener_;
  trace::CallTrace calls_;
};

}  // namespace vitrine::ex
