#include "native_runner.h"

#include <sys/mman.h>

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
constexpr u64 kTrampolineBytes = 0x2000;

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
}  // namespace

NativeRunner::NativeRunner() {
  const auto map = [](u64 at, u64 bytes) {
    return mmap(reinterpret_cast<void*>(at), bytes, PROT_READ | PROT_WRITE | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == reinterpret_cast<void*>(at);
  };
  usable_ = map(kCode, kCodeBytes) && map(kData, kDataBytes);
  trampoline_ = mmap(nullptr, kTrampolineBytes, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  VITRINE_CHECK(trampoline_ != MAP_FAILED);
}

NativeRunner::~NativeRunner() {
  munmap(reinterpret_cast<void*>(kCode), kCodeBytes);
  munmap(reinterpret_cast<void*>(kData), kDataBytes);
  munmap(trampoline_, kTrampolineBytes);
}

// Entry at the start: void(NativeState*, code). Exit at +0x1000: every register is stored at absolute addresses, then
// the host goes on.
void NativeRunner::build_trampoline(NativeState& state) {
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
  e.byte(0x56);                                                                 // push rsi: the code
  e.op_memory(Width::b32, 0x8F, 0, field(kRdi, offsetof(NativeState, stack)));  // pop
  for (int n = 0; n < 16; ++n)
    if (n != kRdi) e.load(n, gpr(kRdi, n));
  // The code address has no register left to be in: jump through memory at an absolute address.
  e.load(kRdi, gpr(kRdi, kRdi));
  e.byte(0xFF);
  e.byte(0x25);
  e.dword(0);
  e.qword(0);
  u8* slot = e.here() - 8;
  std::memcpy(base + kTrampolineBytes - 8, &slot, 8);

  e.place(base + 0x1000);
  const u64 rax_slot = reinterpret_cast<u64>(&state.gpr[0]);
  e.byte(0x48);
  e.byte(0xA3);
  e.qword(rax_slot);
  e.byte(0x48);
  e.byte(0xB8);
  e.qword(reinterpret_cast<u64>(&state));
  for (int n = 1; n < 16; ++n) e.store(gpr(kRax, n), n);
  e.lea(kRsp, field(kRax, offsetof(NativeState, stack) + 192));
  e.byte(0x9C);
  e.op_memory(Width::b32, 0x8F, 0, field(kRax, offsetof(NativeState, rflags)));
  e.byte(0xFC);  // cld
  for (int n = 0; n < 16; ++n)
    vmovups(e, 0x11, n, field(kRax, offsetof(NativeState, ymm) + 32 * static_cast<std::size_t>(n)));
  e.op_memory(Width::b64, 0x0FAE, 0, field(kRax, offsetof(NativeState, fxsave)));
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
void NativeRunner::run(std::span<const u8> code, u64 at, NativeState& state) {
  build_trampoline(state);
  auto* const target = reinterpret_cast<u8*>(at);
  std::memcpy(target, code.data(), code.size());
  Emitter e;
  e.place(target + code.size());
  e.byte(0xFF);
  e.byte(0x25);
  e.dword(0);
  e.qword(reinterpret_cast<u64>(trampoline_) + 0x1000);
  u8* slot;
  std::memcpy(&slot, static_cast<u8*>(trampoline_) + kTrampolineBytes - 8, 8);
  std::memcpy(slot, &at, 8);
  reinterpret_cast<void (*)(NativeState*, u64)>(trampoline_)(&state, at);
}

}  // namespace vitrine::cpu::test
