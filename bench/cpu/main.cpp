// bench_cpu: the processor's table. The same code runs natively, translated and in Unicorn, interleaved, so that noise
// hits all alike; medians, and ratios within one run.
//
//   bench_cpu [--quick] [--kernel N]... [--no-peer] [--no-micro] [--in-order] [--shuffled] [--statistics]
//     [--window N] [--repetitions N] [--translation N]
#include <sys/mman.h>

#include <cmath>
#include <cstring>

#include "bare_guest.h"
#include "micro.h"
#include "peer.h"

namespace vitrine::bench {
namespace {

struct Options {
  int repetitions = 7;
  double target = 0.02;  // seconds of native time
  std::vector<u64> kernels;
  bool peer = true, micro = true, statistics = false;
  bool in_order = true, shuffled = true;  // the frames of the guest's memory
  u64 window = kWindow;
  int translation = 0;  // measure nothing but translation, so many times
};

class Native {
 public:
  explicit Native(std::span<const u8> image) {
    code_ = map(page_ceil(image.size()), PROT_READ | PROT_WRITE | PROT_EXEC);
    buffer_ = map(kBufferBytes, PROT_READ | PROT_WRITE);
    std::memcpy(code_, image.data(), image.size());
  }
  void clear() { std::memset(buffer_, 0, kBufferBytes); }
  u64 run(u64 kernel, u64 count) { return reinterpret_cast<u64 (*)(u64, void*, u64)>(code_)(kernel, buffer_, count); }

 private:
  static void* map(u64 bytes, int rights) {
    void* const at = mmap(nullptr, bytes, rights, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at != MAP_FAILED) return at;
    std::perror("bench_cpu: mmap");
    std::exit(1);
  }
  void *code_, *buffer_;
};

template <typename Run>
double timed(Run&& run, u64& result) {
  const double start = seconds();
  result = run();
  return seconds() - start;
}

struct Row {
  double native = 0, slowdown = 0, peer = 0;  // seconds, ratios; peer 0: not measured
};

Row measure(u64 kernel, const Options& options, Native& native, KernelGuest& guest, Peer* peer) {
  u64 count = kKernels[kernel].first_count, expected = 0, result = 0;
  const auto run_native = [&](u64 n) {
    native.clear();
    return timed([&] { return native.run(kernel, n); }, expected);
  };
  while (run_native(count) < options.target) count *= 2;
  const u64 few = std::max<u64>(count / 64, 1);
  std::vector<double> native_times, ratios, peer_ratios;
  for (int n = -1; n < options.repetitions; ++n) {
    if (peer != nullptr && !kKernels[kernel].avx && n <= options.repetitions / 2) {
      const double own = std::min(run_native(few), run_native(few));
      peer->clear();
      const double theirs = timed([&] { return peer->run(kernel, few); }, result);
      if (result != expected) std::printf("  WRONG RESULT of the peer in %s\n", kKernels[kernel].name);
      if (n >= 0) peer_ratios.push_back(theirs / own);
    }
    const double before = run_native(count);
    guest.clear();
    const double translated = timed([&] { return guest.run(kernel, count, options.window); }, result);
    const double after = run_native(count);
    if (result != expected) {
      std::printf("  WRONG RESULT in %s: %llx, not %llx\n", kKernels[kernel].name,
                  static_cast<unsigned long long>(result), static_cast<unsigned long long>(expected));
      std::exit(1);
    }
    if (n < 0) continue;  // translates
    native_times.push_back(std::min(before, after));
    ratios.push_back(translated / std::min(before, after));
  }
  return {median(native_times), median(ratios), median(peer_ratios)};
}

// What one warm run of some milliseconds does besides running generated code.
void print_statistics(KernelGuest& guest, u64 kernel, u64 window) {
  const auto before = guest.cpu->statistics();
  const double start = seconds();
  (void)guest.run(kernel, kKernels[kernel].first_count * 16, window);
  const double time = seconds() - start;
  const auto after = guest.cpu->statistics();
  const double millions = static_cast<double>(guest.retired) / 1e6;
  std::printf("    translated %.2f ns an instruction; ", time * 1e3 / millions);
  std::printf(
      "    per million instructions: %.0f dispatches, %.0f slow accesses, %.0f blocks, %.0f misses of ranges (%llu "
      "accesses scattered)\n",
      static_cast<double>(after.dispatches - before.dispatches) / millions,
      static_cast<double>(after.tlb_misses - before.tlb_misses) / millions,
      static_cast<double>(after.blocks - before.blocks) / millions,
      static_cast<double>(after.range_misses - before.range_misses) / millions,
      static_cast<unsigned long long>(after.scattered));
}

void print_table(std::span<const u8> image, const Options& options, Frames frames) {
  Native native(image);
  KernelGuest guest(image, frames);
  const auto peer = options.peer && frames == Frames::in_order ? Peer::create(image) : nullptr;
  double sum = 0, advantage = 0;
  int measured = 0, compared = 0;
  for (u64 kernel = 0; kernel < std::size(kKernels); ++kernel) {
    if (!options.kernels.empty() && std::ranges::find(options.kernels, kernel) == options.kernels.end()) continue;
    const Row row = measure(kernel, options, native, guest, peer.get());
    std::printf("  %-28s %10.1f %12.2f", kKernels[kernel].name, row.native * 1e3, row.slowdown);
    if (row.peer > 0)
      std::printf(" %12.1f %14.1f\n", row.peer, row.peer / row.slowdown);
    else
      std::printf(" %12s %14s\n", "-", "-");
    if (options.statistics) print_statistics(guest, kernel, options.window);
    std::fflush(stdout);
    sum += std::log(row.slowdown);
    ++measured;
    if (row.peer > 0) {
      advantage += std::log(row.peer / row.slowdown);
      ++compared;
    }
  }
  std::printf("  %-28s %10s %12.2f", "geometric mean", "", std::exp(sum / measured));
  if (compared > 0) std::printf(" %12s %14.1f", "", std::exp(advantage / compared));
  std::printf("\n");
}

int run(const Options& options) {
  const std::vector<u8> image = kernel_image();
  if (options.translation > 0) {
    print_translation(image, options.translation);
    return 0;
  }
  const auto title = [](const char* kernels) {
    std::printf("  %-28s %10s %12s %12s %14s\n", kernels, "native ms", "translated", "Unicorn", "Unicorn / own");
  };
  if (options.in_order) {
    title("kernel");
    print_table(image, options, Frames::in_order);
  }
  if (options.shuffled) {
    title("kernel, frames shuffled");
    print_table(image, options, Frames::shuffled);
  }
  if (options.micro) print_micro(image, options.repetitions / 2 + 1);
  return 0;
}

}  // namespace
}  // namespace vitrine::bench

int main(int argc, char** argv) {
  using namespace vitrine;
  if (!cpu::host_supports_translator()) {
    std::fprintf(stderr, "bench_cpu: the host lacks x86-64-v3\n");
    return 1;
  }
  bench::Options options;
  for (int n = 1; n < argc; ++n) {
    const std::string argument = argv[n];
    if (argument == "--quick") {
      options.repetitions = 3;
      options.target = 0.006;
    } else if (argument == "--kernel" && n + 1 < argc) {
      options.kernels.push_back(std::strtoull(argv[++n], nullptr, 0));
    } else if (argument == "--repetitions" && n + 1 < argc) {
      options.repetitions = std::atoi(argv[++n]);
    } else if (argument == "--window" && n + 1 < argc) {
      options.window = std::strtoull(argv[++n], nullptr, 0);
    } else if (argument == "--translation" && n + 1 < argc) {
      options.translation = std::atoi(argv[++n]);
    } else if (argument == "--no-peer") {
      options.peer = false;
    } else if (argument == "--statistics") {
      options.statistics = true;
    } else if (argument == "--in-order" || argument == "--shuffled") {
      options.in_order = argument == "--in-order";
      options.shuffled = !options.in_order;
    } else if (argument == "--no-micro") {
      options.micro = false;
    } else {
      std::fprintf(stderr,
                   "usage: bench_cpu [--quick] [--kernel N]... [--no-peer] [--no-micro] [--statistics] [--window N] "
                   "[--repetitions N] [--translation N]\n");
      return 2;
    }
  }
  return bench::run(options);
}
