#include "ex/pool.h"

#include <algorithm>
#include <map>

#include "base/check.h"
#include "ex/pool_region.h"
#include "ex/pool_regions.h"

namespace vitrine::ex {
namespace {

// PoolBlock's fields, from the lowest bit: first granule (34), length (10), whole pages (1), site (11).
constexpr u32 kGranuleBits = 34;
constexpr u32 kLengthBits = 10;
constexpr u32 kWholePagesShift = kGranuleBits + kLengthBits;
constexpr u32 kSiteShift = kWholePagesShift + 1;
constexpr u64 kMaximumLength = (u64{1} << kLengthBits) - 1;
constexpr u32 kMaximumSites = 2'048;
static_assert(kSiteShift + 11 == kPoolBlockBits);

}  // namespace

std::string pool_tag_text(u32 tag) {
  std::string text;
  for (u32 i = 0; i < 4; ++i) {
    const char character = static_cast<char>((tag >> (8 * i)) & 0x7F);
    text += character >= 0x20 && character < 0x7F ? character : '.';
  }
  return text;
}

// Where a block is and how long.
struct Pool::Place {
  PoolType type;
  u64 first_granule;
  u64 length;  // granules, or pages when `whole_pages`
  bool whole_pages;
};

Pool::Pool(const sim::Profile& profile, PageSource* source)
    : header_bytes_(profile.sizes.pool_header), granule_bytes_(profile.sizes.pool_granule) {
  const auto layout = pool_regions(profile.layout);
  for (const PoolType type : kPoolTypes) {
    sim::Region region = layout[static_cast<u32>(type)];
    const u64 nameable = u64{granule_bytes_} << kGranuleBits;
    // As much of session space as a block can name; on x64 the rest is views and images, which this kernel does not have.
    if (type == PoolType::session) region.bytes = std::min(region.bytes, nameable);
    VITRINE_CHECK(region.bytes <= nameable);
    regions_[static_cast<u32>(type)] = std::make_unique<PoolRegion>(type, region, granule_bytes_, source);
  }
  sites_.push_back({.name = "(nobody)", .usage = {}});
}

Pool::~Pool() = default;

PoolSite Pool::site(std::string_view name, PoolType type, u32 tag) {
  for (std::size_t i = 1; i < sites_.size(); ++i) {
    const PoolSiteInfo& info = sites_[i];
    if (info.tag == tag && info.type == type && info.name == name) return {static_cast<u16>(i)};
  }
  VITRINE_CHECK(sites_.size() < kMaximumSites);
  sites_.push_back({.name = std::string(name), .tag = tag, .type = type, .usage = {}});
  return {static_cast<u16>(sites_.size() - 1)};
}

u64 Pool::rounded_bytes(u64 bytes) const {
  // NT: what does not leave room for a header and one more granule gets pages of its own [facts 1.7].
  if (bytes > kPageSize - header_bytes_ - granule_bytes_) return page_ceil(bytes);
  return align_up(std::max<u64>(bytes, 1) + header_bytes_, granule_bytes_);
}

Result<PoolBlock> Pool::allocate(PoolSite site, u64 bytes) {
  const trace::CallScope scope(calls_, "ExAllocatePoolWithTag");
  VITRINE_CHECK(site.value > 0 && site.value < sites_.size());
  PoolRegion& target = region(sites_[site.value].type);
  if (bytes > target.bytes()) return Failure(Status::insufficient_resources);
  const u64 charged = rounded_bytes(bytes);
  const bool whole_pages = bytes > kPageSize - header_bytes_ - granule_bytes_;
  u64 first = 0;
  u64 length = 0;
  if (whole_pages) {
    length = charged / kPageSize;
    const Result<u64> page = target.allocate_pages(length);
    if (!page) return Failure(page.error());
    first = *page * target.granules_per_page();
    if (length > kMaximumLength) {
      target.remember_run(*page, length);
      length = 0;
    }
  } else {
    length = charged / granule_bytes_;
    const Result<u64> granule = target.allocate_granules(static_cast<u32>(length));
    if (!granule) return Failure(granule.error());
    first = *granule;
  }
  const PoolBlock block{first | length << kGranuleBits | u64{whole_pages} << kWholePagesShift |
                        u64{site.value} << kSiteShift};
  book(site, false, bytes, charged, address(block));
  return block;
}

Pool::Place Pool::place(PoolBlock block) const {
  const PoolSite site = block.site();
  VITRINE_CHECK(site.value > 0 && site.value < sites_.size());
  Place place{sites_[site.value].type, block.bits & ((u64{1} << kGranuleBits) - 1),
              (block.bits >> kGranuleBits) & kMaximumLength, ((block.bits >> kWholePagesShift) & 1) != 0};
  if (place.whole_pages && place.length == 0) {
    const PoolRegion& home = region(place.type);
    place.length = home.run_length(place.first_granule / home.granules_per_page());
  }
  return place;
}

void Pool::free(PoolBlock& block) {
  const Place where = place(block);
  PoolRegion& home = region(where.type);
  book(block.site(), true, 0, charged_bytes(block), address(block));
  if (where.whole_pages) {
    const u64 page = where.first_granule / home.granules_per_page();
    if (where.length > kMaximumLength) home.forget_run(page);
    home.free_pages(page, where.length);
  } else {
    home.free_granules(where.first_granule, static_cast<u32>(where.length));
  }
  block = {};
}

Va Pool::address(PoolBlock block) const {
  const Place where = place(block);
  return region(where.type).start() + where.first_granule * granule_bytes_ + (where.whole_pages ? 0 : header_bytes_);
}

u64 Pool::charged_bytes(PoolBlock block) const {
  const Place where = place(block);
  return where.length * (where.whole_pages ? kPageSize : granule_bytes_);
}

u64 Pool::page_bytes(PoolBlock block) const {
  const Place where = place(block);
  if (where.whole_pages) return charged_bytes(block);
  const PoolRegion& home = region(where.type);
  return u64{home.used_granules(where.first_granule / home.granules_per_page())} * granule_bytes_;
}

u64 Pool::pages(PoolType type) const { return region(type).pages_in_use(); }

u64 Pool::page_capacity(PoolType type) const { return region(type).page_count(); }
u64 Pool::failures(PoolType type) const { return region(type).failures(); }

const PoolSiteInfo& Pool::site_info(PoolSite site) const {
  VITRINE_CHECK(site.value < sites_.size());
  return sites_[site.value];
}

void Pool::book(PoolSite site, bool is_free, u64 requested, u64 charged, Va address) {
  PoolSiteInfo& info = sites_[site.value];
  PoolUsage& total = totals_[static_cast<u32>(info.type)];
  for (PoolUsage* usage : {&info.usage, &total}) {
    if (is_free) {
      VITRINE_CHECK(usage->blocks > 0 && usage->bytes >= charged);
      --usage->blocks;
      ++usage->frees;
      usage->bytes -= charged;
    } else {
      ++usage->blocks;
      ++usage->allocations;
      usage->bytes += charged;
      usage->peak_bytes = std::max(usage->peak_bytes, usage->bytes);
    }
  }
  if (!is_free) {
    const bool nonpaged = info.type == PoolType::nonpaged;
    calls_.allocated({info.name, nonpaged ? trace::AllocationKind::nonpaged_pool : trace::AllocationKind::paged_pool,
                      info.tag, charged});
  }
  if (listener_) {
    listener_({.is_free = is_free,
               .site = site,
               .tag = info.tag,
               .type = info.type,
               .address = address,
               .requested_bytes = requested,
               .charged_bytes = charged,
               .total_bytes = total.bytes});
  }
}

std::vector<PoolTagInfo> Pool::tags() const {
  std::map<std::pair<PoolType, std::string>, PoolTagInfo> by_tag;
  for (std::size_t i = 1; i < sites_.size(); ++i) {
    const PoolSiteInfo& info = sites_[i];
    PoolTagInfo& sum = by_tag[{info.type, pool_tag_text(info.tag)}];
    sum.tag = info.tag;
    sum.type = info.type;
    sum.usage.blocks += info.usage.blocks;
    sum.usage.bytes += info.usage.bytes;
    sum.usage.peak_bytes += info.usage.peak_bytes;
    sum.usage.allocations += info.usage.allocations;
    sum.usage.frees += info.usage.frees;
  }
  std::vector<PoolTagInfo> result;
  result.reserve(by_tag.size());
  for (const auto& entry : by_tag) result.push_back(entry.second);
  return result;
}

bool Pool::is_allocated(Va address) const {
  for (const auto& candidate : regions_) {
    if (address < candidate->start() || address - candidate->start() >= candidate->bytes()) continue;
    return candidate->is_allocated((address - candidate->start()) / granule_bytes_);
  }
  return false;
}

}  // namespace vitrine::ex
