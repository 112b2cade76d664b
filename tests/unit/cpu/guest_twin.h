// A guest whose memory lies where NativeRunner's does, with the same rights; puts the same state into it and says what
// differs afterwards.
#pragma once

#include <string>
#include <vector>

#include "guest_machine.h"
#include "native_runner.h"

namespace vitrine::cpu::test {

// Bytes of memory that are not compared: [first, first + bytes).
struct Ignored {
  Va first = 0;
  u64 bytes = 0;
};

class GuestTwin {
 public:
  // On a hot translator its pages lie together on the host, elsewhere neighbours in guest memory are not neighbours
  // there.
  explicit GuestTwin(BackendKind kind = BackendKind::translator);
  // The state as a guest has it, about to run at `entry`.
  [[nodiscard]] static GuestContext context_of(const NativeState& state, Va entry);
  void load(const NativeState& state, Va entry) { guest_.context = context_of(state, entry); }
  // Data and edge, in that order; pages that are not there are skipped.
  void load_memory(std::span<const u8> memory);
  // Runs `code` natively from `state` and `memory`; `state` is what it leaves. Every instruction of a test is one that
  // the host has, so #UD is tried again: under a nested hypervisor it comes about once in twenty thousand programs, at
  // instructions that run the next time.
  static NativeEnd run_natively(NativeRunner& native, std::span<const u8> code, Va at, std::span<const u8> memory,
                                NativeState& state);
  // The same on this guest, in place of the host: where `kind` is kvm, the oracle for the other back end. What it
  // leaves in memory is copied to where a native run leaves it.
  NativeEnd run_as_oracle(std::span<const u8> code, Va at, std::span<const u8> memory, NativeState& state);
  // Empty if the guest is as the native run left it.
  [[nodiscard]] std::string differences(const NativeState& native, u32 undefined_flags,
                                        std::span<const Ignored> ignored = {});
  [[nodiscard]] GuestMachine& machine() { return guest_; }

  static constexpr u64 kMemoryBytes = NativeRunner::kDataBytes + NativeRunner::kEdgeBytes;

 private:
  static void load_native_memory(std::span<const u8> memory);
  [[nodiscard]] std::string page_difference(Va page, const u8* native, std::span<const Ignored> ignored);
  GuestMachine guest_;
};

[[nodiscard]] std::string disassemble(std::span<const u8> code, Va at);

}  // namespace vitrine::cpu::test
