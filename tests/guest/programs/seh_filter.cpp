// The last-chance filter: it sees the exception with its context, and its verdict ends the process or lets it go on.
#include <windows.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {
LONG WINAPI filter(EXCEPTION_POINTERS* pointers) {
  std::printf("filter: code %08lx kind %llu address %llx\n", pointers->ExceptionRecord->ExceptionCode,
              pointers->ExceptionRecord->ExceptionInformation[0], pointers->ExceptionRecord->ExceptionInformation[1]);
  std::fflush(stdout);
  if (pointers->ContextRecord->Rbx == 1) {
    pointers->ContextRecord->Rip += 2;  // over the two-byte instruction
    return EXCEPTION_CONTINUE_EXECUTION;
  }
  ExitProcess(77);
}

LONG CALLBACK first(EXCEPTION_POINTERS*) {
  std::printf("vectored: first\n");
  return EXCEPTION_CONTINUE_SEARCH;
}
LONG CALLBACK second(EXCEPTION_POINTERS*) {
  std::printf("vectored: second\n");
  return EXCEPTION_CONTINUE_SEARCH;
}
LONG CALLBACK continued(EXCEPTION_POINTERS*) {
  std::printf("continue handler\n");
  return EXCEPTION_CONTINUE_SEARCH;
}
}  // namespace

int main() {
  SetUnhandledExceptionFilter(filter);
  AddVectoredExceptionHandler(0, second);
  AddVectoredExceptionHandler(1, first);
  AddVectoredContinueHandler(1, continued);
  asm volatile("mov $1, %%ebx\n xor %%ecx, %%ecx\n mov (%%rcx), %%edx\n" ::: "rbx", "rcx", "rdx", "memory");
  std::printf("went on\n");
  asm volatile("xor %%ebx, %%ebx\n mov $0x40, %%ecx\n movl $5, (%%rcx)\n" ::: "rbx", "rcx", "memory");
  std::printf("not reached\n");
  return 0;
}
