// kvm: the Backend for native speed, where the host has /dev/kvm. Guest code runs in ring 3 of a virtual machine whose
// ring 0 is a page of HLT instructions; every trap ends there and is explained here.
//
// Owns the virtual machine, one virtual processor for each processor of the machine, and the few pages that only ring 0
// can see. `ram` must be shared (ram/shared_ram.h). It cannot count instructions: a budget is a span of host time,
// and `Exit::retired` what that time is worth at the price of an instruction. Runs are therefore not deterministic.
// README.md explains the design.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "cpu/backend.h"
#include "ram/guest_ram.h"

namespace vitrine::cpu {

// How the host's kernel translates guest addresses, and so what makes it forget.
enum class KvmPaging : u8 {
  nested,  // hardware walks the guest's tables: a flush of the TLB
  shadow,  // KVM keeps a copy of the guest's tables, of which edits by the host are unknown to it
};

struct KvmOptions {
  u64 instruction_picoseconds = 333;  // what host time is worth: `budget` and `retired` (> 0)
};

class Kvm : public Backend {
 public:
  [[nodiscard]] virtual KvmPaging paging() const = 0;
  // RDTSC and CPUID come from the Identity. False: the host's kernel cannot trap them; the guest sees the host's time
  // stamp counter, and a CPUID that was set once.
  [[nodiscard]] virtual bool traps_identity() const = 0;
};

// Empty if /dev/kvm can be used, with so much RAM; else one line that says what to do.
[[nodiscard]] std::string kvm_problem(u64 ram_bytes = 0);

// `ram` and `identity` must outlive the back end; `ram` is of create_shared_ram. 1 <= processors <= 64. The error is
// that of `kvm_problem`.
[[nodiscard]] std::expected<std::unique_ptr<Kvm>, std::string> make_kvm(ram::GuestRam& ram, Identity& identity,
                                                                        u32 processors, const KvmOptions& options = {});

}  // namespace vitrine::cpu
