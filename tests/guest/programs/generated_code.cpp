// Code written at run time: run, patched in place, run again; by one thread while another runs it.
#include <windows.h>

#include <cstdio>
#include <cstring>

#include "report.h"

namespace {
using Function = int (*)();
unsigned char* code;
void write_function(unsigned char* at, int result) {
  at[0] = 0xb8;  // mov eax, result; ret
  std::memcpy(at + 1, &result, 4);
  at[5] = 0xc3;
}
HANDLE go, done;
volatile int other_saw;
DWORD WINAPI other(void*) {
  for (int i = 0; i < 50; ++i) {
    WaitForSingleObject(go, INFINITE);
    other_saw = reinterpret_cast<Function>(code)();
    SetEvent(done);
  }
  return 0;
}
}  // namespace

int main() {
  code = static_cast<unsigned char*>(VirtualAlloc(nullptr, 8192, MEM_RESERVE | MEM_COMMIT, PAGE_EXECUTE_READWRITE));
  auto function = reinterpret_cast<Function>(code);
  long long sum = 0;
  for (int i = 0; i < 500; ++i) {
    write_function(code, i);
    FlushInstructionCache(GetCurrentProcess(), code, 6);
    sum += function();
  }
  std::printf("patched sum %lld\n", sum);
  write_function(code + 4090, 77);  // across a page border
  std::printf("across pages %d\n", reinterpret_cast<Function>(code + 4090)());
  unsigned char self_patching[] = {0xc6, 0x05, 0x01, 0, 0, 0,   5,
                                   0xb8, 1,    0,    0, 0, 0xc3};  // changes its own next instruction
  std::memcpy(code, self_patching, sizeof self_patching);
  Report{"self-modified %d %d\n", function(), function()};
  go = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  done = CreateEventA(nullptr, FALSE, FALSE, nullptr);
  HANDLE thread = CreateThread(nullptr, 0, other, nullptr, 0, nullptr);
  int errors = 0;
  for (int i = 0; i < 50; ++i) {
    write_function(code, i * 3);
    FlushInstructionCache(GetCurrentProcess(), code, 6);
    SetEvent(go);
    WaitForSingleObject(done, INFINITE);
    errors += other_saw != i * 3;
  }
  WaitForSingleObject(thread, INFINITE);
  std::printf("the other thread saw old code %d times\n", errors);
  DWORD old = 0;
  write_function(code, 9);
  std::printf("protect %d", VirtualProtect(code, 8192, PAGE_EXECUTE_READ, &old));
  std::printf(" old %lx result %d\n", old, function());
  return 0;
}
