// Layouts: where NT's structures have their fields, per profile. From Microsoft's public symbols as tabulated by
// volatility's vtypes [VOL]: 5.2 SP1 x86, 5.2 SP1 x64, 6.1 x64. What is not in there has no entry; nothing is computed.
#pragma once

#include <optional>
#include <string_view>

#include "sim/profile.h"

namespace vitrine::kd {

// Bytes. nullopt: the profile's structure has no such field, or its place is not known.
[[nodiscard]] std::optional<u32> offset_of(const sim::Profile& profile, std::string_view structure,
                                           std::string_view field);
// Bytes of the whole structure.
[[nodiscard]] std::optional<u32> size_of(const sim::Profile& profile, std::string_view structure);

}  // namespace vitrine::kd
