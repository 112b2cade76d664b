#include "kernels.h"

namespace {

template <u32 N>
[[gnu::noinline]] u64 piece(u64 x, u8* buffer) {
  constexpr u64 kA = (N * 0x9E3779B97F4A7C15ull) | 1, kB = N * 0xC2B2AE3D27D4EB4Full;
  u64* const words = reinterpret_cast<u64*>(buffer) + (N & 511);
  x = (x ^ kB) * kA;
  if ((x >> 17 & 3) == 0)
    x += words[0];
  else
    x ^= words[1] + N;
  words[2] = x;
  if ((x & 8) != 0) x = (x << (N % 31 + 1)) | (x >> 7);
  return x ^ (x >> (N % 13 + 11));
}

// Groups, so that calls nest as they do in programs.
template <u32 First>
[[gnu::noinline]] u64 group(u64 x, u8* buffer) {
  x = piece<First>(x, buffer);
  x = piece<First + 1>(x, buffer);
  x = piece<First + 2>(x, buffer);
  x = piece<First + 3>(x, buffer);
  x = piece<First + 4>(x, buffer);
  x = piece<First + 5>(x, buffer);
  x = piece<First + 6>(x, buffer);
  return piece<First + 7>(x, buffer);
}

template <u32 First, u32 Count>
[[gnu::always_inline]] inline u64 groups(u64 x, u8* buffer) {
  if constexpr (Count == 1) {
    return group<First * 8>(x, buffer);
  } else {
    x = groups<First, Count / 2>(x, buffer);
    return groups<First + Count / 2, Count - Count / 2>(x, buffer);
  }
}

}  // namespace

u64 large_code(u8* buffer, u64 rounds) {
  u64 x = 1;
  for (; rounds != 0; --rounds) x = groups<0, 400>(x, buffer);
  return x;
}
