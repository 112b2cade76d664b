#include "sim/random.h"

#include <bit>

#include "base/check.h"

namespace vitrine::sim {
namespace {
u64 split_mix(u64& state) {
  u64 z = (state += 0x9E37'79B9'7F4A'7C15ull);
  z = (z ^ (z >> 30)) * 0xBF58'476D'1CE4'E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D0'49BB'1331'11EBull;
  return z ^ (z >> 31);
}
}  // namespace

Random::Random(u64 seed, std::string_view stream_name) {
  u64 state = seed;
  for (char c : stream_name) state = split_mix(state) ^ static_cast<u8>(c);  // the name decides the stream
  for (u64& word : state_) word = split_mix(state);
}

u64 Random::next() {
  const u64 result = std::rotl(state_[1] * 5, 7) * 9;
  const u64 t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

u64 Random::below(u64 bound) {
  VITRINE_CHECK(bound > 0);
  // Rejection keeps it uniform; the loop is bounded in practice and draws the same numbers on every host.
  const u64 limit = ~0ull - (~0ull % bound);
  for (;;) {
    const u64 value = next();
    if (value < limit) return value % bound;
  }
}

}  // namespace vitrine::sim
