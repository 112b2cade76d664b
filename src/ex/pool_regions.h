// Where each kind of pool lies in the kernel's address space.
#pragma once

#include <array>

#include "ex/page_source.h"
#include "sim/profile.h"

namespace vitrine::ex {

// By PoolType.
[[nodiscard]] constexpr std::array<sim::Region, kPoolTypes.size()> pool_regions(const sim::KernelLayout& layout) {
  std::array<sim::Region, kPoolTypes.size()> regions{};
  regions[static_cast<u32>(PoolType::nonpaged)] = layout.nonpaged_pool;
  regions[static_cast<u32>(PoolType::paged)] = layout.paged_pool;
  regions[static_cast<u32>(PoolType::session)] = layout.session;
  return regions;
}

}  // namespace vitrine::ex
