// Integer, x87, SSE2, AVX2 and FMA results down to the bits, rounding modes, and unmasked floating-point exceptions.
#include <float.h>
#include <immintrin.h>
#include <windows.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "report.h"

namespace {
void show(const char* what, const void* data, int size) {
  std::printf("%-10s", what);
  for (int i = size - 1; i >= 0; --i) std::printf("%02x", static_cast<const unsigned char*>(data)[i]);
  std::printf("\n");
}

void integers() {
  uint64_t a = 0x123456789abcdef1, b = 0xfedcba9876543210;
  volatile unsigned __int128 wide = static_cast<unsigned __int128>(a) * b;
  auto product = static_cast<unsigned __int128>(wide);
  std::printf("product %016llx%016llx\n", static_cast<unsigned long long>(product >> 64),
              static_cast<unsigned long long>(product));
  std::printf("quotient %llx remainder %llx\n", static_cast<unsigned long long>(static_cast<uint64_t>(product / 977)),
              static_cast<unsigned long long>(static_cast<uint64_t>(product % 977)));
  uint64_t result, flags;
  asm volatile("mov %2, %0\n add %3, %0\n pushfq\n pop %1" : "=&r"(result), "=&r"(flags) : "r"(a), "r"(b) : "cc");
  std::printf("add %llx flags %llx\n", static_cast<unsigned long long>(result),
              static_cast<unsigned long long>(flags & 0x8d5));
  asm volatile("popcnt %1, %0" : "=r"(result) : "r"(b) : "cc");
  std::printf("popcnt %llu", static_cast<unsigned long long>(result));
  asm volatile("tzcnt %1, %0" : "=r"(result) : "r"(b) : "cc");
  std::printf(" tzcnt %llu", static_cast<unsigned long long>(result));
  asm volatile("lzcnt %1, %0" : "=r"(result) : "r"(b >> 7) : "cc");
  std::printf(" lzcnt %llu", static_cast<unsigned long long>(result));
  asm volatile("mov %1, %%rdx\n pext %2, %%rdx, %0" : "=r"(result) : "r"(a), "r"(b) : "rdx", "cc");
  std::printf(" pext %llx\n", static_cast<unsigned long long>(result));
  char from[40] = "string instructions move these bytes", to[40] = {};
  const char* source = from;
  char* target = to;
  std::size_t length = 37;
  asm volatile("cld\n rep movsb" : "+S"(source), "+D"(target), "+c"(length) : : "memory");
  std::printf("%s\n", to);
}

void x87() {
  long double x = 1.0L;
  for (int i = 1; i < 30; ++i) x = x * 1.1L + 1.0L / static_cast<long double>(i);
  show("x87", &x, 10);
  long double root = std::sqrt(x);
  show("fsqrt", &root, 10);
  unsigned short control = 0;
  asm volatile("fnstcw %0" : "=m"(control));
  std::printf("control word %x\n", control);
}

void vectors() {
  alignas(32) static double in[4] = {1.5, -2.25, 1e300, 3.0};
  alignas(32) static double out[4];
  asm volatile(
      "vmovapd (%0), %%ymm0\n vmulpd %%ymm0, %%ymm0, %%ymm1\n vfmadd231pd %%ymm0, %%ymm0, %%ymm1\n vsqrtpd %%ymm1, "
      "%%ymm2\n"
      "vmovapd %%ymm2, (%1)\n vzeroupper\n" ::"r"(in),
      "r"(out)
      : "xmm0", "xmm1", "xmm2", "memory");
  show("avx", out, 32);
  alignas(32) static int32_t words[8] = {1, -2, 3, -4, 5, -6, 7, -8}, shuffled[8];
  asm volatile(
      "vmovdqa (%0), %%ymm0\n vpabsd %%ymm0, %%ymm1\n vpmulld %%ymm0, %%ymm1, %%ymm1\n vpermq $0x1b, %%ymm1, %%ymm1\n"
      "vmovdqa %%ymm1, (%1)\n vzeroupper\n" ::"r"(words),
      "r"(shuffled)
      : "xmm0", "xmm1", "memory");
  show("avx2", shuffled, 32);
  int modes[4] = {_MM_ROUND_NEAREST, _MM_ROUND_DOWN, _MM_ROUND_UP, _MM_ROUND_TOWARD_ZERO};
  for (int mode : modes) {
    _MM_SET_ROUNDING_MODE(mode);
    volatile double third = 1.0;
    volatile double divisor = 3.0;
    double quotient = third / divisor;
    show("rounding", &quotient, 8);
  }
  _MM_SET_ROUNDING_MODE(_MM_ROUND_NEAREST);
  std::printf("mxcsr %x\n", _mm_getcsr() & 0xffc0);
}

LONG CALLBACK handler(EXCEPTION_POINTERS* pointers) {
  DWORD code = pointers->ExceptionRecord->ExceptionCode;
  if (code != EXCEPTION_FLT_DIVIDE_BY_ZERO && code != 0xC00002B4 && code != 0xC00002B5)
    return EXCEPTION_CONTINUE_SEARCH;
  std::printf("float exception %08lx\n", code);
  pointers->ContextRecord->MxCsr = 0x1f80;
  pointers->ContextRecord->FltSave.MxCsr = 0x1f80;
  return EXCEPTION_CONTINUE_EXECUTION;
}

DWORD WINAPI registers_survive(void* argument) {  // XMM6 to XMM15 across preemption and services
  double seed = static_cast<double>(reinterpret_cast<INT_PTR>(argument)), sum = seed;
  for (int i = 0; i < 200; ++i) {
    for (int k = 1; k < 200; ++k) sum += std::sin(sum) / k;
    if (i % 20 == 0) Sleep(0);
  }
  return static_cast<DWORD>(static_cast<int>(std::floor(sum * 1000.0)));
}
}  // namespace

int main() {
  integers();
  x87();
  vectors();
  Report{"%.17g %.17g %.17g %.17g\n", std::sin(1.0), std::exp(0.5), std::log(10.0), std::pow(1.7, 3.3)};
  void* token = AddVectoredExceptionHandler(1, handler);
  _mm_setcsr(0x1f80 & ~0x200);
  volatile double zero = 0.0, one = 1.0;
  double quotient = one / zero;
  show("infinity", &quotient, 8);
  RemoveVectoredExceptionHandler(token);
  DWORD expected = registers_survive(reinterpret_cast<void*>(3));
  HANDLE threads[4];
  for (HANDLE& thread : threads)
    thread = CreateThread(nullptr, 0, registers_survive, reinterpret_cast<void*>(3), 0, nullptr);
  WaitForMultipleObjects(4, threads, TRUE, INFINITE);
  int equal = 0;
  for (HANDLE thread : threads) {
    DWORD code = 0;
    GetExitCodeThread(thread, &code);
    equal += code == expected;
  }
  std::printf("equal in all threads %d\n", equal);
  return 0;
}
