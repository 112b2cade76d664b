#include "tools/host_memory.h"

#include <fstream>
#include <string>

namespace vitrine::tools {

u64 default_host_limit() {
  std::ifstream meminfo("/proc/meminfo");
  std::string key, unit;
  u64 kib = 0;
  while (meminfo >> key >> kib >> unit) {
    if (key == "MemAvailable:") return kib * 1024 / 4 * 3;
  }
  return 0;
}

}  // namespace vitrine::tools
