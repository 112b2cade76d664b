// VirtualProcessor: one vCPU. Puts a guest's context into it, runs ring 3 until something comes to ring 0 or the host
// interrupts, and takes the context out again.
//
// Owns the vCPU's descriptor and its shared page. Knows ring 0's pages (OwnMemory) and nothing of policy: what a trap
// means is for the back end.
#pragma once

#include "cpu/backend.h"
#include "cpu/kvm/device.h"
#include "cpu/kvm/own_memory.h"

namespace vitrine::cpu::kvm {

// What brought the guest to ring 0. The context is as ring 3 left it: RIP and RFLAGS are those that were pushed, or for
// a system call those in RCX and R11.
struct Trap {
  enum class Kind : u8 {
    vector,
    system_call,
    compatibility_call,  // SYSCALL of 32-bit code
    interrupted,         // by a signal; nothing is half done
  };
  Kind kind = Kind::interrupted;
  u32 vector = 0;
  u64 error_code = 0;
  u64 code_selector = kUserCode;
};

class VirtualProcessor {
 public:
  // `cpuid`: what the processor says of itself unless its CPUID can be trapped; see `traps_identity`.
  VirtualProcessor(const Vm& vm, OwnMemory& own, u32 number, const CpuidTable& cpuid);
  ~VirtualProcessor();
  VirtualProcessor(const VirtualProcessor&) = delete;
  VirtualProcessor& operator=(const VirtualProcessor&) = delete;

  // RDTSC, RDTSCP and CPUID of ring 3 give #GP.
  [[nodiscard]] bool traps_identity() const { return traps_identity_; }

  // Runs `context` on the page tables at guest-physical `root`. `flush`: forget all translations first.
  Trap run(u64 root, GuestContext& context, bool flush);
  // CR2 and DR6 of the last trap.
  [[nodiscard]] u64 fault_address() const;
  [[nodiscard]] u64 debug_status();
  // Not zero: `run` ends before or in the next entry. Cleared by whoever set it.
  [[nodiscard]] u8* immediate_exit() const { return &shared_->immediate_exit; }

 private:
  void make_ring0();
  void load(u64 root, const GuestContext& context, bool flush);
  void load_vectors(const GuestContext& context);
  void load_breakpoints(const GuestContext& context);
  void store(GuestContext& context);
  [[nodiscard]] bool event_pending() const;
  [[nodiscard]] Trap explain(GuestContext& context) const;

  const OwnMemory& own_;
  u32 number_;
  Descriptor processor_;
  std::size_t shared_bytes_ = 0;
  kvm_run* shared_ = nullptr;
  bool traps_identity_ = false;
  bool vectors_loaded_ = false;
  std::array<std::byte, sizeof(GuestContext::xsave)> vectors_{};  // the image as the vCPU has it
  std::array<u64, 6> breakpoints_{};                              // and DR0-DR3, DR6 and DR7
};

}  // namespace vitrine::cpu::kvm
