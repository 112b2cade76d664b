// Stack sizes from the image header, from CreateThread, and recursion through megabytes of them.
#include <windows.h>

#include <cstdio>

namespace {
__attribute__((noinline)) long long recurse(int depth) {
  volatile char frame[2048];
  frame[0] = 1;
  frame[2047] = 2;
  if (depth == 0) return 0;
  return recurse(depth - 1) + frame[0] + frame[2047];
}
__attribute__((noinline)) int big_frame() {
  volatile char frame[3 << 20];  // the compiler probes each page
  for (int i = 0; i < (3 << 20); i += 4096) frame[i] = static_cast<char>(i >> 12);
  int sum = 0;
  for (int i = 0; i < (3 << 20); i += 4096) sum += frame[i];
  return sum;
}
DWORD WINAPI deep(void*) { return static_cast<DWORD>(recurse(20000)); }
DWORD WINAPI shallow(void*) { return static_cast<DWORD>(recurse(100)); }

DWORD run(LPTHREAD_START_ROUTINE routine, SIZE_T size, DWORD flags) {
  HANDLE thread = CreateThread(nullptr, size, routine, nullptr, flags, nullptr);
  WaitForSingleObject(thread, INFINITE);
  DWORD code = 0;
  GetExitCodeThread(thread, &code);
  CloseHandle(thread);
  return code;
}
}  // namespace

int main() {
  std::printf("main, 32 MB from the header: %lld\n", recurse(14000));
  std::printf("one frame of 3 MB: %d\n", big_frame());
  std::printf("thread, 64 MB reserved: %lu\n", run(deep, 64 << 20, STACK_SIZE_PARAM_IS_A_RESERVATION));
  std::printf("thread, default: %lu\n", run(shallow, 0, 0));
  ULONG_PTR low = 0, high = 0;
  GetCurrentThreadStackLimits(&low, &high);
  std::printf("limits %llu MB\n", static_cast<unsigned long long>((high - low) >> 20));
  return 0;
}
