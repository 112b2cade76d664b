// Roots: which space runs on which merged root (OwnMemory). There are fewer of them than spaces may exist; the one that
// was given out longest ago changes hands when a space has none.
#pragma once

#include <vector>

#include "cpu/backend.h"
#include "cpu/kvm/own_memory.h"
#include "ram/guest_ram.h"

namespace vitrine::cpu::kvm {

class KvmBackend;

class KvmSpace final : public Space {
 public:
  KvmSpace(KvmBackend& backend, Pfn root) : backend_(backend), root_(root) {}
  ~KvmSpace() override;
  KvmSpace(const KvmSpace&) = delete;
  KvmSpace& operator=(const KvmSpace&) = delete;
  [[nodiscard]] Pfn root() const override { return root_; }

 private:
  KvmBackend& backend_;
  Pfn root_;
};

class Roots {
 public:
  Roots(OwnMemory& own, const ram::GuestRam& ram) : own_(own), ram_(ram), owners_(OwnMemory::kRoots - 1) {}

  struct Root {
    u64 physical;
    bool changed_hands;  // the processors may remember what was there
  };
  // The root to run `space` on, as its tables are now.
  [[nodiscard]] Root of(const KvmSpace& space);
  void forget(const KvmSpace& space);

 private:
  OwnMemory& own_;
  const ram::GuestRam& ram_;
  std::vector<const KvmSpace*> owners_;  // the last root is the probe's
  u32 last_ = 0;                         // asked for last, and most likely next
  u32 next_ = 0;
};

}  // namespace vitrine::cpu::kvm
