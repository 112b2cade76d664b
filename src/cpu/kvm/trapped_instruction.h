// Instructions that arrive as #UD or #GP but are not the guest's fault: those that the back end executes itself, from
// the Identity, and those that some processors and hypervisors report in another way than they should.
#pragma once

#include <optional>
#include <span>

#include "cpu/backend.h"

namespace vitrine::cpu::kvm {

struct TrappedInstruction {
  enum class Kind : u8 {
    other,      // really #UD or #GP
    interrupt,  // INT n (`number`), INT3 included
    icebp,      // F1
    identity,   // CPUID, RDTSC, RDTSCP, RDRAND, RDSEED
  };
  Kind kind = Kind::other;
  u32 length = 0;
  u32 number = 0;
};

// What the bytes at RIP are.
[[nodiscard]] TrappedInstruction decode_trapped(std::span<const u8> code);

// Executes one of Kind::identity. `retired`: so many instructions since the run began.
void execute_identity(std::span<const u8> code, Identity& identity, u32 processor, u64 retired, GuestContext& context);

}  // namespace vitrine::cpu::kvm
