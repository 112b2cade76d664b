// Boosts as a program sees them in its threads' priorities, their decay, and the counters of table 5-12 [WI5 ch.5
// "Priority Boosts"; facts 5.6, 6.5, 6.6]. On one processor; the process is no foreground process.
#include <cstdio>
#include <cstring>

#include "report.h"
#include "thread_counters.h"

namespace {

struct Woken {
  DWORD(WINAPI* wait)(HANDLE object);
  HANDLE object;
  bool boost_disabled;
  LONG at_once, later;  // priority after the wake-up, and after two quanta
};

DWORD WINAPI wait_for_object(HANDLE object) { return WaitForSingleObject(object, INFINITE); }
DWORD WINAPI sleep_a_tick(HANDLE) { return SleepEx(20, FALSE); }
DWORD WINAPI sleep_alertable(HANDLE) { return SleepEx(INFINITE, TRUE); }
DWORD WINAPI read_a_byte(HANDLE pipe) {
  char byte;
  DWORD read = 0;
  return ReadFile(pipe, &byte, 1, &read, nullptr) ? read : 0;
}

DWORD WINAPI woken(void* argument) {
  auto& self = *static_cast<Woken*>(argument);
  if (self.boost_disabled) SetThreadPriorityBoost(GetCurrentThread(), TRUE);
  self.wait(self.object);
  self.at_once = own_counters().priority;
  work_for_ms(6 * tick_ms());
  self.later = own_counters().priority;
  return 0;
}

template <typename Wake>
void show(const char* what, DWORD(WINAPI* wait)(HANDLE), HANDLE object, Wake wake, bool boost_disabled = false,
          int relative = THREAD_PRIORITY_NORMAL) {
  Woken self{wait, object, boost_disabled, 0, 0};
  const HANDLE thread = CreateThread(nullptr, 0, woken, &self, CREATE_SUSPENDED, nullptr);
  SetThreadPriority(thread, relative);
  ResumeThread(thread);
  Sleep(40);  // it waits now
  wake(thread);
  WaitForSingleObject(thread, INFINITE);
  std::printf("%-32s woken at %ld, later at %ld\n", what, self.at_once, self.later);
  CloseHandle(thread);
}

// NT: the base, 8 here, plus the increment of what ended the wait; each quantum end takes one off.
// Expected, by hand: event, semaphore and mutant increments are 1 (9), a pipe's is 2 (10), an alert's 2 (10) [WDK,
// facts 6.5]; a user APC and a timer give none (8). Six ticks are at least two quanta of two to three ticks: what is
// above the base is gone. A thread without boosts stays at 8; below normal is 7 + 1, later 7; 15 is the end of the
// range, nothing is added to it.
void wake_ups() {
  const HANDLE event = CreateEventW(nullptr, FALSE, FALSE, nullptr);
  const HANDLE semaphore = CreateSemaphoreW(nullptr, 0, 1, nullptr);
  const HANDLE mutex = CreateMutexW(nullptr, TRUE, nullptr);
  HANDLE reader = nullptr, writer = nullptr;
  CreatePipe(&reader, &writer, nullptr, 0);
  const auto set = [&](HANDLE) { SetEvent(event); };
  show("event:", wait_for_object, event, set);
  show("semaphore:", wait_for_object, semaphore, [&](HANDLE) { ReleaseSemaphore(semaphore, 1, nullptr); });
  show("mutex:", wait_for_object, mutex, [&](HANDLE) { ReleaseMutex(mutex); });
  show("pipe:", read_a_byte, reader, [&](HANDLE) {
    DWORD written = 0;
    WriteFile(writer, "x", 1, &written, nullptr);
  });
  const auto alert = reinterpret_cast<LONG(WINAPI*)(HANDLE)>(
      reinterpret_cast<void*>(GetProcAddress(GetModuleHandleW(L"ntdll"), "NtAlertThread")));
  show(
      "alert:",
      [](HANDLE) -> DWORD {
        // kernel32's sleep begins anew after an alert: NtDelayExecution does not.
        const auto delay = reinterpret_cast<LONG(WINAPI*)(BOOLEAN, const LARGE_INTEGER*)>(
            reinterpret_cast<void*>(GetProcAddress(GetModuleHandleW(L"ntdll"), "NtDelayExecution")));
        LARGE_INTEGER long_time;
        long_time.QuadPart = -10'000'000'000;
        return static_cast<DWORD>(delay(TRUE, &long_time));
      },
      nullptr, [&](HANDLE thread) { alert(thread); });
  show("user APC:", sleep_alertable, nullptr, [](HANDLE thread) { QueueUserAPC([](ULONG_PTR) {}, thread, 0); });
  show("time:", sleep_a_tick, nullptr, [](HANDLE) {});
  show("event, boosts turned off:", wait_for_object, event, set, true);
  show("event, below normal:", wait_for_object, event, set, false, THREAD_PRIORITY_BELOW_NORMAL);
  show("event, time critical:", wait_for_object, event, set, false, THREAD_PRIORITY_TIME_CRITICAL);
}

volatile LONG g_stop, g_rounds, g_starved_at;

DWORD WINAPI keep_busy(void*) {
  while (g_stop == 0) work_a_little();
  return 0;
}

DWORD WINAPI starve(void*) {
  g_starved_at = own_counters().priority;
  while (g_stop == 0) {
    work_a_little();
    if (own_counters().priority == 6) break;
  }
  g_rounds = own_counters().priority;
  return 0;
}

// NT: ready for 300 ticks without a turn, the balance set manager's scan (one processor a second) lifts it to 15 for a
// short quantum; its end brings it back to its base at once [facts 6.6]. Expected: lowest of the normal class is 8 - 2
// = 6, behind a spinner at 8 it does not run before the scan; the decrement of 15 - 6 falls off whole at the quantum's
// end: 6, not 14.
void starvation() {
  const HANDLE busy = CreateThread(nullptr, 0, keep_busy, nullptr, 0, nullptr);
  const HANDLE starved = CreateThread(nullptr, 0, starve, nullptr, CREATE_SUSPENDED, nullptr);
  SetThreadPriority(starved, THREAD_PRIORITY_LOWEST);
  const double begin = clock_ms();
  ResumeThread(starved);
  while (g_starved_at == 0 && clock_ms() - begin < 8'000) Sleep(100);
  const double ticks = (clock_ms() - begin) / tick_ms();
  Sleep(200);
  std::printf("starved: first ran at priority %ld, ", g_starved_at);
  // A scan a second looks at one processor, the next one in turn; a tenth of a second for the loop above.
  SYSTEM_INFO system;
  GetSystemInfo(&system);
  const double latest = 300 + (system.dwNumberOfProcessors * 1000 + 200) / tick_ms();
  if (ticks > 300 && ticks < latest)
    std::printf("after 300 ticks, at one of the processor's next scans; ");
  else
    std::printf("after %.0f ticks; ", ticks);
  g_stop = 1;
  WaitForSingleObject(starved, INFINITE);
  WaitForSingleObject(busy, INFINITE);
  std::printf("then back at %ld\n", g_rounds);
}

HANDLE g_ping, g_pong;
volatile LONG g_spin;

DWORD WINAPI answer(void*) {
  for (int i = 0; i < 100; ++i) {
    WaitForSingleObject(g_ping, INFINITE);
    SetEvent(g_pong);
  }
  WaitForSingleObject(g_ping, INFINITE);
  while (g_spin != 0) work_a_little();
  return 0;
}

// QueryThreadCycleTime is empty in Wine 8.0's kernelbase; this is the service behind it.
ULONG64 cycles_of(HANDLE thread) {
  static const auto query = reinterpret_cast<decltype(&NtQueryInformationThread)>(
      reinterpret_cast<void*>(GetProcAddress(GetModuleHandleW(L"ntdll"), "NtQueryInformationThread")));
  ULONG64 cycles[2]{};  // used up, now
  query(thread, static_cast<THREADINFOCLASS>(23), cycles, sizeof cycles, nullptr);
  return cycles[0];
}

// Table 5-12, for a thread that waits, runs, is ready, sleeps and is suspended. Expected: each of 100 wake-ups is one
// switch to the thread, and its last wait may take one more; a waiting thread has state 5 and reason 6 (UserRequest), a
// suspended one reason 5, a ready one state 1, the one that asks state 2 [facts 5.1]. Between the wake-up and the
// second sample lie sleeps of 20 and 200 ms, which end at ticks, and 20 ms of work: about 250 ms, of which the two
// samples enclose the last 220; in 200 it runs alone: 80 %, and a tick (6 %) more or less at each end.
void counters() {
  g_ping = CreateEventW(nullptr, FALSE, FALSE, nullptr);
  g_pong = CreateEventW(nullptr, FALSE, FALSE, nullptr);
  DWORD id = 0;
  const HANDLE thread = CreateThread(nullptr, 0, answer, nullptr, 0, &id);
  Sleep(20);
  ThreadCounters before{}, after{};
  ProcessCounters process;
  read_counters(id, before, &process);
  std::printf("waiting: state %lu reason %lu, base %ld of process %ld, ids right %d\n", before.state,
              before.wait_reason, before.base_priority, process.base_priority,
              before.process_id == GetCurrentProcessId() && before.thread_id == id);
  for (int i = 0; i < 100; ++i) {
    SetEvent(g_ping);
    WaitForSingleObject(g_pong, INFINITE);
  }
  Sleep(1);  // let it wait again
  after = counters_of(id);
  std::printf("100 wake-ups: context switches %d\n", after.context_switches - before.context_switches >= 100 &&
                                                         after.context_switches - before.context_switches <= 104);
  g_spin = 1;
  SetEvent(g_ping);
  const double started = clock_ms();
  const ULONG64 cycles_before = cycles_of(thread);
  Sleep(20);
  read_counters(id, before);
  work_for_ms(20);
  const ThreadCounters ready = counters_of(id);
  std::printf("ready: state %lu, we run: state %lu\n", ready.state, own_counters().state);
  Sleep(200);
  after = counters_of(id);
  const ULONG64 cycles_after = cycles_of(thread);
  const double elapsed = clock_ms() - started;
  const double user_ms = (after.user_time - before.user_time) / 10'000.0,
               kernel_ms = (after.kernel_time - before.kernel_time) / 10'000.0;
  std::printf("%% user time between 60 and 100 %d, %% privileged time at most 5 %d, sum at most 100 %d\n",
              user_ms / elapsed > 0.6 && user_ms <= elapsed, kernel_ms / elapsed < 0.05,
              user_ms + kernel_ms <= elapsed);
  FILETIME created, ended, kernel, user;
  GetThreadTimes(thread, &created, &ended, &kernel, &user);
  const LONGLONG user_now = static_cast<LONGLONG>(user.dwHighDateTime) << 32 | user.dwLowDateTime;
  const LONGLONG created_at = static_cast<LONGLONG>(created.dwHighDateTime) << 32 | created.dwLowDateTime;
  std::printf("GetThreadTimes agrees %d, creation time %d, cycles of at least the user time %d\n",
              user_now >= after.user_time && user_now <= after.user_time + 200'000, created_at == after.create_time,
              (cycles_after - cycles_before) / 3e6 >= user_ms * 0.9);
  SuspendThread(thread);
  after = counters_of(id);
  Sleep(30);
  std::printf("suspended: state %lu reason %lu, runs no more %d\n", counters_of(id).state, counters_of(id).wait_reason,
              counters_of(id).user_time - after.user_time == 0);
  ResumeThread(thread);
  g_spin = 0;
  WaitForSingleObject(thread, INFINITE);
  std::printf("ended: listed no more %d\n", !read_counters(id, after));
}

}  // namespace

int main(int argc, char** argv) {
  SetProcessAffinityMask(GetCurrentProcess(), 1);
  SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_HIGHEST);
  if (argc > 1 && std::strcmp(argv[1], "starvation") == 0) {
    starvation();
    return 0;
  }
  wake_ups();
  counters();
  return 0;
}
