// Waits on one and many objects: any and all, indices, time-outs, manual and auto reset, semaphores, mutants, threads.
#include <windows.h>

#include <cstdio>

#include "report.h"

namespace {
void any_and_all() {
  HANDLE events[64];
  for (HANDLE& event : events) event = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  std::printf("none %lu\n", WaitForMultipleObjects(64, events, FALSE, 0));
  SetEvent(events[63]);
  SetEvent(events[5]);
  std::printf("any takes the lowest %lu\n", WaitForMultipleObjects(64, events, FALSE, INFINITE));
  std::printf("then the next %lu\n", WaitForMultipleObjects(64, events, FALSE, INFINITE));
  for (int i = 0; i < 63; ++i) SetEvent(events[i]);
  std::printf("all but one %lu\n", WaitForMultipleObjects(64, events, TRUE, 10));
  std::printf("it took none of them %lu\n", WaitForSingleObject(events[0], 0));
  SetEvent(events[0]);
  SetEvent(events[63]);
  std::printf("all %lu\n", WaitForMultipleObjects(64, events, TRUE, INFINITE));
  std::printf("and took all %lu\n", WaitForMultipleObjects(64, events, FALSE, 0));
  HANDLE many[65] = {};
  DWORD result = WaitForMultipleObjects(65, many, FALSE, 0);
  std::printf("65 objects %lx error %lu\n", result, GetLastError());
  for (HANDLE event : events) CloseHandle(event);
  result = WaitForSingleObject(reinterpret_cast<HANDLE>(0x7ffffff0), 0);
  std::printf("no such handle %lx error %lu\n", result, GetLastError());
}

void semaphores_and_mutexes() {
  HANDLE semaphore = CreateSemaphoreA(nullptr, 2, 3, nullptr);
  LONG previous = -1;
  BOOL released = ReleaseSemaphore(semaphore, 1, &previous);
  std::printf("release %d previous %ld\n", released, previous);
  BOOL over = ReleaseSemaphore(semaphore, 1, &previous);
  std::printf("over the limit %d error %lu\n", over, GetLastError());
  int taken = 0;
  while (WaitForSingleObject(semaphore, 0) == WAIT_OBJECT_0) ++taken;
  std::printf("taken %d\n", taken);

  HANDLE mutex = CreateMutexA(nullptr, TRUE, nullptr);
  std::printf("recursive %lu\n", WaitForSingleObject(mutex, 0));
  Report{"release %d %d", ReleaseMutex(mutex), ReleaseMutex(mutex)};
  BOOL third = ReleaseMutex(mutex);
  std::printf(" %d error %lu\n", third, GetLastError());
  HANDLE thread =
      CreateThread(nullptr, 0, [](void* m) -> DWORD { return WaitForSingleObject(m, INFINITE); }, mutex, 0, nullptr);
  WaitForSingleObject(thread, INFINITE);
  std::printf("abandoned %lx\n", WaitForSingleObject(mutex, INFINITE));
  std::printf("owned now %d\n", ReleaseMutex(mutex));
  DWORD code = 0;
  GetExitCodeThread(thread, &code);
  std::printf("thread %lu\n", code);
}

void manual_and_pulse() {
  HANDLE gate = CreateEventA(nullptr, TRUE, FALSE, nullptr);
  HANDLE threads[10];
  for (HANDLE& thread : threads)
    thread = CreateThread(
        nullptr, 0, [](void* g) -> DWORD { return 50 + WaitForSingleObject(g, INFINITE); }, gate, 0, nullptr);
  std::printf("all wait %lu\n", WaitForMultipleObjects(10, threads, FALSE, 20));
  SetEvent(gate);
  std::printf("all woken %lu\n", WaitForMultipleObjects(10, threads, TRUE, INFINITE));
  std::printf("still set %lu\n", WaitForSingleObject(gate, 0));
  ResetEvent(gate);
  std::printf("reset %lu\n", WaitForSingleObject(gate, 0));
}

void timeouts() {
  HANDLE never = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  ULONGLONG before = GetTickCount64();
  DWORD result = WaitForSingleObject(never, 200);
  ULONGLONG passed = GetTickCount64() - before;
  std::printf("timed out %lu at least 180 ms %d below 2 s %d\n", result, passed >= 180, passed < 2000);
  before = GetTickCount64();
  Sleep(100);
  passed = GetTickCount64() - before;
  std::printf("slept at least 80 ms %d\n", passed >= 80);
  std::printf("signal and wait %lu\n", SignalObjectAndWait(never, never, 1000, FALSE));
}
}  // namespace

int main() {
  any_and_all();
  semaphores_and_mutexes();
  manual_and_pulse();
  timeouts();
  return 0;
}
