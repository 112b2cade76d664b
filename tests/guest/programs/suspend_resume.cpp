// Suspend counts, and reading and changing another thread's registers while it is suspended.
#include <windows.h>

#include <cstdio>

#include "report.h"

namespace {
volatile LONG progress;
volatile LONG stop;

DWORD WINAPI spinner(void*) {
  while (!stop) InterlockedIncrement(&progress);
  return 0;
}

__attribute__((noinline)) void spin_with_known_register() {
  asm volatile(
      "mov $0x1122334455667788, %%r12\n mov $0, %%r13\n"
      "1: test %%r13, %%r13\n jz 1b\n"
      :
      :
      : "r12", "r13", "memory", "cc");
}
DWORD WINAPI register_spinner(void*) {
  spin_with_known_register();
  return 4321;
}
}  // namespace

int main() {
  HANDLE thread = CreateThread(nullptr, 0, spinner, nullptr, CREATE_SUSPENDED, nullptr);
  Sleep(30);
  std::printf("created suspended: progress %ld\n", progress);
  Report{"suspend %lu %lu\n", SuspendThread(thread), SuspendThread(thread)};
  DWORD third = ResumeThread(thread), second = ResumeThread(thread), first = ResumeThread(thread);
  std::printf("resume %lu %lu %lu\n", third, second, first);
  std::printf("not suspended %lu\n", ResumeThread(thread));
  while (progress < 1000) Sleep(1);
  std::printf("runs\n");
  SuspendThread(thread);
  CONTEXT ignored{};
  ignored.ContextFlags = CONTEXT_CONTROL;
  GetThreadContext(thread, &ignored);  // returns once the thread has stopped
  LONG at = progress;
  Sleep(50);
  std::printf("stands still %d\n", progress == at);
  ResumeThread(thread);
  while (progress == at) Sleep(1);
  stop = 1;
  std::printf("ends %lu\n", WaitForSingleObject(thread, 10000));

  HANDLE other = CreateThread(nullptr, 0, register_spinner, nullptr, 0, nullptr);
  CONTEXT context{};
  for (;;) {
    Sleep(5);
    SuspendThread(other);
    context.ContextFlags = CONTEXT_FULL;
    GetThreadContext(other, &context);
    if (context.R12 == 0x1122334455667788) break;
    ResumeThread(other);
  }
  std::printf("r12 %llx r13 %llx cs %x\n", context.R12, context.R13, context.SegCs);
  context.R13 = 1;
  std::printf("set context %d\n", SetThreadContext(other, &context));
  std::printf("resume %lu\n", ResumeThread(other));
  WaitForSingleObject(other, 10000);
  DWORD code = 0;
  GetExitCodeThread(other, &code);
  std::printf("let out with %lu\n", code);

  HANDLE victim = CreateThread(
      nullptr, 0,
      [](void*) -> DWORD {
        for (;;) Sleep(10);
      },
      nullptr, 0, nullptr);
  std::printf("terminate %d", TerminateThread(victim, 55));
  std::printf(" %lu", WaitForSingleObject(victim, 10000));
  GetExitCodeThread(victim, &code);
  std::printf(" code %lu\n", code);
  return 0;
}
