// KvmBackend: the Backend itself. Decides what each trap means for the kernel, executes what it can answer by itself,
// and keeps the time.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "cpu/kvm/coherence.h"
#include "cpu/kvm/kvm.h"
#include "cpu/kvm/roots.h"
#include "cpu/kvm/slice_timer.h"
#include "cpu/kvm/virtual_processor.h"

namespace vitrine::cpu::kvm {

class KvmBackend final : public Kvm {
 public:
  KvmBackend(Vm vm, ram::GuestRam& ram, Identity& identity, u32 processors, const KvmOptions& options);
  ~KvmBackend() override;

  std::unique_ptr<Space> create_space(Pfn root) override;
  Exit run(u32 processor, Space& space, GuestContext& context, u64 budget) override;
  void commit(std::span<const PteEdit> edits) override { coherence_.commit(edits); }
  void flush(Space&) override { coherence_.forget_all(); }
  void code_written(Pfn) override {}  // processors see writes to code by themselves
  void kick(u32 processor) override;
  [[nodiscard]] KvmPaging paging() const override { return coherence_.paging(); }
  [[nodiscard]] bool traps_identity() const override { return traps_identity_; }

  void space_ends(const KvmSpace& space);

 private:
  struct Processor {
    std::unique_ptr<VirtualProcessor> virtual_processor;  // made when it first runs
    std::atomic<u8*> immediate_exit{nullptr};
    std::atomic<bool> kicked{false};
    u64 generation = 0;
  };
  struct Pass;
  struct Place {  // where a guest was, to see whether it moves
    Va rip;
    std::array<u64, 16> gpr;
  };
  [[nodiscard]] VirtualProcessor& virtual_processor(u32 number);
  void probe();
  void step(Pass& pass);
  void after_interruption(Pass& pass, const Place& before);
  void after_vector(Pass& pass, Trap& trap);
  void after_page_fault(Pass& pass, const Trap& trap);
  void after_debug(Pass& pass, const Trap& trap);
  [[nodiscard]] bool execute_trapped(Pass& pass, const Trap& trap);
  [[nodiscard]] bool looks_like_system_call(const Trap& trap, const GuestContext& context) const;
  [[nodiscard]] std::size_t fetch(const Pass& pass, Va at, std::span<u8> code) const;
  [[nodiscard]] u64 worth(u64 nanoseconds) const { return nanoseconds * 1000 / options_.instruction_picoseconds; }

  Vm vm_;
  ram::GuestRam& ram_;
  Identity& identity_;
  KvmOptions options_;
  OwnMemory own_;
  Roots roots_;
  Coherence coherence_;
  CpuidTable cpuid_;
  SliceTimer timer_;
  std::vector<Processor> processors_;
  bool traps_identity_ = false;
  bool system_calls_fault_ = false;  // see looks_like_system_call
  u64 least_slice_ns_;
};

}  // namespace vitrine::cpu::kvm
