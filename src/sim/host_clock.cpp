#include "sim/host_clock.h"

#include <ctime>

namespace vitrine::sim {

u64 host_nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

}  // namespace vitrine::sim
