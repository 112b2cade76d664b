// Two threads take two locks in opposite order and wait for each other for ever. Never ends by itself: kd explains why.
// `deadlock mutex` (or nothing): named mutexes; `deadlock section`: critical sections.
#include <windows.h>

#include <cstdio>
#include <cstring>

#include "name_thread.h"

namespace {

bool use_sections = false;
CRITICAL_SECTION sections[2];
HANDLE mutexes[2];
HANDLE both_hold_one[2];

void take(int lock) {
  if (use_sections) {
    EnterCriticalSection(&sections[lock]);
  } else {
    WaitForSingleObject(mutexes[lock], INFINITE);
  }
}

DWORD WINAPI worker(void* argument) {
  const int mine = *static_cast<int*>(argument);
  name_thread(mine == 0 ? L"left" : L"right");
  take(mine);
  SetEvent(both_hold_one[mine]);
  WaitForSingleObject(both_hold_one[1 - mine], INFINITE);
  take(1 - mine);
  std::puts("not reached");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  use_sections = argc > 1 && std::strcmp(argv[1], "section") == 0;
  name_thread(L"main");
  mutexes[0] = CreateMutexW(nullptr, FALSE, L"Left");
  mutexes[1] = CreateMutexW(nullptr, FALSE, L"Right");
  for (int i = 0; i < 2; ++i) {
    InitializeCriticalSection(&sections[i]);
    both_hold_one[i] = CreateEventW(nullptr, TRUE, FALSE, nullptr);
  }
  static int numbers[] = {0, 1};
  HANDLE threads[2];
  for (int i = 0; i < 2; ++i) threads[i] = CreateThread(nullptr, 0, worker, &numbers[i], 0, nullptr);
  WaitForMultipleObjects(2, threads, TRUE, INFINITE);
  return 0;
}
