// Waitable timers (both kinds, periodic, cancelled), clocks that move and agree, timer queues.
#include <windows.h>

#include <cstdio>

#include "report.h"

int main() {
  HANDLE timer = CreateWaitableTimerA(nullptr, TRUE, nullptr);
  LARGE_INTEGER due;
  due.QuadPart = -300000;
  std::printf("set %d\n", SetWaitableTimer(timer, &due, 0, nullptr, nullptr, FALSE));
  std::printf("not yet %lu\n", WaitForSingleObject(timer, 0));
  std::printf("fires %lu\n", WaitForSingleObject(timer, 5000));
  std::printf("a notification timer stays signalled %lu\n", WaitForSingleObject(timer, 0));
  SetWaitableTimer(timer, &due, 0, nullptr, nullptr, FALSE);
  std::printf("setting it resets it %lu\n", WaitForSingleObject(timer, 0));
  Report{"cancel %d then %lu\n", CancelWaitableTimer(timer), WaitForSingleObject(timer, 100)};

  HANDLE periodic = CreateWaitableTimerA(nullptr, FALSE, nullptr);
  due.QuadPart = -1;
  SetWaitableTimer(periodic, &due, 20, nullptr, nullptr, FALSE);
  ULONGLONG before = GetTickCount64();
  int fired = 0;
  for (int i = 0; i < 6; ++i) fired += WaitForSingleObject(periodic, 5000) == WAIT_OBJECT_0;
  ULONGLONG passed = GetTickCount64() - before;
  std::printf("periodic %d at least 80 ms %d\n", fired, passed >= 80);
  std::printf("synchronisation timers reset themselves %lu\n", WaitForSingleObject(periodic, 0));
  CancelWaitableTimer(periodic);

  LARGE_INTEGER frequency, start, end;
  QueryPerformanceFrequency(&frequency);
  QueryPerformanceCounter(&start);
  FILETIME first, second;
  GetSystemTimeAsFileTime(&first);
  Sleep(50);
  GetSystemTimeAsFileTime(&second);
  QueryPerformanceCounter(&end);
  double milliseconds =
      1000.0 * static_cast<double>(end.QuadPart - start.QuadPart) / static_cast<double>(frequency.QuadPart);
  auto wall = static_cast<double>(((static_cast<ULONGLONG>(second.dwHighDateTime) << 32) | second.dwLowDateTime) -
                                  ((static_cast<ULONGLONG>(first.dwHighDateTime) << 32) | first.dwLowDateTime)) /
              10000;
  std::printf("counter moved %d wall clock moved %d they agree %d\n", milliseconds >= 45, wall >= 30,
              milliseconds - wall < 100 && wall - milliseconds < 100);
  volatile ULONGLONG spins = 0;
  ULONGLONG tick = GetTickCount64();  // read from shared memory: moves while user code runs
  while (GetTickCount64() == tick && spins < 4000000000ull) spins = spins + 1;
  std::printf("ticks move while spinning %d\n", GetTickCount64() > tick);
  SYSTEMTIME now;
  GetSystemTime(&now);
  std::printf("a sane year %d\n", now.wYear >= 2000 && now.wYear < 2200);
  return 0;
}
