#include "native_runner.h"

#include <asm/prctl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstring>

#include "base/check.h"
#include "cpu/translator/emitter.h"

namespace vitrine::cpu::test {
namespace {
using translator::Emitter;
using translator::HostMemory;
using translator::Width;
constexpr int kRax = 0, kRsp = 4, kRdi = 7;
constexpr int kCalleeSaved[] = {3, 5, 12, 13, 14, 15};
constexpr u64 kTrampolineBytes = 0x2000, kLeave = 0x1000, kTargetSlot = 0x1FF8, kSignalStackBytes = 1 << 16;
constexpr u64 kBreakpoint = 3, kInvalidOpcode = 6;
constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP};  // and SIGFPE, for the length of a run only

// The run in progress, for the signal handler.
struct Running {
  NativeState* state = nullptr;
  NativeEnd end;
  u64 leave = 0;
};
Running running;

struct sigaction previous_actions[NSIG];  // what each signal did before

void vmovups(Emitter& e, u32 opcode, int ymm, HostMemory memory) {
  e.byte(0xC5);
  e.byte((ymm >= 8 ? 0x00u : 0x80u) | 0x7Cu);
  e.byte(opcode);
  e.modrm_memory(ymm, memory);
}
HostMemory field(int base, std::size_t offset) { return {base, -1, 0, static_cast<i32>(offset)}; }
HostMemory gpr(int base, int number) {
  return field(base, offsetof(NativeState, gpr) + 8 * static_cast<std::size_t>(number));
}

// The signal frame's XSAVE image into the state. Components whose bit is clear are in their initial state.
void take_vectors(const fpregset_t image, NativeState& state) {
  const auto* const bytes = reinterpret_cast<const u8*>(image);
  u64 present;
  std::memcpy(&present, bytes + 512, 8);
  const u32 mxcsr_and_mask[2] = {0x1F80, 0xFFFF};
  const u16 control = 0x37F;
  state.fxsave = {};
  std::memcpy(state.fxsave.data() + 24, (present & 6) != 0 ? bytes + 24 : reinterpret_cast<const u8*>(mxcsr_and_mask),
              8);
  std::memcpy(state.fxsave.data(), &control, 2);
  if ((present & 1) != 0) {
    std::memcpy(state.fxsave.data(), bytes, 24);
    std::memcpy(state.fxsave.data() + 32, bytes + 32, 128);
  }
  for (std::size_t n = 0; n < 16; ++n) {
    state.ymm[n] = {};
    if ((present & 2) != 0) std::memcpy(state.ymm[n].data(), bytes + 160 + 16 * n, 16);
    if ((present & 4) != 0) std::memcpy(state.ymm[n].data() + 16, bytes + 576 + 16 * n, 16);
  }
}

void on_signal(int number, siginfo_t*, void* opaque) {
  constexpr u64 kAlignmentCheck = 1u << 18;  // which the code may have left on; the kernel does not clear it
  __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~kAlignmentCheck);
  if (running.state == nullptr) {  // a fault of the test program itself
    sigaction(number, &previous_actions[number], nullptr);
    return;
  }
  auto* const context = static_cast<ucontext_t*>(opaque);
  greg_t* const from = context->uc_mcontext.gregs;
  NativeState& state = *running.state;
  constexpr int kOrder[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                            REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  for (std::size_t n = 0; n < 16; ++n) state.gpr[n] = static_cast<u64>(from[kOrder[n]]);
  state.rflags = static_cast<u64>(from[REG_EFL]);
  take_vectors(context->uc_mcontext.fpregs, state);
  running.end = {static_cast<u64>(from[REG_TRAPNO]), static_cast<u64>(from[REG_ERR]), static_cast<u64>(from[REG_CR2]),
                 static_cast<u64>(from[REG_RIP])};
  from[REG_RAX] = reinterpret_cast<greg_t>(&state);
  // Returning to a stack pointer that is not canonical is #GP in the kernel's way out on some processors.
  from[REG_RSP] = static_cast<greg_t>(state.host_rsp);
  from[REG_RIP] = static_cast<greg_t>(running.leave);
  from[REG_EFL] = 0x202;
  running.state = nullptr;
  // An exception that is still pending would be raised again by the first x87 instruction of the way out.
  auto* const image = reinterpret_cast<u8*>(context->uc_mcontext.fpregs);
  image[2] = image[3] = 0;
}

void install(int number, struct sigaction* previous = nullptr) {
  struct sigaction action{};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, previous);
}

}  // namespace

NativeRunner::NativeRunner() {
  const auto map = [](u64 at, u64 bytes) {
    return mmap(reinterpret_cast<void*>(at), bytes, PROT_READ | PROT_WRITE | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == reinterpret_cast<void*>(at);
  };
  usable_ = map(kCode, kCodeBytes) && map(kData, kDataBytes) && map(kEdge, kEdgeBytes);
  if (!usable_) return;
  munmap(reinterpret_cast<void*>(kEdge + 0x1000), 0x1000);
  munmap(reinterpret_cast<void*>(kEdge + 0x4000), 0x1000);
  for (u64 n = 0; n < 0x1000; ++n) reinterpret_cast<u8*>(kEdgeReadOnly)[n] = static_cast<u8>(37 * n + n / 256);
  mprotect(reinterpret_cast<void*>(kEdgeReadOnly), 0x1000, PROT_READ);
  trampoline_ = mmap(nullptr, kTrampolineBytes, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  signal_stack_ = mmap(nullptr, kSignalStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  VITRINE_CHECK(trampoline_ != MAP_FAILED && signal_stack_ != MAP_FAILED);
  build_trampoline();
  const stack_t stack{.ss_sp = signal_stack_, .ss_flags = 0, .ss_size = kSignalStackBytes};
  VITRINE_CHECK(sigaltstack(&stack, nullptr) == 0);
  for (int number : kSignals) install(number, &previous_actions[number]);
  VITRINE_CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, kGsBase) == 0);
}

NativeRunner::~NativeRunner() {
  if (!usable_) return;
  for (int number : kSignals) sigaction(number, &previous_actions[number], nullptr);
  const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
  sigaltstack(&none, nullptr);
  syscall(SYS_arch_prctl, ARCH_SET_GS, 0);
  munmap(reinterpret_cast<void*>(kCode), kCodeBytes);
  munmap(reinterpret_cast<void*>(kData), kDataBytes);
  munmap(reinterpret_cast<void*>(kEdge), kEdgeBytes);
  munmap(trampoline_, kTrampolineBytes);
  munmap(signal_stack_, kSignalStackBytes);
}

// Entry at the start: void(NativeState*). The way out at kLeave, with the state in RAX.
void NativeRunner::build_trampoline() {
  Emitter e;
  auto* const base = static_cast<u8*>(trampoline_);
  e.place(base);
  for (int reg : kCalleeSaved) {
    if (reg >= 8) e.byte(0x41);
    e.byte(0x50u | static_cast<u32>(reg & 7));
  }
  e.store(field(kRdi, offsetof(NativeState, host_rsp)), kRsp);
  e.op_memory(Width::b64, 0x0FAE, 0, field(kRdi, offsetof(NativeState, host_fxsave)));
  e.op_memory(Width::b64, 0x0FAE, 1, field(kRdi, offsetof(NativeState, fxsave)));
  for (int n = 0; n < 16; ++n)
    vmovups(e, 0x10, n, field(kRdi, offsetof(NativeState, ymm) + 32 * static_cast<std::size_t>(n)));
  e.op_memory(Width::b32, 0xFF, 6, field(kRdi, offsetof(NativeState, rflags)));  // push
  e.byte(0x9D);
  for (int n = 0; n < 16; ++n)
    if (n != kRdi) e.load(n, gpr(kRdi, n));
  // The code address has no register left to be in: jump through memory relative to RIP.
  e.load(kRdi, gpr(kRdi, kRdi));
  e.byte(0xFF);
  e.byte(0x25);
  e.dword(static_cast<u32>(base + kTargetSlot - (e.here() + 4)));

  e.place(base + kLeave);
  e.op_memory(Width::b64, 0x0FAE, 1, field(kRax, offsetof(NativeState, host_fxsave)));
  e.byte(0xC5);
  e.byte(0xF8);
  e.byte(0x77);
  e.load(kRsp, field(kRax, offsetof(NativeState, host_rsp)));
  for (int n = 5; n >= 0; --n) {
    const int reg = kCalleeSaved[n];
    if (reg >= 8) e.byte(0x41);
    e.byte(0x58u | static_cast<u32>(reg & 7));
  }
  e.byte(0xC3);
}

[[clang::no_sanitize("function")]]  // generated code has no type to check
NativeEnd
NativeRunner::run(std::span<const u8> code, u64 at, NativeState& state) {
  std::memcpy(reinterpret_cast<u8*>(at), code.data(), code.size());
  reinterpret_cast<u8*>(at)[code.size()] = 0xCC;
  std::memcpy(static_cast<u8*>(trampoline_) + kTargetSlot, &at, 8);
  struct sigaction translators;  // which it installs once, when a guest unmasks exceptions
  install(SIGFPE, &translators);
  running = {&state, {}, reinterpret_cast<u64>(trampoline_) + kLeave};
  reinterpret_cast<void (*)(NativeState*)>(trampoline_)(&state);
  sigaction(SIGFPE, &translators, nullptr);
  NativeEnd end = running.end;
  // Some hypervisors under which this may run now and then report a breakpoint as an invalid opcode.
  if (end.vector == kInvalidOpcode && *reinterpret_cast<const u8*>(end.rip) == 0xCC)
    end.vector = kBreakpoint, ++end.rip;
  return end;
}

}  // namespace vitrine::cpu::test
