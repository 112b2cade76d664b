// A thousand threads at once, all waiting at a gate, then all let through.
#include <windows.h>

#include <cstdio>

namespace {
constexpr int kThreads = 1000;
HANDLE gate, all_there;
LONG arrived, passed;
HANDLE threads[kThreads];

DWORD WINAPI worker(void* argument) {
  if (InterlockedIncrement(&arrived) == kThreads) SetEvent(all_there);
  WaitForSingleObject(gate, INFINITE);
  InterlockedIncrement(&passed);
  return static_cast<DWORD>(reinterpret_cast<UINT_PTR>(argument));
}
}  // namespace

int main() {
  gate = CreateEventA(nullptr, TRUE, FALSE, nullptr);
  all_there = CreateEventA(nullptr, TRUE, FALSE, nullptr);
  int created = 0;
  for (int i = 0; i < kThreads; ++i) {
    threads[i] = CreateThread(nullptr, 65536, worker, reinterpret_cast<void*>(static_cast<UINT_PTR>(i)),
                              STACK_SIZE_PARAM_IS_A_RESERVATION, nullptr);
    created += threads[i] != nullptr;
  }
  std::printf("created %d\n", created);
  std::printf("all there %lu passed %ld\n", WaitForSingleObject(all_there, INFINITE), passed);
  SetEvent(gate);
  unsigned long long codes = 0;
  for (HANDLE thread : threads) {
    WaitForSingleObject(thread, INFINITE);
    DWORD code = 0;
    GetExitCodeThread(thread, &code);
    codes += code;
    CloseHandle(thread);
  }
  std::printf("passed %ld sum of codes %llu\n", passed, codes);
  return 0;
}
