// setjmp and longjmp, which unwind through RtlUnwindEx.
#include <csetjmp>
#include <cstdio>

namespace {
std::jmp_buf buffer;
__attribute__((noinline)) void leap(int depth, int value) {
  volatile int frame[16] = {depth};
  if (depth == 0) std::longjmp(buffer, value);
  leap(depth - 1, value + frame[0] * 0);
}
}  // namespace

int main() {
  volatile int count = 0;
  int value = setjmp(buffer);
  std::printf("value %d count %d\n", value, count);
  if (value < 5) {
    count = count + 1;
    leap(10 * value, value + 1);
  }
  static int jumps = 0;
  static int round;
  for (round = 0; round < 1000; ++round) {
    if (setjmp(buffer) == 0) leap(3, 1);
    ++jumps;
  }
  std::printf("jumps %d\n", jumps);
  return 0;
}
