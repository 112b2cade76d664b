// User APCs: they run in alertable waits only, in order, before the wait returns; timers deliver them too.
#include <windows.h>

#include <cstdio>

namespace {
int order[16];
int ran;
void CALLBACK note(ULONG_PTR value) { order[ran++] = static_cast<int>(value); }
void CALLBACK nested(ULONG_PTR value) {
  order[ran++] = static_cast<int>(value);
  if (value < 103) QueueUserAPC(nested, GetCurrentThread(), value + 1);
}
void CALLBACK timer_note(void* argument, DWORD, DWORD) {
  order[ran++] = static_cast<int>(reinterpret_cast<INT_PTR>(argument));
}

HANDLE ready;
DWORD WINAPI waiter(void* event) {
  SetEvent(ready);
  DWORD result = WaitForSingleObjectEx(event, INFINITE, TRUE);
  return 1000 + result;
}
}  // namespace

int main() {
  for (int i = 1; i <= 3; ++i) QueueUserAPC(note, GetCurrentThread(), i);
  Sleep(1);
  std::printf("not alertable: ran %d\n", ran);
  std::printf("alertable sleep %lu", SleepEx(INFINITE, TRUE));
  std::printf(": ran %d order %d %d %d\n", ran, order[0], order[1], order[2]);
  std::printf("nothing queued %lu\n", SleepEx(1, TRUE));
  ran = 0;
  QueueUserAPC(nested, GetCurrentThread(), 100);
  DWORD result = SleepEx(0, TRUE);
  std::printf("nested %lu ran %d last %d\n", result, ran, order[ran - 1]);

  HANDLE event = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  ready = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  HANDLE thread = CreateThread(nullptr, 0, waiter, event, 0, nullptr);
  WaitForSingleObject(ready, INFINITE);
  ran = 0;
  QueueUserAPC(note, thread, 7);
  WaitForSingleObject(thread, INFINITE);
  DWORD code = 0;
  GetExitCodeThread(thread, &code);
  std::printf("another thread: ran %d code %lu\n", ran, code - 1000);
  std::printf("queue to a dead thread %lu\n", QueueUserAPC(note, thread, 8));

  HANDLE timer = CreateWaitableTimerA(nullptr, FALSE, nullptr);
  LARGE_INTEGER due;
  due.QuadPart = -100000;  // 10 ms
  ran = 0;
  SetWaitableTimer(timer, &due, 0, timer_note, reinterpret_cast<void*>(5), FALSE);
  std::printf("timer %lu", SleepEx(5000, TRUE));
  std::printf(" ran %d value %d\n", ran, order[0]);
  return 0;
}
