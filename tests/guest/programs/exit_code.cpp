// The ways a process ends; the first argument names one.
#include <windows.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace {
DWORD WINAPI ends_process(void*) { ExitProcess(21); }
DWORD WINAPI sleeps(void*) {
  Sleep(INFINITE);
  return 0;
}
struct AtExit {
  ~AtExit() { std::printf("static destructor\n"); }
} at_exit;
}  // namespace

int main(int argc, char** argv) {
  std::string way = argc > 1 ? argv[1] : "return";
  std::printf("ending by %s\n", way.c_str());
  std::fflush(stdout);
  if (way == "return") return 3;
  if (way == "exit") std::exit(4);
  if (way == "process") ExitProcess(0xC0000005);
  if (way == "wide") ExitProcess(0x12345600);
  if (way == "terminate") TerminateProcess(GetCurrentProcess(), 7);
  if (way == "abort") std::abort();
  if (way == "throw") throw std::runtime_error("nobody catches this");
  if (way == "violation") asm volatile("mov $8, %%eax\n movl $1, (%%rax)" ::: "rax", "memory");
  if (way == "divide") asm volatile("xor %%ecx, %%ecx\n mov $1, %%eax\n cdq\n idiv %%ecx" ::: "rax", "rcx", "rdx");
  if (way == "breakpoint") DebugBreak();
  if (way == "raise") RaiseException(0xe0000042, EXCEPTION_NONCONTINUABLE, 0, nullptr);
  if (way == "thread") {
    HANDLE handle = CreateThread(nullptr, 0, ends_process, nullptr, 0, nullptr);
    WaitForSingleObject(handle, INFINITE);
    Sleep(INFINITE);
  }
  if (way == "main_thread") {  // the last thread to end gives the code
    CreateThread(
        nullptr, 0,
        [](void*) -> DWORD {
          Sleep(20);
          return 33;
        },
        nullptr, 0, nullptr);
    ExitThread(32);
  }
  if (way == "others") {  // return from main ends the others where they are
    for (int i = 0; i < 10; ++i) CreateThread(nullptr, 0, sleeps, nullptr, 0, nullptr);
    return 6;
  }
  return 99;
}
