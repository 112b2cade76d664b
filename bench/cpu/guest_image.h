// GuestImage: the kernels' bytes and where they, their buffer and their stack lie in a guest. The same for every
// processor.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "base/types.h"

namespace vitrine::bench {

inline constexpr Va kCode = 0x1'4000'0000, kBuffer = 0x2'0000'0000, kStack = 0x3'0000'0000;
inline constexpr u64 kBufferBytes = 12ull << 20, kStackBytes = 256ull << 10;
inline constexpr Va kReturn = kStack - kPageSize;  // holds a SYSCALL: where a kernel returns to
inline constexpr u64 kWindow = 1'000'000;          // instructions: as the run loop grants them to one busy processor

struct Kernel {
  const char* name;
  u64 first_count;  // calibration starts there
  bool avx = false;
};
inline constexpr Kernel kKernels[] = {
    {"ALU loop", 1000},
    {"collatz", 100},
    {"read-modify-write 64 KiB", 1000},
    {"random 8 MiB", 10000},
    {"sha256", 10},
    {"LZ compressor", 1},
    {"SSE2 floating point", 1},
    {"AVX2 floating point", 1, true},
    {"recursive calls", 1},
    {"indirect calls", 1000},
    {"interpreter loop", 100},
    {"tree walk", 5000},
    {"400 KB of distinct code", 10},
};

// The processor time of this thread: what other programs of the machine do does not count.
inline double seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}
inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

inline std::vector<u8> kernel_image() {
  std::FILE* const file = std::fopen(BENCH_KERNELS, "rb");
  if (file == nullptr) {
    std::fprintf(stderr, "bench_cpu: %s is missing: build the target bench_cpu again\n", BENCH_KERNELS);
    std::exit(1);
  }
  std::vector<u8> bytes(1 << 20);
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
  std::fclose(file);
  return bytes;
}

}  // namespace vitrine::bench
