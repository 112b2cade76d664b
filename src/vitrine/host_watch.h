// HostWatch: what ends a run from the host's side: time and memory. Asked between windows, so it looks at the host rarely.
#pragma once

#include <optional>

#include "vitrine/run.h"

namespace vitrine {

class HostWatch {
 public:
  // 0: no limit.
  HostWatch(double timeout_seconds, u64 host_bytes);
  // The reason to stop, if there is one. `idle`: nothing runs, so look at once.
  [[nodiscard]] std::optional<RunEnd> check(bool idle);
  [[nodiscard]] u64 elapsed_ns() const;

 private:
  static constexpr u32 kWindowsBetweenLooks = 16;
  static constexpr u64 kNanosecondsBetweenMemoryLooks = 50'000'000;

  u64 start_ns_;
  u64 timeout_ns_;
  u64 host_bytes_;
  u64 next_memory_look_ns_ = 0;
  u32 windows_ = 0;
};

// Bytes of this host process in memory now, and the most there ever were.
[[nodiscard]] u64 host_resident_bytes();
[[nodiscard]] u64 host_peak_bytes();

}  // namespace vitrine
