// Rules of NT that Wine 8.0 does not keep; the expected output is written by hand from Microsoft's documentation and
// [WI5].
#include <windows.h>

#include <cstdio>

#include "report.h"

namespace {
HANDLE event, recorded;
int order[8], recorded_count;

DWORD WINAPI waiter(void* argument) {
  WaitForSingleObject(event, INFINITE);
  order[recorded_count++] = static_cast<int>(reinterpret_cast<INT_PTR>(argument));
  SetEvent(recorded);
  return 0;
}

void first_come_first_served() {
  event = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  recorded = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  HANDLE threads[8];
  for (int i = 0; i < 8; ++i) {
    threads[i] = CreateThread(nullptr, 0, waiter, reinterpret_cast<void*>(static_cast<INT_PTR>(i)), 0, nullptr);
    Sleep(20);  // it waits before the next one is born
  }
  for (int i = 0; i < 8; ++i) {
    SetEvent(event);
    WaitForSingleObject(recorded, INFINITE);
  }
  WaitForMultipleObjects(8, threads, TRUE, INFINITE);
  std::printf("woken in order of waiting:");
  for (int number : order) std::printf(" %d", number);
  std::printf("\n");
}

void same_object_twice() {
  HANDLE object = CreateEventA(nullptr, TRUE, TRUE, nullptr);
  HANDLE twice[2] = {object, object};
  Report{"wait for all, same object twice: %lx error %lu\n", WaitForMultipleObjects(2, twice, TRUE, 0), GetLastError()};
  Report{"wait for any, same object twice: %lx\n", WaitForMultipleObjects(2, twice, FALSE, 0)};
}

void pulse() {
  HANDLE object = CreateEventA(nullptr, TRUE, FALSE, nullptr);
  HANDLE threads[4];
  for (HANDLE& thread : threads)
    thread = CreateThread(
        nullptr, 0, [](void* e) -> DWORD { return 60 + WaitForSingleObject(e, 10000); }, object, 0, nullptr);
  Sleep(50);
  PulseEvent(object);
  Report{"a pulse releases all who wait %lx", WaitForMultipleObjects(4, threads, TRUE, 5000)};
  Report{" and leaves the event reset %lx\n", WaitForSingleObject(object, 0)};
}
}  // namespace

int main() {
  first_come_first_served();
  same_object_twice();
  pulse();
  return 0;
}
