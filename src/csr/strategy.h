// Strategy: how CSRSS finds a thread by its id. Data, with the form in which users write it:
//
//   chained:256   chained:1024   chained:N    doubly linked chains under N buckets (NT: 256 in 5.x, 1,024 in 6.1)
//   constant                                  every thread in one bucket: the experiment that proves the cause
//   resizing                                  our mend: one more bucket per thread, split one at a time
//   bypass                                    thread creation does not tell CSRSS at all: the experiment's way out
//
// `,counted` behind chained:N or constant: visits are counted without walking, for numbers of threads where a walk
// would take hours of host time. The counts are the same.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/types.h"
#include "sim/profile.h"

namespace vitrine::csr {

enum class TableKind : u8 { chained, constant, resizing, bypass };
enum class Walk : u8 { real, counted };

struct Strategy {
  TableKind kind = TableKind::chained;
  u32 buckets = 1024;  // of chained
  Walk walk = Walk::real;
  bool operator==(const Strategy&) const = default;
};

inline constexpr u32 kMaximumBuckets = 1u << 24;  // as many as there can be threads

// The error is one line for the user.
[[nodiscard]] std::expected<Strategy, std::string> parse_strategy(std::string_view text);
[[nodiscard]] std::string format_strategy(const Strategy& strategy);
// What the profile's Windows does.
[[nodiscard]] Strategy default_strategy(const sim::Profile& profile);

}  // namespace vitrine::csr
