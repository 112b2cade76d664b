#include "nt/placement.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace vitrine::nt {

Result<Placement> capture_placement(Call call, UserPtr<abi::MemExtendedParameter> parameters, u32 count, bool has_base) {
  Placement placement;
  constexpr u32 kKinds = static_cast<u32>(abi::MemExtendedParameterType::maximum) - 1;
  if (count > kKinds) return Failure(Status::invalid_parameter);
  bool seen[kKinds + 1] = {};
  for (u32 i = 0; i < count; ++i) {
    const auto parameter = parameters.element(i).read(call.space());
    if (!parameter) return Failure(parameter.error());
    const u64 kind = parameter->type_and_reserved;
    if (kind == 0 || kind > kKinds || std::exchange(seen[kind], true)) return Failure(Status::invalid_parameter);
    switch (static_cast<abi::MemExtendedParameterType>(kind)) {
      case abi::MemExtendedParameterType::address_requirements:
        break;
      case abi::MemExtendedParameterType::numa_node:  // a preference among nodes, of which there is one
        if (static_cast<u32>(parameter->value) != 0 && static_cast<u32>(parameter->value) != ~0u) {
          return Failure(Status::invalid_parameter);
        }
        continue;
      case abi::MemExtendedParameterType::attribute_flags:
        if (parameter->value != 0) return Failure(Status::invalid_parameter);
        continue;
      default:
        return Failure(Status::not_supported);
    }
    const auto requirements = UserPtr<abi::MemAddressRequirements>{parameter->value}.read(call.space());
    if (!requirements) return Failure(requirements.error());
    const auto& [lowest, highest, alignment] = *requirements;
    // NT: none of the three goes together with an address of the caller's. [learn.microsoft.com:
    // MEM_ADDRESS_REQUIREMENTS]
    if (has_base && (lowest != 0 || highest != 0 || alignment != 0)) return Failure(Status::invalid_parameter);
    const u64 granularity_mask = mm::kAllocationGranularity - 1;
    if (alignment != 0 && (!std::has_single_bit(alignment) || alignment < mm::kAllocationGranularity)) {
      return Failure(Status::invalid_parameter);
    }
    if ((lowest & granularity_mask) != 0) return Failure(Status::invalid_parameter);
    if (highest != 0 && (((highest + 1) & kPageMask) != 0 || highest < lowest))
      return Failure(Status::invalid_parameter);
    placement = {lowest, highest == 0 ? 0 : highest + 1, alignment == 0 ? mm::kAllocationGranularity : alignment};
  }
  return placement;
}

Result<Va> find_place(const mm::AddressSpace& space, u64 bytes, const Placement& placement, bool top_down) {
  const Va floor = std::max(placement.floor, space.vads().lowest());
  const Va end = space.vads().highest_plus_one();
  const Va ceiling = placement.ceiling == 0 ? end : std::min(placement.ceiling, end);
  if (floor >= ceiling) return Failure(Status::no_memory);
  const mm::SearchFrom from = top_down ? mm::SearchFrom::top : mm::SearchFrom::bottom;
  const Va base = space.vads().find_gap(page_ceil(bytes), placement.alignment, from, floor, ceiling);
  if (base == 0) return Failure(Status::no_memory);
  return base;
}

}  // namespace vitrine::nt
