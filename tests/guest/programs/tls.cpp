// Thread-local storage in its four forms: the loader's (thread_local), TlsAlloc, FlsAlloc with callbacks, TLS
// callbacks.
#include <windows.h>

#include <atomic>
#include <cstdio>

#include "report.h"

namespace {
std::atomic<int> attached, detached, fls_ended, constructed, destroyed;

void NTAPI tls_callback(PVOID, DWORD reason, PVOID) {
  if (reason == DLL_THREAD_ATTACH) ++attached;
  if (reason == DLL_THREAD_DETACH) ++detached;
}

struct Counter {
  Counter() { ++constructed; }
  ~Counter() { ++destroyed; }
  int value = 5;
};
thread_local Counter counter;
thread_local int plain = 7;

DWORD slot, fls_slot;
void WINAPI fls_callback(void* value) { fls_ended += static_cast<int>(reinterpret_cast<INT_PTR>(value)); }

DWORD WINAPI worker(void* argument) {
  auto number = static_cast<int>(reinterpret_cast<INT_PTR>(argument));
  int before = plain + counter.value + (TlsGetValue(slot) == nullptr ? 0 : 1000);
  for (int i = 0; i < 1000; ++i) {
    plain += number;
    counter.value += 1;
    TlsSetValue(slot, reinterpret_cast<void*>(static_cast<INT_PTR>(number * i)));
  }
  FlsSetValue(fls_slot, reinterpret_cast<void*>(static_cast<INT_PTR>(number)));
  auto last = static_cast<int>(reinterpret_cast<INT_PTR>(TlsGetValue(slot)));
  return static_cast<DWORD>(before + plain + counter.value + last);
}
}  // namespace

extern "C" {
__attribute__((section(".CRT$XLD"), used)) PIMAGE_TLS_CALLBACK tls_callback_entry = tls_callback;
}

int main() {
  slot = TlsAlloc();
  fls_slot = FlsAlloc(fls_callback);
  HANDLE threads[8];
  for (int i = 0; i < 8; ++i)
    threads[i] = CreateThread(nullptr, 0, worker, reinterpret_cast<void*>(static_cast<INT_PTR>(i + 1)), 0, nullptr);
  WaitForMultipleObjects(8, threads, TRUE, INFINITE);
  for (HANDLE thread : threads) {
    DWORD code = 0;
    GetExitCodeThread(thread, &code);
    std::printf("%lu\n", code);
  }
  std::printf("attached %d detached %d constructed %d destroyed %d fls %d plain %d\n", attached.load(), detached.load(),
              constructed.load(), destroyed.load(), fls_ended.load(), plain);
  Report{"freed %d %d\n", TlsFree(slot), FlsFree(fls_slot)};
  Report{"bad slot %d error %lu\n", TlsSetValue(5000, nullptr), GetLastError()};
  int distinct = 0;
  while (TlsAlloc() != TLS_OUT_OF_INDEXES) ++distinct;
  std::printf("over 1000 slots %d\n", distinct > 1000);
  return 0;
}
