// The parts that all operations share: Vads with their pool, charges, entries and the end of a space.
#include "mm/address_space.h"

#include <algorithm>
#include <bit>

#include "sim/random.h"

namespace vitrine::mm {
namespace {

constexpr u64 kRandomGranules = 256;  // NT 6.0: 8 bits of bottom-up randomisation [WI6p2 ch. 10, ASLR]

}  // namespace

AddressSpace::AddressSpace(MemoryManager& manager, const SpaceOptions& options)
    : manager_(manager),
      page_table_(manager.memory()),
      hyperspace_(manager.memory(), manager.profile(), manager.hyperspace_pages_),
      vads_(options.lowest, options.highest_plus_one),
      quota_(options.quota),
      search_floor_(options.lowest),
      search_ceiling_(options.highest_plus_one) {
  if (options.random != nullptr) {
    search_floor_ += options.random->below(kRandomGranules) * kAllocationGranularity;
    search_ceiling_ -= options.random->below(kRandomGranules) * kAllocationGranularity;
  }
  ++manager_.space_count_;
}

AddressSpace::~AddressSpace() {
  if (page_table_.space() != nullptr) {
    clear();
    page_table_.destroy();
  }
  --manager_.space_count_;
}

void AddressSpace::clear() {
  while (Vad* vad = vads_.first()) {
    if (vad->view_or_null() != nullptr)
      remove_view(*vad);
    else
      drop_private(*vad);
  }
  finish();
}

// NT: the Vad comes from nonpaged pool and is charged to the process's quota; short for private memory, long when
// secured.
Result<Vad*> AddressSpace::new_vad(Va start, Va end, bool is_mapped, bool is_long) {
  const sim::StructureSizes& sizes = manager_.profile().sizes;
  const MemoryManager::Sites& sites = manager_.sites_;
  const ex::PoolSite site = is_long ? sites.vad_long : is_mapped ? sites.vad : sites.vad_short;
  const u64 bytes = is_long ? sizes.vad_long : is_mapped ? sizes.vad : sizes.vad_short;
  ex::Pool& pool = manager_.wiring_.pool;
  auto block = pool.allocate(site, bytes);
  if (!block) return Failure(block.error());
  if (quota_ != nullptr) {
    if (const Status status = quota_->charge_pool(ex::PoolType::nonpaged, pool.charged_bytes(*block));
        !is_success(status)) {
      pool.free(*block);
      return Failure(status);
    }
  }
  Vad& vad = vads_.insert(start, end);
  vad.set_pool_block(*block);
  vad.private_ = is_mapped ? 0 : 1;
  vad.long_ = is_long ? 1 : 0;
  virtual_bytes_ += end - start;
  peak_virtual_bytes_ = std::max(peak_virtual_bytes_, virtual_bytes_);
  ++manager_.vad_count_;
  return &vad;
}

void AddressSpace::delete_vad(Vad& vad) {
  ex::Pool& pool = manager_.wiring_.pool;
  ex::PoolBlock block = vad.pool_block();
  if (quota_ != nullptr) quota_->return_pool(ex::PoolType::nonpaged, pool.charged_bytes(block));
  pool.free(block);
  virtual_bytes_ -= vad.end() - vad.start();
  --manager_.vad_count_;
  vads_.erase(vad);
}

Result<Va> AddressSpace::find_room(u64 size, u64 alignment, u32 zero_bits, bool top_down) const {
  Va limit = vads_.highest_plus_one();
  if (zero_bits != 0) {
    // Up to 31: that many high bits of a 32-bit address are zero. From 32 on: a mask whose highest bit bounds the
    // address.
    const u32 shift = zero_bits < 32 ? 32 + zero_bits : 32 + static_cast<u32>(std::countl_zero(zero_bits));
    limit = std::min<Va>(limit, (~0ull >> shift) + 1);
  }
  const SearchFrom from = top_down ? SearchFrom::top : SearchFrom::bottom;
  Va place = vads_.find_gap(size, alignment, from, search_floor_, std::min(limit, search_ceiling_));
  // What randomisation left out is used when nothing else is left.
  if (place == 0) place = vads_.find_gap(size, alignment, from, vads_.lowest(), limit);
  if (place == 0) ++manager_.address_failures_;
  return place == 0 ? Result<Va>(Failure(Status::no_memory)) : place;
}

Status AddressSpace::check_room(Va start, Va end) const {
  if (start < vads_.lowest() || end > vads_.highest_plus_one() || start >= end) return Status::conflicting_addresses;
  return vads_.overlaps(start, end) ? Status::conflicting_addresses : Status::success;
}

Status AddressSpace::charge(Vad& vad, u64 pages) {
  if (const Status status = charge_pages(pages); !is_success(status)) return status;
  vad.set_commit_charge(vad.commit_charge() + pages);
  manager_.wiring_.pool.calls().allocated({"committed pages", trace::AllocationKind::committed, 0, pages * kPageSize});
  return Status::success;
}

void AddressSpace::uncharge(Vad& vad, u64 pages) {
  VITRINE_CHECK(pages <= vad.commit_charge());
  vad.set_commit_charge(vad.commit_charge() - pages);
  return_pages(pages);
}

Status AddressSpace::charge_pages(u64 pages) {
  if (pages > own_commit_limit_ || commit_charge_ > own_commit_limit_ - pages) {
    if (commit_guard_ != nullptr) commit_guard_->refused(*this);
    return Status::commitment_limit;
  }
  if (commit_guard_ != nullptr && pages != 0 && !commit_guard_->admit(*this, pages)) return Status::commitment_limit;
  if (const Status status = manager_.memory().charge_commit(pages); !is_success(status)) return status;
  commit_charge_ += pages;
  peak_commit_charge_ = std::max(peak_commit_charge_, commit_charge_);
  return Status::success;
}

void AddressSpace::return_pages(u64 pages) {
  VITRINE_CHECK(pages <= commit_charge_);
  commit_charge_ -= pages;
  manager_.memory().return_commit(pages);
}

// Table pages are charged to the machine where they are made; the process's own count follows here.
void AddressSpace::note_tables() {
  if (page_table_.table_pages() == charged_tables_) return;
  if (page_table_.table_pages() > charged_tables_) {
    manager_.wiring_.pool.calls().allocated({"page table of the process", trace::AllocationKind::page_table, 0,
                                             (page_table_.table_pages() - charged_tables_) * kPageSize});
  }
  commit_charge_ = commit_charge_ - charged_tables_ + page_table_.table_pages();
  charged_tables_ = page_table_.table_pages();
  peak_commit_charge_ = std::max(peak_commit_charge_, commit_charge_);
}

void AddressSpace::finish() {
  page_table_.commit_edits(manager_.backend());
  note_tables();
}

bool AddressSpace::is_committed(const Vad& vad, Va va, Pte pte) const {
  if (vad.is_private()) return pte.is_empty() ? vad.is_committed() : !pte.is_decommitted();
  if (!pte.is_empty() && !pte.is_vad_lookup() && !pte.maps_prototype()) return true;  // a private copy
  const View& view = *vad.view;
  const u64 page = view.first_page + ((va - vad.start()) >> kPageShift);
  switch (view.segment->kind) {
    case SectionKind::image:
      return view.segment->subsection_of(page) != nullptr;
    case SectionKind::file:
      return true;
    case SectionKind::page_file:
      break;
  }
  return view.segment->commits_all || !manager_.prototype(*view.segment, page).is_empty();
}

// What the page allows. Precondition: committed.
Protection AddressSpace::protection_of(const Vad& vad, Va va, Pte pte) const {
  if (!pte.is_empty()) return pte.protection();
  if (!vad.is_image()) return vad.protection();
  const View& view = *vad.view;
  const Subsection* subsection = view.segment->subsection_of(view.first_page + ((va - vad.start()) >> kPageShift));
  return subsection == nullptr ? Protection{Protection::kNoAccess} : subsection->protection;
}

// Whether a page of a view costs this process a page of commit: it is a private copy, or a write would make one.
bool AddressSpace::is_charged_copy(const Vad& vad, Va va, Pte pte) const {
  if (!pte.is_empty() && !pte.is_vad_lookup() && !pte.maps_prototype()) return true;
  return is_committed(vad, va, pte) && protection_of(vad, va, pte).is_write_copy();
}

// Committed pages of a private range, from its entries: used tables are walked, the rest follows from the Vad.
u64 AddressSpace::committed_pages(const Vad& vad, Va start, Va end) const {
  if (start == vad.start() && end == vad.end()) return vad.commit_charge();
  u64 used = 0;
  u64 decommitted = 0;
  for (Va va = page_table_.next_used(start, end); va < end; va = page_table_.next_used(va + kPageSize, end)) {
    if (page_table_.get(va).is_decommitted())
      ++decommitted;
    else
      ++used;
  }
  return vad.is_committed() ? ((end - start) >> kPageShift) - decommitted : used;
}

// Forgets one page, whatever form it has. Charges are the caller's.
void AddressSpace::delete_entry(Va va, Pte pte) {
  if (!locks_.empty()) release_lock(va);
  PfnDatabase& pfn = manager_.memory().pfn();
  if (pte.is_valid()) {
    hyperspace_.remove_entry();
    if (pte.maps_prototype())
      manager_.drop_resident(pte.pfn(), pte.is_dirty());
    else if (pfn.use(pte.pfn()) != FrameUse::system)
      pfn.free(pte.pfn());
  } else if (pte.is_shadow()) {
    pfn.free_run(FrameRun{static_cast<u32>(pte.pfn().value)}, 1, FrameUse::shadow);
  } else if (pte.is_transition()) {
    pfn.free(pte.pfn());
  }
  page_table_.set(va, Pte{});
}

void AddressSpace::delete_entries(Va start, Va end) {
  for (Va va = page_table_.next_used(start, end); va < end; va = page_table_.next_used(va + kPageSize, end)) {
    delete_entry(va, page_table_.get(va));
  }
}

// The page-aligned range of a request. Overflow-safe: nothing is added before it is bounded.
Result<Range> AddressSpace::checked_range(Va base, u64 size, Status bad_base, Status bad_size) const {
  const Va highest = vads_.highest_plus_one();
  if (base >= highest) return Failure(bad_base);
  if (size > highest - base) return Failure(bad_size);
  return Range{page_floor(base), page_ceil(base + size) - page_floor(base)};
}

}  // namespace vitrine::mm
