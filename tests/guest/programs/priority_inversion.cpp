// Priority inversion on one processor: a thread of low priority holds a lock that one of high priority needs, and one
// in between keeps it from running. With `section` the lock is a critical section.
#include <windows.h>

#include <cstdio>
#include <cstring>

#include "name_thread.h"

namespace {

constexpr ULONGLONG kMiddleMilliseconds = 200;

bool use_section = false;
CRITICAL_SECTION section;
HANDLE mutex;
HANDLE locked, wanted;
volatile bool middle_done = false;

void take() {
  if (use_section) {
    EnterCriticalSection(&section);
  } else {
    WaitForSingleObject(mutex, INFINITE);
  }
}
void give() {
  if (use_section) {
    LeaveCriticalSection(&section);
  } else {
    ReleaseMutex(mutex);
  }
}

DWORD WINAPI low(void*) {
  name_thread(L"low");
  take();
  SetEvent(locked);
  // Work under the lock, until somebody wants it and a while longer.
  WaitForSingleObject(wanted, INFINITE);
  for (int i = 0; i < 1'000'000; ++i) asm volatile("");
  give();
  return 0;
}

DWORD WINAPI middle(void*) {
  name_thread(L"middle");
  WaitForSingleObject(wanted, INFINITE);
  const ULONGLONG end = GetTickCount64() + kMiddleMilliseconds;
  while (GetTickCount64() < end) {
  }
  middle_done = true;
  return 0;
}

DWORD WINAPI high(void*) {
  name_thread(L"high");
  WaitForSingleObject(locked, INFINITE);
  SetEvent(wanted);
  take();
  std::printf("high had to wait until middle was done: %s\n", middle_done ? "yes" : "no");
  give();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  use_section = argc > 1 && std::strcmp(argv[1], "section") == 0;
  name_thread(L"main");
  InitializeCriticalSection(&section);
  mutex = CreateMutexW(nullptr, FALSE, L"Lock");
  locked = CreateEventW(nullptr, TRUE, FALSE, nullptr);
  wanted = CreateEventW(nullptr, TRUE, FALSE, nullptr);
  struct {
    LPTHREAD_START_ROUTINE routine;
    int priority;
  } const roles[] = {{low, THREAD_PRIORITY_LOWEST}, {middle, THREAD_PRIORITY_NORMAL}, {high, THREAD_PRIORITY_HIGHEST}};
  HANDLE threads[3];
  for (int i = 0; i < 3; ++i) {
    threads[i] = CreateThread(nullptr, 0, roles[i].routine, nullptr, CREATE_SUSPENDED, nullptr);
    SetThreadPriority(threads[i], roles[i].priority);
    SetThreadPriorityBoost(threads[i], TRUE);  // so that priorities are what they say
    ResumeThread(threads[i]);
  }
  WaitForMultipleObjects(3, threads, TRUE, INFINITE);
  return 0;
}
