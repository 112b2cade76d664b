// Eight threads on one critical section, each holding it over a little work.
#include <windows.h>

#include <cstdio>
#include <cstdlib>

namespace {
CRITICAL_SECTION g_lock;
int g_rounds;
volatile long g_sum;

DWORD WINAPI worker(void*) {
  for (int i = 0; i < g_rounds; ++i) {
    EnterCriticalSection(&g_lock);
    for (int k = 0; k < 10; ++k) g_sum = g_sum + 1;
    LeaveCriticalSection(&g_lock);
  }
  return 0;
}
}  // namespace

int main(int argc, char** argv) {
  g_rounds = argc > 1 ? std::atoi(argv[1]) : 100'000;
  InitializeCriticalSection(&g_lock);
  HANDLE threads[8];
  for (HANDLE& thread : threads) thread = CreateThread(nullptr, 0, worker, nullptr, 0, nullptr);
  WaitForMultipleObjects(8, threads, TRUE, INFINITE);
  std::printf("%ld\n", g_sum);
  return 0;
}
