// Random: the machine's only source of variety, seeded. Each consumer takes a stream of its own by name, so that a new
// consumer does not shift what the others see. (xoshiro256**, Blackman and Vigna 2018, seeded through SplitMix64.)
#pragma once

#include <array>
#include <string_view>

#include "base/types.h"

namespace vitrine::sim {

class Random {
 public:
  Random(u64 seed, std::string_view stream_name);
  u64 next();
  // Uniform in [0, bound); bound > 0.
  u64 below(u64 bound);

 private:
  std::array<u64, 4> state_;
};

}  // namespace vitrine::sim
