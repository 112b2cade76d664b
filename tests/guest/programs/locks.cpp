// SRW locks, condition variables, one-time initialisation, keyed events, wait on address, interlocked lists.
#include <windows.h>

#include <cstdio>

#include "report.h"

namespace {
SRWLOCK lock = SRWLOCK_INIT;
CONDITION_VARIABLE changed = CONDITION_VARIABLE_INIT;
int value, readers_saw_torn;
int left, right;

DWORD WINAPI writer(void*) {
  for (int i = 0; i < 3000; ++i) {
    AcquireSRWLockExclusive(&lock);
    ++left;
    ++right;
    ReleaseSRWLockExclusive(&lock);
  }
  return 0;
}
DWORD WINAPI reader(void*) {
  for (int i = 0; i < 3000; ++i) {
    AcquireSRWLockShared(&lock);
    if (left != right) ++readers_saw_torn;
    ReleaseSRWLockShared(&lock);
  }
  return 0;
}
DWORD WINAPI ping(void* argument) {
  int mine = static_cast<int>(reinterpret_cast<INT_PTR>(argument));
  for (int i = 0; i < 300; ++i) {
    AcquireSRWLockExclusive(&lock);
    while (value % 3 != mine) SleepConditionVariableSRW(&changed, &lock, INFINITE, 0);
    ++value;
    ReleaseSRWLockExclusive(&lock);
    WakeAllConditionVariable(&changed);
  }
  return 0;
}

INIT_ONCE once = INIT_ONCE_STATIC_INIT;
LONG initialised;
BOOL CALLBACK initialise(PINIT_ONCE, PVOID, PVOID*) {
  Sleep(5);
  return InterlockedIncrement(&initialised) == 1;
}

void run(int count, LPTHREAD_START_ROUTINE routine) {
  HANDLE threads[8];
  for (int i = 0; i < count; ++i)
    threads[i] = CreateThread(nullptr, 0, routine, reinterpret_cast<void*>(static_cast<INT_PTR>(i)), 0, nullptr);
  WaitForMultipleObjects(count, threads, TRUE, INFINITE);
  for (int i = 0; i < count; ++i) CloseHandle(threads[i]);
}

using KeyedCall = LONG(NTAPI*)(HANDLE, const void*, BOOLEAN, const LARGE_INTEGER*);
HANDLE keyed;
KeyedCall wait_keyed, release_keyed;
DWORD WINAPI keyed_waiter(void* key) { return wait_keyed(keyed, key, FALSE, nullptr) == 0 ? 11 : 12; }

void keyed_events() {
  HMODULE ntdll = GetModuleHandleA("ntdll");
  auto create = reinterpret_cast<LONG(NTAPI*)(HANDLE*, DWORD, void*, ULONG)>(
      reinterpret_cast<void*>(GetProcAddress(ntdll, "NtCreateKeyedEvent")));
  wait_keyed = reinterpret_cast<KeyedCall>(reinterpret_cast<void*>(GetProcAddress(ntdll, "NtWaitForKeyedEvent")));
  release_keyed = reinterpret_cast<KeyedCall>(reinterpret_cast<void*>(GetProcAddress(ntdll, "NtReleaseKeyedEvent")));
  std::printf("create %lx\n", create(&keyed, 0x1F0003, nullptr, 0));
  LARGE_INTEGER soon;
  soon.QuadPart = -10000;
  std::printf("nobody releases %lx\n", wait_keyed(keyed, reinterpret_cast<void*>(0x1000), FALSE, &soon));
  std::printf("nobody waits %lx\n", release_keyed(keyed, reinterpret_cast<void*>(0x1000), FALSE, &soon));
  HANDLE first = CreateThread(nullptr, 0, keyed_waiter, reinterpret_cast<void*>(0x2000), 0, nullptr);
  HANDLE second = CreateThread(nullptr, 0, keyed_waiter, reinterpret_cast<void*>(0x3000), 0, nullptr);
  std::printf("release %lx\n", release_keyed(keyed, reinterpret_cast<void*>(0x3000), FALSE, nullptr));
  WaitForSingleObject(second, INFINITE);
  std::printf("the other still waits %lx\n", WaitForSingleObject(first, 5));
  std::printf("release %lx\n", release_keyed(keyed, reinterpret_cast<void*>(0x2000), FALSE, nullptr));
  std::printf("done %lx\n", WaitForSingleObject(first, INFINITE));
}

volatile LONG flag;
DWORD WINAPI address_waiter(void*) {
  LONG undesired = 0;
  while (flag == 0) WaitOnAddress(&flag, &undesired, sizeof flag, INFINITE);
  return static_cast<DWORD>(flag);
}
}  // namespace

int main() {
  run(4, [](void* argument) -> DWORD {
    return reinterpret_cast<INT_PTR>(argument) % 2 ? writer(argument) : reader(argument);
  });
  std::printf("left %d right %d torn %d\n", left, right, readers_saw_torn);
  run(3, ping);
  std::printf("ping %d\n", value);
  std::printf("try exclusive %d", TryAcquireSRWLockExclusive(&lock));
  std::printf(" try shared %d\n", TryAcquireSRWLockShared(&lock));
  ReleaseSRWLockExclusive(&lock);
  AcquireSRWLockShared(&lock);
  BOOL woken = SleepConditionVariableSRW(&changed, &lock, 10, CONDITION_VARIABLE_LOCKMODE_SHARED);
  std::printf("timed out %d error %lu\n", woken, GetLastError());
  ReleaseSRWLockShared(&lock);
  run(4, [](void*) -> DWORD { return InitOnceExecuteOnce(&once, initialise, nullptr, nullptr); });
  std::printf("initialised %ld\n", initialised);
  keyed_events();
  HANDLE waiter = CreateThread(nullptr, 0, address_waiter, nullptr, 0, nullptr);
  Sleep(5);
  InterlockedExchange(&flag, 66);
  WakeByAddressAll(const_cast<LONG*>(&flag));
  WaitForSingleObject(waiter, INFINITE);
  DWORD code = 0;
  GetExitCodeThread(waiter, &code);
  std::printf("wait on address %lu\n", code);
  SLIST_HEADER list;
  InitializeSListHead(&list);
  alignas(16) static SLIST_ENTRY entries[5];
  for (auto& entry : entries) InterlockedPushEntrySList(&list, &entry);
  Report{"list depth %u top %d\n", QueryDepthSList(&list), InterlockedPopEntrySList(&list) == &entries[4]};
  return 0;
}
