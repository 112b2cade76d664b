#include "vitrine/host_watch.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <limits>
#include <string>

#include "sim/host_clock.h"

namespace vitrine {

HostWatch::HostWatch(double timeout_seconds, u64 host_bytes)
    : start_ns_(sim::host_nanoseconds()), timeout_ns_(static_cast<u64>(timeout_seconds * 1e9)), host_bytes_(host_bytes) {}

u64 HostWatch::elapsed_ns() const { return sim::host_nanoseconds() - start_ns_; }

std::optional<RunEnd> HostWatch::check(bool idle) {
  // The first window looks too: a limit below what the tool itself needs is told before anything runs.
  if (!idle && windows_++ % kWindowsBetweenLooks != 0) return std::nullopt;
  const u64 elapsed = elapsed_ns();
  if (timeout_ns_ != 0 && elapsed >= timeout_ns_) return RunEnd::timed_out;
  if (host_bytes_ != 0 && elapsed >= next_memory_look_ns_) {
    next_memory_look_ns_ = elapsed + kNanosecondsBetweenMemoryLooks;
    if (host_resident_bytes() > host_bytes_) return RunEnd::host_limit;
  }
  return std::nullopt;
}

u64 host_resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  unsigned long size = 0, resident = 0;
  const int fields = std::fscanf(file, "%lu %lu", &size, &resident);
  std::fclose(file);
  return fields == 2 ? u64{resident} * static_cast<u64>(sysconf(_SC_PAGESIZE)) : 0;
}

// VmHWM, not getrusage: the latter keeps the peak of whoever started this program across exec.
u64 host_peak_bytes() {
  std::ifstream status("/proc/self/status");
  std::string key;
  while (status >> key) {
    u64 kib = 0;
    if (key == "VmHWM:" && status >> kib) return kib * 1024;
    status.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

}  // namespace vitrine
