// The manager's own life, kernel stacks, shared frames and the books.
#include "mm/memory_manager.h"

#include "mm/address_space.h"

namespace vitrine::mm {
namespace {

constexpr u32 kLargeStackBit = 1u << 31;

}  // namespace

MemoryManager::MemoryManager(const Wiring& wiring)
    : wiring_(wiring),
      system_ptes_(wiring.profile.layout.system_ptes, wiring.profile.pointer_size, wiring.memory),
      system_cache_(wiring.profile.layout.system_cache, wiring.profile.pointer_size, wiring.memory) {
  ex::Pool& pool = wiring_.pool;
  // NT: tags of the three VAD sizes, control areas with their subsections, segments and prototype PTEs
  // [facts 8.6, 8.8].
  sites_.vad_short = pool.site("MmAllocateVad: private memory", ex::PoolType::nonpaged, ex::pool_tag("VadS"));
  sites_.vad = pool.site("MmAllocateVad: view", ex::PoolType::nonpaged, ex::pool_tag("Vad "));
  sites_.vad_long = pool.site("MiCreatePebOrTeb: VAD", ex::PoolType::nonpaged, ex::pool_tag("Vadl"));
  sites_.segment = pool.site("MiCreateSegment: segment", ex::PoolType::paged, ex::pool_tag("MmSm"));
  sites_.control_area = pool.site("MiCreateSegment: control area", ex::PoolType::nonpaged, ex::pool_tag("MmCa"));
  sites_.prototypes = pool.site("MiCreateSegment: prototype PTEs", ex::PoolType::paged, ex::pool_tag("MmSt"));
  wiring_.memory.pfn().set_owner(this);
}

MemoryManager::~MemoryManager() {
  VITRINE_CHECK(space_count_ == 0 && segment_count_ == 0);
  wiring_.memory.pfn().set_owner(nullptr);
}

Result<std::unique_ptr<AddressSpace>> MemoryManager::create_space(const SpaceOptions& options) {
  std::unique_ptr<AddressSpace> space(new AddressSpace(*this, options));
  if (const Status status = space->page_table_.create(wiring_.backend); !is_success(status)) return Failure(status);
  if (const Status status = space->hyperspace_.create(); !is_success(status)) return Failure(status);
  space->note_tables();
  return space;
}

// NT: MmCreateKernelStack: commit and resident memory are charged, then stack pages plus guard PTEs are taken from the
// system PTEs, then the frames. The guard has an address and nothing else [facts 1.5].
Result<KernelStack> MemoryManager::create_kernel_stack(bool large) {
  const trace::CallScope scope(wiring_.pool.calls(), "MmCreateKernelStack");
  const sim::KernelStack& geometry = wiring_.profile.stack;
  // A large stack reserves addresses for all its pages and commits as many as a small one has.
  const u32 ptes = (large ? geometry.large_pages : geometry.pages) + geometry.guard_pages;
  PhysicalMemory& memory = wiring_.memory;
  if (const Status status = memory.charge_commit(geometry.pages); !is_success(status)) return Failure(status);
  Status status = memory.charge_resident(geometry.pages);
  if (is_success(status)) {
    const u64 tables = system_ptes_.table_pages();
    const auto first = system_ptes_.allocate(ptes);
    if (first) {
      const auto frames = memory.pfn().allocate_run(geometry.pages, FrameUse::kernel_stack);
      if (frames) {
        ++kernel_stacks_;
        wiring_.pool.calls().allocated(
            {"kernel stack", trace::AllocationKind::kernel_stack, 0, geometry.pages * kPageSize});
        if (system_ptes_.table_pages() != tables) {
          wiring_.pool.calls().allocated({"page table of the system PTEs", trace::AllocationKind::page_table, 0,
                                          (system_ptes_.table_pages() - tables) * kPageSize});
        }
        return KernelStack{*first | (large ? kLargeStackBit : 0), *frames};
      }
      status = frames.error();
      system_ptes_.free(*first, ptes);
    } else {
      status = first.error();
    }
    memory.return_resident(geometry.pages);
  }
  memory.return_commit(geometry.pages);
  return Failure(status);
}

void MemoryManager::delete_kernel_stack(KernelStack stack) {
  const sim::KernelStack& geometry = wiring_.profile.stack;
  const bool large = (stack.system_pte & kLargeStackBit) != 0;
  const u32 ptes = (large ? geometry.large_pages : geometry.pages) + geometry.guard_pages;
  wiring_.memory.pfn().free_run(stack.frames, geometry.pages, FrameUse::kernel_stack);
  system_ptes_.free(stack.system_pte & ~kLargeStackBit, ptes);
  wiring_.memory.return_resident(geometry.pages);
  wiring_.memory.return_commit(geometry.pages);
  --kernel_stacks_;
}

Va MemoryManager::kernel_stack_base(KernelStack stack) const {
  const sim::KernelStack& geometry = wiring_.profile.stack;
  const bool large = (stack.system_pte & kLargeStackBit) != 0;
  const u32 pages = large ? geometry.large_pages : geometry.pages;
  return system_ptes_.address((stack.system_pte & ~kLargeStackBit) + geometry.guard_pages + pages);
}

Va MemoryManager::kernel_stack_limit(KernelStack stack) const {
  return kernel_stack_base(stack) - u64{wiring_.profile.stack.pages} * kPageSize;
}

Pfn MemoryManager::kernel_stack_frame(KernelStack stack, u32 page) const {
  VITRINE_CHECK(page < wiring_.profile.stack.pages);
  return wiring_.memory.pfn().frame_of_run(stack.frames, page);
}

Result<Pfn> MemoryManager::allocate_shared_frame() {
  if (const Status status = wiring_.memory.charge_commit(1); !is_success(status)) return Failure(status);
  if (const Status status = wiring_.memory.charge_resident(1); !is_success(status)) {
    wiring_.memory.return_commit(1);
    return Failure(status);
  }
  const auto frame = wiring_.memory.pfn().allocate(FrameUse::system, Contents::zeroed);
  if (frame) return frame->pfn;
  wiring_.memory.return_resident(1);
  wiring_.memory.return_commit(1);
  return Failure(frame.error());
}

void MemoryManager::free_shared_frame(Pfn pfn) {
  VITRINE_CHECK(wiring_.memory.pfn().use(pfn) == FrameUse::system);
  wiring_.memory.pfn().free(pfn);
  wiring_.memory.return_resident(1);
  wiring_.memory.return_commit(1);
}

Books MemoryManager::books() const {
  const PhysicalMemory& memory = wiring_.memory;
  const PfnDatabase& pfn = memory.pfn();
  Books b;
  b.held.committed_pages = memory.committed();
  b.held.resident_available_pages = memory.resident_available();
  b.held.available_pages = pfn.available();
  b.held.modified_pages = pfn.list_length(PageLocation::modified);
  b.held.private_pages = pfn.used_for(FrameUse::process_private);
  b.held.shared_pages = pfn.used_for(FrameUse::shared);
  b.held.page_table_pages = pfn.used_for(FrameUse::page_table);
  b.held.kernel_stack_pages = pfn.used_for(FrameUse::kernel_stack);
  b.held.shadow_pages = pfn.used_for(FrameUse::shadow);
  b.held.pool_pages = pfn.used_for(FrameUse::pool);
  b.held.system_pages = pfn.used_for(FrameUse::system);
  b.held.system_ptes = system_ptes_.used();
  b.held.system_table_pages = system_ptes_.table_pages();
  b.held.system_cache_pages = system_cache_.used();
  b.held.system_cache_table_pages = system_cache_.table_pages();
  b.held.hyperspace_pages = hyperspace_pages_;
  b.held.kernel_stacks = kernel_stacks_;
  b.held.vads = vad_count_;
  b.held.views = view_count_;
  b.held.segments = segment_count_;
  b.held.spaces = space_count_;
  b.commit_limit_pages = memory.commit_limit();
  b.peak_committed_pages = memory.peak_committed();
  b.total_pages = pfn.total();
  b.reserved_pages = pfn.reserved();
  b.zeroed_pages = pfn.list_length(PageLocation::zeroed);
  b.free_pages = pfn.list_length(PageLocation::free) + pfn.never_used();
  b.standby_pages = pfn.list_length(PageLocation::standby);
  b.never_used_pages = pfn.never_used();
  b.page_faults = faults_;
  b.demand_zero_faults = demand_zero_;
  b.soft_faults = soft_;
  b.hard_faults = hard_;
  b.copy_on_write_faults = copies_;
  return b;
}

}  // namespace vitrine::mm
