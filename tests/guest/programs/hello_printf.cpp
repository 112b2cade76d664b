// The C run-time's start, buffered output, number formatting, and both standard streams.
#include <cmath>
#include <cstdio>

int main() {
  std::printf("hello from printf: %d %s %c %5.2f %x %lld\n", 42, "text", '!', 3.14159, 0xbeefu, -1234567890123LL);
  std::printf("sqrt 2 = %.15f, e = %.15e\n", std::sqrt(2.0), std::exp(1.0));
  for (int line = 0; line < 200; ++line) std::printf("line %d of a buffer that is flushed at the end\n", line);
  std::fprintf(stderr, "and a line on standard error\n");
  return 0;
}
