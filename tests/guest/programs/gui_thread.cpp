// A thread that calls a GUI service, and one that does not, for kd to look at. There is no win32k: the call is refused,
// as one outside every table, and changes no more than the thread [WI5 ch.3].
#include <windows.h>

#include <cstdio>

#include "name_thread.h"

namespace {

long call_service(unsigned number) {
  long long status = number;
  asm volatile("movq %%rcx, %%r10\n\tsyscall" : "+a"(status) : : "rcx", "rdx", "r8", "r9", "r10", "r11", "memory");
  return static_cast<long>(status);
}

DWORD WINAPI plain(void* go) {
  name_thread(L"plain");
  return WaitForSingleObject(go, INFINITE);
}

}  // namespace

int main() {
  name_thread(L"window");
  const HANDLE go = CreateEventW(nullptr, TRUE, FALSE, nullptr);
  const HANDLE thread = CreateThread(nullptr, 0, plain, go, 0, nullptr);
  Sleep(20);
  std::printf("GUI service: %08lx\n", static_cast<unsigned long>(call_service(0x1234)));
  std::fflush(stdout);
  SetEvent(go);
  WaitForSingleObject(thread, INFINITE);
  return 0;
}
