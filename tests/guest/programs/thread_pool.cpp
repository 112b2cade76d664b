// The Win32 thread pool: work, timers, waits; all user-mode code above threads, timers and waits.
#include <windows.h>

#include <cstdio>

namespace {
LONG done, timer_fired, wait_fired;
void CALLBACK work(PTP_CALLBACK_INSTANCE, void*, PTP_WORK) { InterlockedIncrement(&done); }
void CALLBACK simple(PTP_CALLBACK_INSTANCE, void* event) { SetEvent(event); }
void CALLBACK on_timer(PTP_CALLBACK_INSTANCE, void* event, PTP_TIMER) {
  if (InterlockedIncrement(&timer_fired) == 3) SetEvent(event);
}
void CALLBACK on_wait(PTP_CALLBACK_INSTANCE, void* event, PTP_WAIT, TP_WAIT_RESULT result) {
  wait_fired = 100 + static_cast<LONG>(result);
  SetEvent(event);
}
}  // namespace

int main() {
  HANDLE event = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  std::printf("submit %d\n", TrySubmitThreadpoolCallback(simple, event, nullptr));
  std::printf("ran %lu\n", WaitForSingleObject(event, 10000));
  PTP_WORK item = CreateThreadpoolWork(work, nullptr, nullptr);
  for (int i = 0; i < 200; ++i) SubmitThreadpoolWork(item);
  WaitForThreadpoolWorkCallbacks(item, FALSE);
  CloseThreadpoolWork(item);
  std::printf("work done %ld\n", done);
  PTP_TIMER timer = CreateThreadpoolTimer(on_timer, event, nullptr);
  ULARGE_INTEGER due;
  due.QuadPart = static_cast<ULONGLONG>(-50000);
  FILETIME time{due.LowPart, due.HighPart};
  SetThreadpoolTimer(timer, &time, 10, 0);
  std::printf("timer %lu\n", WaitForSingleObject(event, 10000));
  SetThreadpoolTimer(timer, nullptr, 0, 0);
  WaitForThreadpoolTimerCallbacks(timer, TRUE);
  CloseThreadpoolTimer(timer);
  HANDLE object = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  PTP_WAIT wait = CreateThreadpoolWait(on_wait, event, nullptr);
  SetThreadpoolWait(wait, object, nullptr);
  SetEvent(object);
  std::printf("wait %lu", WaitForSingleObject(event, 10000));
  WaitForThreadpoolWaitCallbacks(wait, FALSE);
  std::printf(" result %ld\n", wait_fired);
  CloseThreadpoolWait(wait);
  return 0;
}
