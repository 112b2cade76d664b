// Rules of NT that Wine 8.0 does not keep; the expected output is written by hand from Microsoft's documentation and
// [WI5].
#include <windows.h>

#include <cstdio>

#include "report.h"

namespace {
HANDLE event, recorded;
int order[8], recorded_count;
LONG about_to_wait;

// Starting a thread takes as long as the processor is slow: the time that is slept is for the last step, into the wait.
void until_they_wait(LONG count, DWORD milliseconds) {
  while (InterlockedCompareExchange(&about_to_wait, 0, 0) < count) Sleep(1);
  Sleep(milliseconds);
}

DWORD WINAPI waiter(void* argument) {
  InterlockedIncrement(&about_to_wait);
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
    until_they_wait(i + 1, 20);  // before the next one is born
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
  about_to_wait = 0;
  const auto wait = [](void* e) -> DWORD {
    InterlockedIncrement(&about_to_wait);
    return 60 + WaitForSingleObject(e, 10000);
  };
  for (HANDLE& thread : threads) thread = CreateThread(nullptr, 0, wait, object, 0, nullptr);
  until_they_wait(4, 50);
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
