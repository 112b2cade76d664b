// The scheduler as a program can measure it: slices, priorities, starvation, boosts, context switches, suspension, the
// concurrency of a port. Wine leaves all of it to the host; the expected output follows from [WI5 ch.5], a tick
// of 15.625 ms and a client's short, variable quanta.
#include <windows.h>
#include <winternl.h>

#include <cstdio>
#include <initializer_list>

namespace {

constexpr double kTickMs = 15.625;

template <typename Function>
Function* in_ntdll(const char* name) {
  return reinterpret_cast<Function*>(GetProcAddress(GetModuleHandleW(L"ntdll"), name));
}
const auto g_query_thread = in_ntdll<decltype(NtQueryInformationThread)>("NtQueryInformationThread");
const auto g_query_system = in_ntdll<decltype(NtQuerySystemInformation)>("NtQuerySystemInformation");

struct BasicInformation {
  NTSTATUS exit_status;
  void* teb;
  HANDLE process, thread;
  ULONG_PTR affinity;
  LONG priority, base_priority;
};

LONG priority_now(HANDLE thread) {
  BasicInformation information{};
  g_query_thread(thread, static_cast<THREADINFOCLASS>(0), &information, sizeof information, nullptr);
  return information.priority;
}

double now_ms() {
  LARGE_INTEGER count, frequency;
  QueryPerformanceCounter(&count);
  QueryPerformanceFrequency(&frequency);
  return 1000.0 * static_cast<double>(count.QuadPart) / static_cast<double>(frequency.QuadPart);
}

volatile LONG g_stop, g_last, g_turns;
volatile LONGLONG g_spins[4];
double g_turn_ms[256];

// Notes when the processor came to it from the other one.
DWORD WINAPI spinner(void* argument) {
  const LONG me = static_cast<LONG>(reinterpret_cast<INT_PTR>(argument));
  while (g_stop == 0) {
    g_spins[me] = g_spins[me] + 1;
    if (g_last != me) {
      g_last = me;
      if (g_turns < 256) g_turn_ms[g_turns] = now_ms();
      g_turns = g_turns + 1;
    }
  }
  return 0;
}

HANDLE start(LPTHREAD_START_ROUTINE routine, INT_PTR argument, int priority = THREAD_PRIORITY_NORMAL) {
  HANDLE thread = CreateThread(nullptr, 0, routine, reinterpret_cast<void*>(argument), CREATE_SUSPENDED, nullptr);
  SetThreadPriority(thread, priority);
  ResumeThread(thread);
  return thread;
}

void stop(HANDLE* threads, DWORD count) {
  g_stop = 1;
  WaitForMultipleObjects(count, threads, TRUE, INFINITE);
  g_stop = 0;
  for (DWORD i = 0; i < count; ++i) CloseHandle(threads[i]);
}

// Two spinners of one priority: each turn is a quantum. It is 2 ticks' cycles, noticed at a tick; what interrupts took
// is not counted, so that it is the third tick that ends it [WI6p1 ch.5 "Quantum Accounting"].
void slices() {
  g_turns = 0;
  g_last = -1;
  HANDLE threads[] = {start(spinner, 0), start(spinner, 1)};
  Sleep(1000);
  stop(threads, 2);
  int whole = 0;
  for (int i = 3; i < 20; ++i) {
    const double ticks = (g_turn_ms[i] - g_turn_ms[i - 1]) / kTickMs;
    if (ticks > 1.9 && ticks < 3.1) ++whole;
  }
  std::printf("slices of a quantum: %d of 17\n", whole);
}

// A spinner of higher priority leaves nothing, until the balance set manager lifts the starved one for a quantum.
void priorities() {
  g_spins[0] = 0;
  g_spins[1] = 0;
  HANDLE threads[] = {start(spinner, 0, THREAD_PRIORITY_BELOW_NORMAL), start(spinner, 1)};
  Sleep(2000);
  std::printf("lower priority for 2 s: %s\n", g_spins[0] == 0 ? "nothing" : "something");
  Sleep(8000);
  const double share = static_cast<double>(g_spins[0]) / static_cast<double>(g_spins[0] + g_spins[1]);
  std::printf("for 10 s: %s\n", g_spins[0] == 0 ? "nothing" : share < 0.02 ? "a quantum now and then" : "too much");
  stop(threads, 2);
}

HANDLE g_event, g_done;
LONG g_seen[4];

DWORD WINAPI woken(void*) {
  WaitForSingleObject(g_event, INFINITE);
  g_seen[0] = priority_now(GetCurrentThread());
  const double begin = now_ms();
  while (now_ms() - begin < 4 * kTickMs) {
  }
  g_seen[1] = priority_now(GetCurrentThread());
  return 0;
}

// An event adds one to the base; it is gone after a quantum. Nobody gets it who has turned boosts off.
void boosts() {
  g_event = CreateEventW(nullptr, FALSE, FALSE, nullptr);
  for (BOOL disabled : {FALSE, TRUE}) {
    HANDLE thread = CreateThread(nullptr, 0, woken, nullptr, 0, nullptr);
    SetThreadPriorityBoost(thread, disabled);
    BOOL queried = 2;
    GetThreadPriorityBoost(thread, &queried);
    Sleep(50);
    SetEvent(g_event);
    WaitForSingleObject(thread, INFINITE);
    std::printf("boost disabled %d: woken at %ld, later at %ld\n", queried, g_seen[0], g_seen[1]);
    CloseHandle(thread);
  }
}

DWORD WINAPI counter(void*) {
  for (int i = 0; i < 100; ++i) {
    WaitForSingleObject(g_event, INFINITE);
    SetEvent(g_done);
  }
  return 0;
}

// Context switches of a thread, as the system counts them: one for each time it gets a processor.
ULONG switches_of(DWORD id) {
  static unsigned char buffer[1 << 20];
  ULONG length = 0;
  g_query_system(SystemProcessInformation, buffer, sizeof buffer, &length);
  for (unsigned char* at = buffer;;) {
    auto* process = reinterpret_cast<SYSTEM_PROCESS_INFORMATION*>(at);
    auto* thread = reinterpret_cast<SYSTEM_THREAD_INFORMATION*>(process + 1);
    for (ULONG i = 0; i < process->NumberOfThreads; ++i) {
      // The struct of the public header names the switches Reserved3.
      if (reinterpret_cast<ULONG_PTR>(thread[i].ClientId.UniqueThread) == id) return thread[i].Reserved3;
    }
    if (process->NextEntryOffset == 0) return 0;
    at += process->NextEntryOffset;
  }
}

void context_switches() {
  g_done = CreateEventW(nullptr, FALSE, FALSE, nullptr);
  DWORD id = 0;
  HANDLE thread = CreateThread(nullptr, 0, counter, nullptr, 0, &id);
  Sleep(50);
  const ULONG before = switches_of(id);
  for (int i = 0; i < 99; ++i) {
    SetEvent(g_event);
    WaitForSingleObject(g_done, INFINITE);
  }
  const ULONG switches = switches_of(id) - before;
  std::printf("99 wake-ups: %s\n",
              switches >= 98 && switches <= 105 ? "as many switches" : "another number of switches");
  SetEvent(g_event);
  WaitForSingleObject(thread, INFINITE);
}

// 10,000 suspensions in nested pairs while it spins: the counts add up, and it goes on.
void suspend_storm() {
  g_spins[0] = 0;
  HANDLE threads[] = {start(spinner, 0)};
  DWORD wrong = 0;
  for (int i = 0; i < 5000; ++i) {
    wrong += SuspendThread(threads[0]) != 0;
    wrong += SuspendThread(threads[0]) != 1;
    wrong += ResumeThread(threads[0]) != 2;
    wrong += ResumeThread(threads[0]) != 1;
  }
  SuspendThread(threads[0]);
  const LONGLONG held = g_spins[0];
  Sleep(100);
  std::printf("storm: %lu wrong counts, suspended it %s", wrong, g_spins[0] == held ? "stands still" : "runs");
  ResumeThread(threads[0]);
  Sleep(100);
  std::printf(", resumed it %s\n", g_spins[0] != held ? "runs" : "stands still");
  stop(threads, 1);
}

HANDLE g_port;
volatile LONG g_active, g_most, g_served;

DWORD WINAPI port_worker(void* blocks) {
  for (;;) {
    DWORD bytes = 0;
    ULONG_PTR key = 0;
    OVERLAPPED* overlapped = nullptr;
    GetQueuedCompletionStatus(g_port, &bytes, &key, &overlapped, INFINITE);
    if (key == 0) return 0;
    const LONG active = InterlockedIncrement(&g_active);
    if (active > g_most) g_most = active;
    const double begin = now_ms();
    while (now_ms() - begin < 3 * kTickMs) {
    }
    if (blocks != nullptr) Sleep(30);
    InterlockedDecrement(&g_active);
    InterlockedIncrement(&g_served);
  }
}

// A port of concurrency 1 and four workers: only one serves, however its quantum ends, unless it waits elsewhere.
void port_concurrency() {
  for (INT_PTR blocks : {0, 1}) {
    g_port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1);
    g_most = 0;
    g_served = 0;
    HANDLE threads[4];
    for (HANDLE& thread : threads) thread = start(port_worker, blocks);
    for (int i = 0; i < 12; ++i) PostQueuedCompletionStatus(g_port, 0, 1, nullptr);
    for (int i = 0; i < 4; ++i) PostQueuedCompletionStatus(g_port, 0, 0, nullptr);
    WaitForMultipleObjects(4, threads, TRUE, INFINITE);
    std::printf("port: served %ld, at once %s\n", g_served, g_most == 1 ? "1" : "more than 1");
  }
}

}  // namespace

int main() {
  SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_HIGHEST);
  slices();
  priorities();
  boosts();
  context_switches();
  suspend_storm();
  port_concurrency();
  return 0;
}
