// Four threads pass a token around a ring of auto-reset events and add to a sum under a critical section.
#include <windows.h>

#include <cstdio>

namespace {
constexpr int kThreads = 4;
constexpr int kRounds = 250;
HANDLE turns[kThreads];
CRITICAL_SECTION lock;
long long sum;
int order_errors;
int next_expected;

DWORD WINAPI worker(void* argument) {
  int self = static_cast<int>(reinterpret_cast<INT_PTR>(argument));
  for (int round = 0; round < kRounds; ++round) {
    WaitForSingleObject(turns[self], INFINITE);
    EnterCriticalSection(&lock);
    if (next_expected != self) ++order_errors;
    next_expected = (self + 1) % kThreads;
    sum += self * 1000 + round;
    LeaveCriticalSection(&lock);
    SetEvent(turns[(self + 1) % kThreads]);
  }
  for (int round = 0; round < 20000; ++round) {  // now all at once: the lock is contended
    EnterCriticalSection(&lock);
    ++sum;
    LeaveCriticalSection(&lock);
  }
  return 100 + self;
}
}  // namespace

int main() {
  InitializeCriticalSection(&lock);
  HANDLE threads[kThreads];
  for (HANDLE& turn : turns) turn = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  for (int i = 0; i < kThreads; ++i)
    threads[i] = CreateThread(nullptr, 0, worker, reinterpret_cast<void*>(static_cast<INT_PTR>(i)), 0, nullptr);
  SetEvent(turns[0]);
  DWORD result = WaitForMultipleObjects(kThreads, threads, TRUE, INFINITE);
  std::printf("wait %lu sum %lld order errors %d\n", result, sum, order_errors);
  for (HANDLE thread : threads) {
    DWORD code = 0;
    GetExitCodeThread(thread, &code);
    std::printf("exit code %lu\n", code);
    CloseHandle(thread);
  }
  DeleteCriticalSection(&lock);
  return 0;
}
