// What the program is told about its machine that does not depend on the options of the run.
#include <windows.h>

#include <cstdio>

#include "report.h"

int main() {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  std::printf("page %lu granularity %lu architecture %u lowest %p highest %p\n", info.dwPageSize,
              info.dwAllocationGranularity, info.wProcessorArchitecture, info.lpMinimumApplicationAddress,
              info.lpMaximumApplicationAddress);
  std::printf("processors agree with the mask %d\n",
              __builtin_popcountll(info.dwActiveProcessorMask) == static_cast<int>(info.dwNumberOfProcessors));
  OSVERSIONINFOEXW version{};
  version.dwOSVersionInfoSize = sizeof version;
  using GetVersion = LONG(WINAPI*)(OSVERSIONINFOEXW*);
  auto get =
      reinterpret_cast<GetVersion>(reinterpret_cast<void*>(GetProcAddress(GetModuleHandleA("ntdll"), "RtlGetVersion")));
  get(&version);
  std::printf("version %lu.%lu.%lu platform %lu\n", version.dwMajorVersion, version.dwMinorVersion,
              version.dwBuildNumber, version.dwPlatformId);
  char folder[MAX_PATH];
  GetSystemDirectoryA(folder, sizeof folder);
  std::printf("system folder %s\n", folder);
  GetWindowsDirectoryA(folder, sizeof folder);
  std::printf("windows folder %s\n", folder);
  Report{"features: sse2 %d cmpxchg16b %d avx2 %d nx %d\n", IsProcessorFeaturePresent(PF_XMMI64_INSTRUCTIONS_AVAILABLE),
         IsProcessorFeaturePresent(PF_COMPARE_EXCHANGE128), __builtin_cpu_supports("avx2") != 0,
         IsProcessorFeaturePresent(PF_NX_ENABLED)};
  Report{"code pages %u %u\n", GetACP(), GetOEMCP()};
  MEMORYSTATUSEX memory{};
  memory.dwLength = sizeof memory;
  std::printf("memory status %d total over free %d\n", GlobalMemoryStatusEx(&memory),
              memory.ullTotalPhys >= memory.ullAvailPhys);
  return 0;
}
