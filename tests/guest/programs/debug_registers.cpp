// Hardware breakpoints as a debugger inside the process sets them: through the context of an exception, and through
// SetThreadContext on a suspended thread. What is written, read or executed under one raises a single-step exception
// that says in Dr6 which it was.
#include <windows.h>

#include <cstdio>

namespace {

constexpr DWORD64 kWrite4 = 0xD, kAccess8 = 0xB, kExecute = 0x0;  // R/W and LEN of one breakpoint in DR7
constexpr DWORD kResumeFlag = 0x10000, kTrapFlag = 0x100;

struct Request {
  DWORD64 address[2];
  DWORD64 control;
  DWORD flags;
};
Request request;
unsigned stops;
alignas(8) volatile long long watched[4];

__attribute__((noinline)) int function(int value) {
  asm volatile("" ::: "memory");
  return value * 3;
}

// Runs with the breakpoints in force, so it must not touch what they watch.
LONG CALLBACK handler(EXCEPTION_POINTERS* pointers) {
  CONTEXT& context = *pointers->ContextRecord;
  if (pointers->ExceptionRecord->ExceptionCode == EXCEPTION_BREAKPOINT) {  // arm()
    context.Rip += 1;
    context.Dr0 = request.address[0];
    context.Dr1 = request.address[1];
    context.Dr7 = request.control;
    context.EFlags |= request.flags;
    return EXCEPTION_CONTINUE_EXECUTION;
  }
  if (pointers->ExceptionRecord->ExceptionCode != EXCEPTION_SINGLE_STEP) return EXCEPTION_CONTINUE_SEARCH;
  ++stops;
  const bool executed = context.Rip == reinterpret_cast<DWORD64>(&function);
  std::printf("  stop: Dr6 %llx%s\n", context.Dr6 & 0x400F, executed ? ", at the function" : "");
  if (executed) context.EFlags |= kResumeFlag;
  return EXCEPTION_CONTINUE_EXECUTION;
}

void arm(DWORD64 first, DWORD64 second, DWORD64 control, DWORD flags = 0) {
  request = {{first, second}, control, flags};
  asm volatile("int3" ::: "memory");
}

DWORD64 address_of(const volatile void* pointer) { return reinterpret_cast<DWORD64>(pointer); }

DWORD WINAPI other_thread(void*) {
  watched[0] = 100;
  watched[1] = 101;
  return 0;
}

void own_thread() {
  std::printf("write breakpoint of four bytes\n");
  arm(address_of(&watched[0]), 0, 1 | kWrite4 << 16);
  watched[0] = 1;
  watched[1] = 2;
  long long read = watched[0];
  reinterpret_cast<volatile char*>(&watched[0])[3] = 0;
  reinterpret_cast<volatile char*>(&watched[0])[4] = 0;

  std::printf("access breakpoint of eight bytes\n");
  arm(0, address_of(&watched[0]), 4 | kAccess8 << 20);
  read += watched[0];
  reinterpret_cast<volatile char*>(&watched[0])[7] = 0;
  watched[1] = read;

  std::printf("execution breakpoint\n");
  arm(address_of(reinterpret_cast<void*>(&function)), 0, 1 | kExecute << 16);
  const int result = function(7) + function(8);
  std::printf("  the function says %d\n", result);

  std::printf("none\n");
  arm(0, 0, 0);
  watched[0] = 9;
  (void)function(1);
}

void another_thread() {
  std::printf("another thread\n");
  HANDLE thread = CreateThread(nullptr, 0, other_thread, nullptr, CREATE_SUSPENDED, nullptr);
  CONTEXT context{};
  context.ContextFlags = CONTEXT_DEBUG_REGISTERS;
  context.Dr2 = address_of(&watched[0]);
  context.Dr7 = 0x10 | kWrite4 << 24;
  std::printf("  set: %d\n", SetThreadContext(thread, &context));
  CONTEXT back{};
  back.ContextFlags = CONTEXT_DEBUG_REGISTERS;
  std::printf("  got: %d", GetThreadContext(thread, &back));
  std::printf(", Dr2 is its %d, Dr7 %llx\n", back.Dr2 == context.Dr2, back.Dr7 & 0xFFFF0355);
  watched[0] = 50;  // not by that thread
  ResumeThread(thread);
  WaitForSingleObject(thread, INFINITE);
  CloseHandle(thread);
}

}  // namespace

int main() {
  AddVectoredExceptionHandler(1, handler);
  own_thread();
  another_thread();
  std::printf("stops: %u\n", stops);
  return 0;
}
