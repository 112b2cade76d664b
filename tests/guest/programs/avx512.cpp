// AVX-512 where it is on request (`--avx512`), and #UD without: masked accesses across pages and their faults, EVEX's
// forms, mask registers, and that neither an exception nor a user APC loses a register of it.
#include <cpuid.h>
#include <windows.h>

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "report.h"

namespace {

constexpr int kVectors = 32, kMasks = 8;
struct alignas(64) Registers {
  std::uint8_t zmm[kVectors][64];
  std::uint64_t mask[kMasks];
};

unsigned char* pages;  // two; the second one may be out of reach
DWORD fault_code;
bool fault_in_second, opens_second;
DWORD skips;    // bytes of the instruction that raises
bool clobbers;  // the handler uses every register
ULONG extended_length;
std::uint64_t extended_mask;

extern "C" {
// Loads every register from `in`, calls `middle`, which leaves them alone, and stores them to `out`.
void around(const Registers* in, void (*middle)(), Registers* out);
void clobber();  // every vector and mask register
void undefined();
void test_alert();
FARPROC nt_test_alert;
}

// Windows's convention: RBX, RSI, RDI and XMM6-15 are the caller's.
asm(R"(
  .text
  .globl around
around:
  push %rbx
  push %rsi
  push %rdi
  sub $0xC0, %rsp
  .irp n,6,7,8,9,10,11,12,13,14,15
  movups %xmm\n, 0x20+16*(\n-6)(%rsp)
  .endr
  mov %rcx, %rbx
  mov %rdx, %rsi
  mov %r8, %rdi
  .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  vmovdqu64 64*\n(%rbx), %zmm\n
  .endr
  .irp n,0,1,2,3,4,5,6,7
  kmovq 2048+8*\n(%rbx), %k\n
  .endr
  call *%rsi
  .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  vmovdqu64 %zmm\n, 64*\n(%rdi)
  .endr
  .irp n,0,1,2,3,4,5,6,7
  kmovq %k\n, 2048+8*\n(%rdi)
  .endr
  vzeroupper
  .irp n,6,7,8,9,10,11,12,13,14,15
  movups 0x20+16*(\n-6)(%rsp), %xmm\n
  .endr
  add $0xC0, %rsp
  pop %rdi
  pop %rsi
  pop %rbx
  ret

  .globl clobber
clobber:
  sub $0xA8, %rsp
  .irp n,6,7,8,9,10,11,12,13,14,15
  movups %xmm\n, 16*(\n-6)(%rsp)
  .endr
  .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  vpternlogd $0xFF, %zmm\n, %zmm\n, %zmm\n
  .endr
  .irp n,0,1,2,3,4,5,6,7
  kxnorq %k\n, %k\n, %k\n
  .endr
  .irp n,6,7,8,9,10,11,12,13,14,15
  movups 16*(\n-6)(%rsp), %xmm\n
  .endr
  add $0xA8, %rsp
  ret

  .globl undefined
undefined:
  ud2
  ret

  .globl test_alert
test_alert:
  sub $0x28, %rsp
  call *nt_test_alert(%rip)
  add $0x28, %rsp
  ret
)");

// XSAVE_AREA_HEADER behind CONTEXT_EX, as the frame has it.
void look_at_extended(const CONTEXT& context) {
  extended_length = 0, extended_mask = 0;
  if ((context.ContextFlags & 0x40) == 0) return;
  const auto* const ex = reinterpret_cast<const std::uint8_t*>(&context + 1);
  LONG offset;
  std::memcpy(&offset, ex + 16, 4);
  std::memcpy(&extended_length, ex + 20, 4);
  std::memcpy(&extended_mask, ex + offset, 8);
}

LONG CALLBACK handler(EXCEPTION_POINTERS* pointers) {
  const EXCEPTION_RECORD& record = *pointers->ExceptionRecord;
  fault_code = record.ExceptionCode;
  fault_in_second = record.NumberParameters == 2 &&
                    record.ExceptionInformation[1] >> 12 == (reinterpret_cast<std::uintptr_t>(pages) >> 12) + 1;
  look_at_extended(*pointers->ContextRecord);
  if (clobbers) clobber();
  if (opens_second) {
    DWORD old;
    VirtualProtect(pages + 4096, 4096, PAGE_READWRITE, &old);
    opens_second = false;
  } else {
    pointers->ContextRecord->Rip += skips;
  }
  return EXCEPTION_CONTINUE_EXECUTION;
}

void close_second() {
  DWORD old;
  VirtualProtect(pages + 4096, 4096, PAGE_NOACCESS, &old);
  fault_code = 0, fault_in_second = false;
}

std::uint64_t sum_of(const void* from, std::size_t bytes) {
  std::uint64_t sum = 0;
  for (std::size_t n = 0; n < bytes; ++n) sum = sum * 31 + static_cast<const std::uint8_t*>(from)[n];
  return sum;
}

// Sixteen elements of four bytes, the first eight of them in the first page.
void masked_accesses() {
  std::uint32_t* const at = reinterpret_cast<std::uint32_t*>(pages + 4096 - 32);
  alignas(64) std::uint32_t values[16];
  for (int n = 0; n < 16; ++n) values[n] = static_cast<std::uint32_t>(n + 1) * 0x01010101;
  const auto store = [&](std::uint64_t mask) {
    asm volatile("kmovq %0, %%k1\n vmovdqu64 %1, %%zmm16\n vmovdqu32 %%zmm16, (%2) %{%%k1%}" ::"r"(mask), "m"(values),
                 "r"(at)
                 : "memory");
  };
  std::memset(pages, 0xEE, 8192);
  close_second();
  store(0x00A5);
  std::printf("masked store, no element beyond: fault %lx, elements %x %x %x %x\n", fault_code, at[0], at[1], at[2],
              at[7]);
  std::memset(pages, 0xEE, 4096);
  opens_second = true;
  store(0x80A5);
  std::printf("with one beyond: fault %lx in the second page %d; done %x %x %x\n", fault_code, fault_in_second, at[0],
              at[14], at[15]);
  alignas(64) std::uint32_t loaded[16] = {};
  close_second();
  const auto load = [&](std::uint64_t mask) {
    asm volatile(
        "kmovq %1, %%k2\n vpternlogd $0xFF, %%zmm17, %%zmm17, %%zmm17\n vmovdqu32 (%2), %%zmm17 %{%%k2%}\n"
        "vmovdqu64 %%zmm17, %0"
        : "=m"(loaded)
        : "r"(mask), "r"(at)
        : "memory");
  };
  load(0x00FF);
  std::printf("masked load: fault %lx, elements %x %x %x\n", fault_code, loaded[0], loaded[7], loaded[8]);
  opens_second = true;
  load(0x8001);
  std::printf("with one beyond: fault %lx in the second page %d; elements %x %x %x\n", fault_code, fault_in_second,
              loaded[0], loaded[1], loaded[15]);
  close_second();
  opens_second = true;
  asm volatile("kmovq %0, %%k1\n vmovdqu64 %1, %%zmm3\n vpcompressd %%zmm3, (%2) %{%%k1%}" ::"r"(std::uint64_t{0xFFF0}),
               "m"(values), "r"(at)
               : "memory");
  std::printf("compress across: fault %lx; elements %x %x\n", fault_code, at[0], at[11]);
  close_second();
  asm volatile("kmovq %1, %%k1\n vpexpandd (%2), %%zmm3 %{%%k1%}%{z%}\n vmovdqu64 %%zmm3, %0"
               : "=m"(loaded)
               : "r"(std::uint64_t{0xF00F}), "r"(at)
               : "memory");
  std::printf("expand of eight: fault %lx; elements %x %x %x\n", fault_code, loaded[0], loaded[4], loaded[15]);
}

void gathers() {
  std::uint32_t* const at = reinterpret_cast<std::uint32_t*>(pages);
  close_second();
  for (std::uint32_t n = 0; n < 1024; ++n) at[n] = n;
  alignas(64) std::uint32_t indices[16], out[16] = {};
  for (std::uint32_t n = 0; n < 16; ++n) indices[n] = n == 11 ? 1030 : n * 50;
  std::uint64_t left = 1;
  opens_second = true;
  asm volatile(
      "kmovq %2, %%k3\n vmovdqu64 %3, %%zmm20\n vpxord %%zmm21, %%zmm21, %%zmm21\n"
      "vpgatherdd (%4,%%zmm20,4), %%zmm21 %{%%k3%}\n vmovdqu64 %%zmm21, %0\n kmovq %%k3, %1"
      : "=m"(out), "=r"(left)
      : "r"(std::uint64_t{0xFFFF}), "m"(indices), "r"(at)
      : "memory");
  std::printf("gather: fault %lx in the second page %d; elements %u %u %u, mask left %llx\n", fault_code,
              fault_in_second, out[1], out[10], out[15], static_cast<unsigned long long>(left));
  asm volatile("kmovq %0, %%k3\n vmovdqu64 %1, %%zmm20\n vpscatterdd %%zmm20, (%2,%%zmm20,4) %{%%k3%}" ::"r"(
                   std::uint64_t{0x0803}),
               "m"(indices), "r"(at)
               : "memory");
  std::printf("scatter: %u %u\n", at[50], at[1030]);
}

void forms() {
  alignas(64) float floats[16];
  alignas(64) double doubles[8];
  alignas(64) std::uint64_t words[8], out[8];
  alignas(64) std::uint16_t small[32];
  for (unsigned n = 0; n < 32; ++n) small[n] = static_cast<std::uint16_t>(n / 2 * 5 % 12);
  for (int n = 0; n < 16; ++n) floats[n] = 0.1f * static_cast<float>(n + 1);
  for (int n = 0; n < 8; ++n)
    doubles[n] = 1.0 / (n + 3), words[n] = 0x0123456789ABCDEFull * static_cast<unsigned>(n + 1);
  const auto show = [&](const char* what) {
    std::printf("%-28s %016llx\n", what, static_cast<unsigned long long>(sum_of(out, sizeof out)));
  };
#define FORM(TEXT, CODE, INPUT)                                                                  \
  asm volatile("vmovdqu64 %1, %%zmm18\n vmovdqu64 %2, %%zmm31\n" CODE "\n vmovdqu64 %%zmm19, %0" \
               : "=m"(out)                                                                       \
               : "m"(INPUT), "m"(words), "r"(&INPUT)                                             \
               : "memory", "rax", "cc");                                                         \
  show(TEXT)
  FORM("broadcast from memory", "vaddps (%3)%{1to16%}, %%zmm18, %%zmm19", floats);
  FORM("displacement times 64", "lea -64(%3), %%rax\n vmulpd 64(%%rax), %%zmm18, %%zmm19", doubles);
  FORM("rounding down", "vdivpd %{rd-sae%}, %%zmm18, %%zmm18, %%zmm19\n vaddpd %{ru-sae%}, %%zmm18, %%zmm19, %%zmm19",
       doubles);
  FORM("three inputs, any table", "vmovdqa64 %%zmm18, %%zmm19\n vpternlogq $0x96, %%zmm31, %%zmm31, %%zmm19", words);
  FORM("permutation of two", "vmovdqa64 %%zmm31, %%zmm19\n vpermt2d %%zmm18, %%zmm31, %%zmm19", words);
  FORM("conflicts", "vpconflictd %%zmm18, %%zmm19", small);
  FORM("leading zeros", "vplzcntq %%zmm31, %%zmm19", words);
  FORM("bytes, zeroed by a mask",
       "mov $0x5555AAAA12345678, %%rax\n kmovq %%rax, %%k5\n vpaddb %%zmm18, %%zmm31, %%zmm19 %{%%k5%}%{z%}", words);
  FORM("words shifted by words", "vpsllvw %%zmm18, %%zmm31, %%zmm19", small);
  FORM("unsigned to double", "vcvtuqq2pd %%zmm31, %%zmm19", words);
  FORM("128 bits, high registers", "vpxord %%zmm19, %%zmm19, %%zmm19\n vpaddd %%xmm18, %%xmm31, %%xmm19", words);
#undef FORM
  std::uint64_t result[6];
  unsigned char carry = 0, zero = 0;
  asm volatile(
      "kmovq %8, %%k1\n kmovq %9, %%k2\n kandnq %%k1, %%k2, %%k3\n kmovq %%k3, %0\n kxorq %%k1, %%k2, %%k4\n"
      "kmovq %%k4, %1\n kshiftlq $13, %%k1, %%k5\n kmovq %%k5, %2\n kunpckdq %%k1, %%k2, %%k6\n kmovq %%k6, %3\n"
      "kaddq %%k1, %%k2, %%k7\n kmovq %%k7, %4\n knotw %%k1, %%k7\n kmovq %%k7, %5\n"
      "kxnorq %%k0, %%k0, %%k0\n kortestq %%k0, %%k1\n setc %6\n ktestq %%k3, %%k2\n setz %7"
      : "=&r"(result[0]), "=&r"(result[1]), "=&r"(result[2]), "=&r"(result[3]), "=&r"(result[4]), "=&r"(result[5]),
        "=&q"(carry), "=&q"(zero)
      : "r"(std::uint64_t{0xF0F0F0F01234ABCD}), "m"(words[2])
      : "cc");
  std::printf("masks");
  for (const std::uint64_t value : result) std::printf(" %llx", static_cast<unsigned long long>(value));
  std::printf(", all ones %d, none in common %d\n", carry, zero);
}

void fill(Registers& registers) {
  std::uint32_t seed = 7;
  for (std::size_t n = 0; n < sizeof registers; ++n) {
    seed = seed * 1103515245 + 12345;
    reinterpret_cast<std::uint8_t*>(&registers)[n] = static_cast<std::uint8_t>(seed >> 16);
  }
}

void compare(const char* what, const Registers& in, const Registers& out) {
  int vectors = 0, masks = 0;
  for (int n = 0; n < kVectors; ++n) vectors += std::memcmp(in.zmm[n], out.zmm[n], 64) == 0;
  for (int n = 0; n < kMasks; ++n) masks += in.mask[n] == out.mask[n];
  std::printf("%s: %d vectors and %d masks as before\n", what, vectors, masks);
}

void keeping() {
  static Registers in, out;
  fill(in);
  skips = 2, clobbers = true;
  around(&in, undefined, &out);
  clobbers = false;
  compare("exception", in, out);
  std::printf("its frame: length %lx, components %llx\n", extended_length,
              static_cast<unsigned long long>(extended_mask));
  // What was in its initial state is so again.
  static Registers none;
  none = {};
  clobbers = true;
  around(&none, undefined, &out);
  clobbers = false;
  compare("exception, all zero", none, out);
  std::printf("its frame: components %llx\n", static_cast<unsigned long long>(extended_mask));
  nt_test_alert = GetProcAddress(GetModuleHandleA("ntdll"), "NtTestAlert");
  static int ran;
  for (int n = 0; n < 2; ++n) {
    QueueUserAPC([](ULONG_PTR) { clobber(), ++ran; }, GetCurrentThread(), 0);
  }
  around(&in, test_alert, &out);
  std::printf("APCs that ran: %d\n", ran);
  compare("user APC", in, out);
}

void refused() {
#define REFUSED(TEXT, LENGTH, CODE) \
  fault_code = 0, skips = LENGTH;   \
  asm volatile(CODE ::: "memory");  \
  std::printf("%-32s %lx\n", TEXT, fault_code)
  REFUSED("vaddps zmm1, zmm2, zmm3", 6, "vaddps %%zmm3, %%zmm2, %%zmm1");
  REFUSED("vpaddd xmm16, xmm1, xmm2", 6, "vpaddd %%xmm2, %%xmm1, %%xmm16");
  REFUSED("kmovw k1, k2", 4, "kmovw %%k2, %%k1");
  REFUSED("kmovq k1, rax", 5, "kmovq %%rax, %%k1");
  REFUSED("vpaddd ymm1, ymm2, ymm3", 4, "vpaddd %%ymm3, %%ymm2, %%ymm1");
#undef REFUSED
}

}  // namespace

int main() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  __cpuid_count(7, 0, eax, ebx, ecx, edx);
  const bool there = (ebx >> 16 & 1) != 0;
  unsigned low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  const auto enabled = reinterpret_cast<DWORD64(WINAPI*)()>(
      reinterpret_cast<void*>(GetProcAddress(GetModuleHandleA("kernelbase"), "GetEnabledXStateFeatures")));
  std::printf("CPUID %x, XCR0 %x, enabled %llx, feature 41 %d\n", ebx & 0xD003'0000, low, enabled ? enabled() : 0,
              IsProcessorFeaturePresent(41));
  pages = static_cast<unsigned char*>(VirtualAlloc(nullptr, 8192, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE));
  AddVectoredExceptionHandler(1, handler);
  if (!there) {
    refused();
    return 1;
  }
  masked_accesses();
  gathers();
  forms();
  keeping();
  return 0;
}
