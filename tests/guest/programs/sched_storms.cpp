// Storms: suspensions and APCs by the thousand, waits for 64 objects, and how many threads a completion port and a
// thread pool let work at once. [facts 7.3, 7.5, 7.7, 7.8; WI5 ch.3 and ch.7]
#include <algorithm>
#include <cstdio>
#include <vector>

#include "report.h"
#include "thread_counters.h"

namespace {

volatile LONG g_stop;
volatile LONGLONG g_spins;

DWORD WINAPI spin(void*) {
  while (g_stop == 0) {
    work_a_little();
    g_spins = g_spins + 1;
  }
  return 0;
}

// NT: counts add up, at most 127 deep (STATUS_SUSPEND_COUNT_EXCEEDED, in Win32 ERROR_SIGNAL_REFUSED); nothing runs
// before the last one is undone.
void suspensions() {
  const HANDLE thread = CreateThread(nullptr, 0, spin, nullptr, 0, nullptr);
  Sleep(20);
  DWORD wrong = 0;
  for (int i = 0; i < 2000; ++i) {
    wrong += SuspendThread(thread) != 0;
    wrong += SuspendThread(thread) != 1;
    wrong += ResumeThread(thread) != 2;
    wrong += ResumeThread(thread) != 1;
  }
  for (DWORD i = 0; i < 127; ++i) wrong += SuspendThread(thread) != i;
  const DWORD too_deep = SuspendThread(thread);
  Report{"8000 suspensions and resumptions: wrong counts %lu; 128 deep: %ld error %lu\n", wrong,
         static_cast<long>(too_deep), GetLastError()};
  Sleep(20);
  const LONGLONG held = g_spins;
  for (int i = 0; i < 126; ++i) ResumeThread(thread);
  Sleep(20);
  std::printf("one suspension left: stands still %d", g_spins == held);
  ResumeThread(thread);
  Sleep(20);
  std::printf(", none left: runs %d\n", g_spins != held);
  g_stop = 1;
  WaitForSingleObject(thread, INFINITE);
  g_stop = 0;
}

// Suspended in the middle of a wait, it does not lose what it waits for: the wait goes on, and ends, after the
// resumption.
void suspended_in_a_wait() {
  const HANDLE event = CreateEventW(nullptr, FALSE, FALSE, nullptr);
  const HANDLE thread = CreateThread(
      nullptr, 0, [](void* what) -> DWORD { return WaitForSingleObject(what, INFINITE); }, event, 0, nullptr);
  Sleep(20);
  SuspendThread(thread);
  SetEvent(event);
  const DWORD early = WaitForSingleObject(thread, 50);
  ResumeThread(thread);
  const DWORD late = WaitForSingleObject(thread, 1000);
  DWORD code = 99;
  GetExitCodeThread(thread, &code);
  std::printf("suspended in a wait: ends before the resumption %d, after it %d, wait result %lu\n",
              early == WAIT_OBJECT_0, late == WAIT_OBJECT_0, code);
}

std::vector<int> g_order;

void CALLBACK note(ULONG_PTR value) { g_order.push_back(static_cast<int>(value)); }

DWORD WINAPI take_apcs(void* go) {
  WaitForSingleObject(go, INFINITE);  // not alertable: none runs
  const std::size_t before = g_order.size();
  const DWORD result = SleepEx(INFINITE, TRUE);
  return result == WAIT_IO_COMPLETION && before == 0 ? 1 : 0;
}

// NT: user APCs run in the order of their queueing, all of them in one alertable wait.
void apc_order() {
  const HANDLE go = CreateEventW(nullptr, FALSE, FALSE, nullptr);
  const HANDLE thread = CreateThread(nullptr, 0, take_apcs, go, 0, nullptr);
  Sleep(20);
  int refused = 0;
  for (int i = 0; i < 1000; ++i) refused += QueueUserAPC(note, thread, i) == 0;
  SetEvent(go);
  WaitForSingleObject(thread, INFINITE);
  DWORD once = 0;
  GetExitCodeThread(thread, &once);
  std::printf(
      "1000 APCs: refused %d, ran %zu in order %d, all in the first alertable wait %lu; after its end refused %d\n",
      refused, g_order.size(), std::is_sorted(g_order.begin(), g_order.end()), once,
      QueueUserAPC(note, thread, 0) == 0);
}

HANDLE g_events[64];

DWORD WINAPI wait_for_all(void*) { return WaitForMultipleObjects(64, g_events, TRUE, INFINITE); }
LONG g_about_to_wait;
DWORD WINAPI wait_for_any(void*) {
  InterlockedIncrement(&g_about_to_wait);
  return WaitForMultipleObjects(64, g_events, FALSE, INFINITE);
}

// NT: at most 64; any: the first signalled in the order of the array; all: none is taken before all are there.
void sixty_four_objects() {
  HANDLE more[65];
  for (HANDLE& event : g_events) event = CreateEventW(nullptr, FALSE, FALSE, nullptr);
  std::copy_n(g_events, 64, more);
  more[64] = CreateEventW(nullptr, FALSE, FALSE, nullptr);
  const DWORD too_many = WaitForMultipleObjects(65, more, FALSE, 0);
  Report{"65 objects: %ld error %lu\n", static_cast<long>(too_many), GetLastError()};
  for (const int index : {63, 40, 17}) SetEvent(g_events[index]);
  std::printf("any of 64:");
  for (int i = 0; i < 4; ++i) std::printf(" %lu", WaitForMultipleObjects(64, g_events, FALSE, 0));
  const HANDLE all = CreateThread(nullptr, 0, wait_for_all, nullptr, 0, nullptr);
  Sleep(20);
  for (int i = 0; i < 63; ++i) SetEvent(g_events[i]);
  const DWORD early = WaitForSingleObject(all, 50);
  // The 63 are still there for others: one takes the last of them away, and all waits for it again.
  const DWORD taken = WaitForSingleObject(g_events[62], 0);
  SetEvent(g_events[63]);
  const DWORD still = WaitForSingleObject(all, 50);
  SetEvent(g_events[62]);
  WaitForSingleObject(all, INFINITE);
  int left = 0;
  for (const HANDLE event : g_events) left += WaitForSingleObject(event, 0) == WAIT_OBJECT_0;
  std::printf("\nall of 64: with 63 %d, one taken by another %d, then with 63 %d; at the end left %d\n",
              early == WAIT_OBJECT_0, taken == WAIT_OBJECT_0, still == WAIT_OBJECT_0, left);
  // Threads that wait for any of the same 64 are served in the order of their arrival.
  HANDLE waiters[16];
  for (LONG i = 0; i < 16; ++i) {
    waiters[i] = CreateThread(nullptr, 0, wait_for_any, nullptr, 0, nullptr);
    // Starting it takes as long as the processor is slow; the time slept is for the last step, into the wait.
    while (InterlockedCompareExchange(&g_about_to_wait, 0, 0) <= i) Sleep(1);
    Sleep(20);
  }
  bool in_order = true;
  for (int i = 0; i < 16; ++i) {
    SetEvent(g_events[i * 4]);
    in_order &= WaitForSingleObject(waiters[i], 1000) == WAIT_OBJECT_0;
    DWORD index = 99;
    GetExitCodeThread(waiters[i], &index);
    in_order &= index == static_cast<DWORD>(i * 4);
  }
  std::printf("16 waiters of 64 objects served in order %d\n", in_order);
}

HANDLE g_port;
volatile LONG g_active, g_most, g_served, g_blocks;

void serve() {
  const LONG active = InterlockedIncrement(&g_active);
  for (LONG most = g_most; active > most && InterlockedCompareExchange(&g_most, active, most) != most; most = g_most) {
  }
  work_for_ms(g_blocks != 0 ? 2 : 20);  // longer than what the others need to come in
  if (g_blocks != 0) Sleep(30);
  InterlockedDecrement(&g_active);
  InterlockedIncrement(&g_served);
}

DWORD WINAPI port_worker(void*) {
  for (;;) {
    DWORD bytes = 0;
    ULONG_PTR key = 0;
    OVERLAPPED* overlapped = nullptr;
    GetQueuedCompletionStatus(g_port, &bytes, &key, &overlapped, INFINITE);
    if (key == 0) return 0;
    serve();
  }
}

// NT: a port lets as many threads work as its concurrency says; one that blocks elsewhere lets another in, so that more
// may be about when it comes back: with blocks, "never more than that at once" is therefore 0.
void port_concurrency(DWORD concurrency, LONG blocks) {
  g_port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, concurrency);
  g_most = 0;
  g_served = 0;
  g_blocks = blocks;
  HANDLE threads[6];
  for (HANDLE& thread : threads) thread = CreateThread(nullptr, 0, port_worker, nullptr, 0, nullptr);
  Sleep(20);
  for (int i = 0; i < 18; ++i) PostQueuedCompletionStatus(g_port, 0, 1, nullptr);
  for (int i = 0; i < 6; ++i) PostQueuedCompletionStatus(g_port, 0, 0, nullptr);
  WaitForMultipleObjects(6, threads, TRUE, INFINITE);
  std::printf("port of concurrency %lu, %s: served %ld, never more than that at once %d\n", concurrency,
              blocks != 0 ? "blocking" : "working", g_served, g_most <= static_cast<LONG>(concurrency));
  CloseHandle(g_port);
}

// A pool with a maximum of two threads never runs three callbacks at once, and runs all.
void pool_concurrency() {
  g_most = 0;
  g_served = 0;
  g_blocks = 1;
  const PTP_POOL pool = CreateThreadpool(nullptr);
  SetThreadpoolThreadMaximum(pool, 2);
  SetThreadpoolThreadMinimum(pool, 1);
  TP_CALLBACK_ENVIRON environment;
  InitializeThreadpoolEnvironment(&environment);
  SetThreadpoolCallbackPool(&environment, pool);
  const PTP_WORK work =
      CreateThreadpoolWork([](PTP_CALLBACK_INSTANCE, void*, PTP_WORK) { serve(); }, nullptr, &environment);
  for (int i = 0; i < 12; ++i) SubmitThreadpoolWork(work);
  WaitForThreadpoolWorkCallbacks(work, FALSE);
  std::printf("pool of at most 2: served %ld, at once %ld\n", g_served, g_most);
  CloseThreadpoolWork(work);
  CloseThreadpool(pool);
}

}  // namespace

int main() {
  SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_HIGHEST);
  suspensions();
  suspended_in_a_wait();
  apc_order();
  sixty_four_objects();
  port_concurrency(1, 0);
  port_concurrency(2, 0);
  port_concurrency(1, 1);
  pool_concurrency();
  return 0;
}
