// The stack grows through its guard page, overflows with STATUS_STACK_OVERFLOW, and after _resetstkoflw can do it
// again.
#include <malloc.h>
#include <windows.h>

#include <csetjmp>
#include <cstdio>

namespace {
jmp_buf escape;
volatile DWORD code;
volatile int depth;

LONG CALLBACK handler(EXCEPTION_POINTERS* pointers) {
  code = pointers->ExceptionRecord->ExceptionCode;
  if (code != EXCEPTION_STACK_OVERFLOW) return EXCEPTION_CONTINUE_SEARCH;
  // Too little stack for an unwind: continue in a function that jumps out.
  pointers->ContextRecord->Rip =
      reinterpret_cast<DWORD64>(+[] { __builtin_longjmp(reinterpret_cast<void**>(&escape), 1); });
  pointers->ContextRecord->Rsp &= ~15ull;
  pointers->ContextRecord->Rsp -= 8;
  return EXCEPTION_CONTINUE_EXECUTION;
}

__attribute__((noinline)) int recurse(int n) {
  volatile char frame[1000];
  frame[0] = static_cast<char>(n);
  depth = depth + 1;
  return recurse(n + 1) + frame[0];
}

__attribute__((noinline)) bool overflow() {
  depth = 0;
  if (__builtin_setjmp(reinterpret_cast<void**>(&escape))) return true;
  return recurse(0) == -1;
}

DWORD WINAPI thread(void*) {
  bool caught = overflow();
  std::printf("thread: caught %d code %08lx depth over 900 %d\n", caught, code, depth > 900);
  return 9;
}
}  // namespace

int main() {
  AddVectoredExceptionHandler(1, handler);
  bool caught = overflow();
  std::printf("main: caught %d code %08lx depth over 900 %d\n", caught, code, depth > 900);
  std::printf("reset %d\n", _resetstkoflw() != 0);
  code = 0;
  caught = overflow();
  std::printf("again: caught %d code %08lx\n", caught, code);
  HANDLE handle = CreateThread(nullptr, 1 << 20, thread, nullptr, 0, nullptr);
  WaitForSingleObject(handle, INFINITE);
  DWORD exit_code = 0;
  GetExitCodeThread(handle, &exit_code);
  std::printf("thread exit %lu\n", exit_code);
  return 0;
}
