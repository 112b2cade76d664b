// Coherence: what has to happen before the next run so that nothing is used that the kernel has taken away.
//
// Nested paging: processors cache what they read of the guest's tables, as on real hardware, and a flush of the TLB is
// all. Each processor compares `generation` with the one that it has seen.
// Shadow paging: KVM has a copy of the tables and is told nothing of edits by this process. It forgets a translation
// when the page that it leads to is taken away from this process (MADV_DONTNEED; the bytes stay in the memfd), and
// everything when a memory slot goes.
//
// Owns a memory slot of one page, which comes and goes. Refuses nothing.
#pragma once

#include <span>

#include "cpu/backend.h"
#include "cpu/kvm/device.h"
#include "cpu/kvm/kvm.h"
#include "cpu/kvm/own_memory.h"
#include "ram/guest_ram.h"

namespace vitrine::cpu::kvm {

class Coherence {
 public:
  // `slot`, at `guest_physical`: for the page that comes and goes.
  Coherence(const Vm& vm, ram::GuestRam& ram, u32 slot, u64 guest_physical);
  ~Coherence();
  Coherence(const Coherence&) = delete;
  Coherence& operator=(const Coherence&) = delete;

  void set_paging(KvmPaging paging) { paging_ = paging; }
  [[nodiscard]] KvmPaging paging() const { return paging_; }

  void commit(std::span<const PteEdit> edits);
  void forget_all();

  // Before a run: does what is due for the machine; the processor has to flush if it has not yet seen the result.
  [[nodiscard]] u64 settle();

 private:
  const Vm& vm_;
  ram::GuestRam& ram_;
  u32 slot_;
  u64 guest_physical_;
  std::byte* page_;
  KvmPaging paging_ = KvmPaging::nested;
  u64 generation_ = 1;
  bool zap_ = false;  // shadow paging only: the slot has to go once
};

}  // namespace vitrine::cpu::kvm
