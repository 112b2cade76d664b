#include "vitrine/limits.h"

namespace vitrine {

std::vector<ResourceUse> resource_uses(const Machine& machine, const ps::Process& process) {
  const mm::PhysicalMemory& memory = machine.physical;
  const mm::PfnDatabase& pfn = memory.pfn();
  const mm::KernelRegion& ptes = machine.memory.system_ptes();
  const u64 nonpageable = pfn.total() - pfn.reserved();
  const auto table = [](const ex::HandleTable& t) { return ex::HandleTable::capacity(t.geometry()); };
  std::vector<ResourceUse> uses;
  if (process.space != nullptr) {
    const mm::VadTree& vads = process.space->vads();
    uses.push_back({Resource::user_address_space, "user address space", "pages",
                    process.space->virtual_bytes() / kPageSize, (vads.highest_plus_one() - vads.lowest()) / kPageSize,
                    machine.memory.address_failures()});
  }
  uses.push_back({Resource::system_ptes, "system PTEs", "pages", ptes.used(), ptes.total(), ptes.failures()});
  const ex::HandleTable& ids = machine.processes->ids();
  uses.push_back({Resource::ids, "the id table", "entries", ids.count(), table(ids), ids.full_failures()});
  uses.push_back(
      {Resource::commit, "commit", "pages", memory.committed(), memory.commit_limit(), memory.commit_failures()});
  uses.push_back({Resource::resident_available, "resident available memory", "pages",
                  nonpageable - static_cast<u64>(memory.resident_available()), nonpageable,
                  memory.resident_failures()});
  uses.push_back(
      {Resource::frames, "page frames", "pages", nonpageable - pfn.available(), nonpageable, pfn.failures()});
  constexpr std::array kPools{Resource::nonpaged_pool, Resource::paged_pool, Resource::session_pool};
  for (const ex::PoolType type : ex::kPoolTypes) {
    uses.push_back({kPools[static_cast<u32>(type)], ex::pool_type_name(type), "pages", machine.pool.pages(type),
                    machine.pool.page_capacity(type), machine.pool.failures(type)});
  }
  const mm::KernelRegion& cache = machine.memory.system_cache();
  uses.push_back(
      {Resource::system_cache, "system cache addresses", "pages", cache.used(), cache.total(), cache.failures()});
  const ex::HandleTable& handles = machine.csrss->process().handles->table();
  uses.push_back({Resource::csrss_handles, "CSRSS's handle table", "entries", handles.count(), table(handles),
                  handles.full_failures()});
  return uses;
}

const ResourceUse* what_refused(const std::vector<ResourceUse>& before, const std::vector<ResourceUse>& after) {
  for (const ResourceUse& use : after) {
    for (const ResourceUse& old : before) {
      if (old.resource == use.resource && use.refusals > old.refusals) return &use;
    }
  }
  return nullptr;
}

}  // namespace vitrine
