// Priorities and affinity as the program sees them.
#include <windows.h>

#include <cstdio>

#include "report.h"

int main() {
  HANDLE self = GetCurrentThread();
  Report{"class %lx priority %d\n", GetPriorityClass(GetCurrentProcess()), GetThreadPriority(self)};
  int levels[] = {THREAD_PRIORITY_IDLE,         THREAD_PRIORITY_LOWEST,       THREAD_PRIORITY_BELOW_NORMAL,
                  THREAD_PRIORITY_NORMAL,       THREAD_PRIORITY_ABOVE_NORMAL, THREAD_PRIORITY_HIGHEST,
                  THREAD_PRIORITY_TIME_CRITICAL};
  for (int level : levels) {
    BOOL set = SetThreadPriority(self, level);
    std::printf("set %d: %d now %d\n", level, set, GetThreadPriority(self));
  }
  SetThreadPriority(self, THREAD_PRIORITY_NORMAL);
  Report{"class %d now %lx\n", SetPriorityClass(GetCurrentProcess(), BELOW_NORMAL_PRIORITY_CLASS),
         GetPriorityClass(GetCurrentProcess())};
  DWORD_PTR process_mask = 0, system_mask = 0;
  Report{"affinity %d", GetProcessAffinityMask(GetCurrentProcess(), &process_mask, &system_mask)};
  std::printf(" equal %d processor 0 %d\n", process_mask == system_mask, static_cast<int>(process_mask & 1));
  DWORD_PTR old = SetThreadAffinityMask(self, 1);
  std::printf("old mask is the process's %d now on %lu\n", old == process_mask, GetCurrentProcessorNumber());
  DWORD_PTR none = SetThreadAffinityMask(self, 0);
  std::printf("empty mask %llu error %lu\n", static_cast<unsigned long long>(none), GetLastError());
  BOOL enabled = FALSE;
  std::printf("boost query %d", GetThreadPriorityBoost(self, &enabled));
  std::printf(" disabled %d\n", enabled);
  return 0;
}
