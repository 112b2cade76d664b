// Event pairs: NT's first client-server transport. Two threads take turns, each setting its own side and waiting for
// the other's in one step [facts 7.1, 7.6]. ntdll of 5.2 exports the services; here it gets stubs of the kernel's own.
#include <windows.h>
#include <winternl.h>

#include <cstdio>

#include "report.h"

namespace {

template <typename Function>
Function service(const char* name) {
  return reinterpret_cast<Function>(reinterpret_cast<void*>(GetProcAddress(GetModuleHandleA("ntdll"), name)));
}
using OnPair = NTSTATUS(NTAPI*)(HANDLE);
const auto create = service<NTSTATUS(NTAPI*)(HANDLE*, ACCESS_MASK, OBJECT_ATTRIBUTES*)>("NtCreateEventPair");
const auto set_low = service<OnPair>("NtSetLowEventPair"), set_high = service<OnPair>("NtSetHighEventPair");
const auto wait_low = service<OnPair>("NtWaitLowEventPair"), wait_high = service<OnPair>("NtWaitHighEventPair");
const auto set_low_wait_high = service<OnPair>("NtSetLowWaitHighEventPair");
const auto set_high_wait_low = service<OnPair>("NtSetHighWaitLowEventPair");

constexpr ACCESS_MASK kAll = 0x1F0000;
HANDLE pair;
int question, answer;
bool over;

// The server waits for High, answers, sets Low.
DWORD WINAPI serve(void*) {
  NTSTATUS status = wait_high(pair);
  while (status == 0 && !over) {
    answer = question * question;
    status = set_low_wait_high(pair);
  }
  return static_cast<DWORD>(status);
}

}  // namespace

int main() {
  Report{"created %lx\n", create(&pair, kAll, nullptr)};
  // Each side is an event that one wait takes.
  Report{"low set %lx and taken %lx, high set %lx and taken %lx\n", set_low(pair), wait_low(pair), set_high(pair),
         wait_high(pair)};
  const HANDLE server = CreateThread(nullptr, 0, serve, nullptr, 0, nullptr);
  int right = 0;
  for (question = 1; question <= 1000; ++question)
    right += set_high_wait_low(pair) == 0 && answer == question * question;
  std::printf("1000 questions, right answers %d\n", right);
  over = true;
  set_high(pair);
  WaitForSingleObject(server, INFINITE);
  DWORD code = 99;
  GetExitCodeThread(server, &code);
  std::printf("server ended with %lx\n", code);
  const DWORD whole = WaitForSingleObject(pair, 0);
  Report{"waiting for the pair itself: %lx error %lu\n", whole, GetLastError()};
  CloseHandle(pair);
  Report{"closed: %lx\n", set_low(pair)};
  return 0;
}
