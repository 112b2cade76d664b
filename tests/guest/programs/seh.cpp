// Hardware exceptions as a vectored handler sees them: code, parameters, address, registers; and what a changed CONTEXT
// does.
#include <windows.h>

#include <cstdint>
#include <cstdio>

namespace {
struct Seen {
  DWORD code;
  DWORD flags;
  DWORD parameters;
  ULONG_PTR information[4];
  bool address_is_rip;
  DWORD64 rax, rcx, rdx, r15;
  WORD cs, ss;
};
Seen seen;
DWORD64 resume_at;  // the handler continues there; 0: skip nothing
volatile long handled;

LONG CALLBACK handler(EXCEPTION_POINTERS* pointers) {
  const EXCEPTION_RECORD& record = *pointers->ExceptionRecord;
  CONTEXT& context = *pointers->ContextRecord;
  seen = {};
  seen.code = record.ExceptionCode;
  seen.flags = record.ExceptionFlags;
  seen.parameters = record.NumberParameters;
  for (DWORD i = 0; i < record.NumberParameters && i < 4; ++i) seen.information[i] = record.ExceptionInformation[i];
  seen.address_is_rip = reinterpret_cast<DWORD64>(record.ExceptionAddress) == context.Rip;
  seen.rax = context.Rax;
  seen.rcx = context.Rcx;
  seen.rdx = context.Rdx;
  seen.r15 = context.R15;
  seen.cs = context.SegCs;
  seen.ss = context.SegSs;
  handled = handled + 1;
  if (resume_at) context.Rip = resume_at;
  resume_at = 0;
  context.EFlags &= ~0x100u;
  return EXCEPTION_CONTINUE_EXECUTION;
}

void show(const char* what) {
  std::printf("%-12s code %08lx flags %lx parameters %lu", what, seen.code, seen.flags, seen.parameters);
  for (DWORD i = 0; i < seen.parameters && i < 4; ++i)
    std::printf(" %llx", static_cast<unsigned long long>(seen.information[i]));
  std::printf(" at rip %d cs %x ss %x\n", seen.address_is_rip, seen.cs, seen.ss);
}

// Runs INSTRUCTION with known registers; the handler resumes after it.
#define FAULT(INSTRUCTION)                                                                      \
  asm volatile(                                                                                 \
      "lea 1f(%%rip), %%rax\n mov %%rax, %0\n mov $0x1122334455667788, %%r15\n mov $7, %%rax\n" \
      "mov $0x1234, %%rcx\n xor %%edx, %%edx\n" INSTRUCTION "\n1:\n"                            \
      : "=m"(resume_at)                                                                         \
      :                                                                                         \
      : "rax", "rcx", "rdx", "r15", "memory", "cc")

void access_violations() {
  FAULT("mov (%%rcx), %%rax");
  show("read");
  std::printf("registers %llx %llx %llx\n", seen.rax, seen.rcx, seen.r15);
  FAULT("movl $1, 0x10(%%rcx)");
  show("write");
  FAULT("mov $0x8000000000000000, %%rcx\n mov (%%rcx), %%rax");
  show("non-canon");
  FAULT("push %%rcx\n pop %%rcx\n movaps -7(%%rsp), %%xmm0");
  show("misaligned");
}

void others() {
  FAULT("xor %%ecx, %%ecx\n div %%rcx");
  show("divide");
  FAULT("ud2");
  show("illegal");
  FAULT("hlt");
  show("privileged");
  FAULT("int3");
  show("breakpoint");
  resume_at = 0;
  asm volatile("pushfq\n orl $0x100, (%%rsp)\n popfq\n nop\n nop\n" ::: "memory", "cc");
  show("single step");
  ULONG_PTR arguments[3] = {1, 2, 0xabcdef};
  RaiseException(0xe0001234, 0, 3, arguments);
  seen.address_is_rip = true;
  show("raised");
}

void protections() {
  auto* page = static_cast<volatile char*>(VirtualAlloc(nullptr, 4096, MEM_RESERVE | MEM_COMMIT, PAGE_READONLY));
  asm volatile("lea 1f(%%rip), %%rax\n mov %%rax, %0\n movb $1, (%1)\n1:\n"
               : "=m"(resume_at)
               : "r"(page)
               : "rax", "memory");
  std::printf("read-only    code %08lx kind %llu offset %lld\n", seen.code, seen.information[0],
              static_cast<long long>(seen.information[1] - reinterpret_cast<ULONG_PTR>(page)));
  DWORD old = 0;
  VirtualProtect(const_cast<char*>(page), 4096, PAGE_READWRITE, &old);
  page[0] = static_cast<char>(0xc3);
  asm volatile("lea 1f(%%rip), %%rax\n mov %%rax, %0\n mov %1, %%rcx\n jmp *%%rcx\n1:\n"
               : "=m"(resume_at)
               : "r"(page)
               : "rax", "rcx", "memory");
  std::printf("no-execute   code %08lx kind %llu offset %lld\n", seen.code, seen.information[0],
              static_cast<long long>(seen.information[1] - reinterpret_cast<ULONG_PTR>(page)));
  VirtualFree(const_cast<char*>(page), 0, MEM_RELEASE);
}
}  // namespace

int main() {
  void* token = AddVectoredExceptionHandler(1, handler);
  access_violations();
  others();
  protections();
  for (int i = 0; i < 2000; ++i) FAULT("mov (%%rcx), %%rax");
  std::printf("handled %ld\n", handled);
  std::printf("removed %lu\n", RemoveVectoredExceptionHandler(token));
  return 0;
}
