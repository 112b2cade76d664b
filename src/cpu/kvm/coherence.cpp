#include "cpu/kvm/coherence.h"

#include <sys/mman.h>

namespace vitrine::cpu::kvm {

Coherence::Coherence(const Vm& vm, ram::GuestRam& ram, u32 slot, u64 guest_physical)
    : vm_(vm), ram_(ram), slot_(slot), guest_physical_(guest_physical) {
  void* page = mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  VITRINE_CHECK(page != MAP_FAILED);
  page_ = static_cast<std::byte*>(page);
  vm_.set_memory(slot_, guest_physical_, page_, kPageSize);
}

Coherence::~Coherence() { munmap(page_, kPageSize); }

void Coherence::commit(std::span<const PteEdit> edits) {
  if (paging_ == KvmPaging::nested) {
    ++generation_;
    return;
  }
  // Neighbours go with one call.
  u64 first = 0, count = 0;
  const auto take_away = [&] {
    if (count != 0) (void)madvise(ram_.page(Pfn{first}), count << kPageShift, MADV_DONTNEED);
    count = 0;
  };
  for (const PteEdit& edit : edits) {
    // An entry that becomes 0 may be that of a table that is gone. KVM keeps its copies of tables by frame, and the
    // ways to them; only a slot that goes makes it forget those.
    if (edit.new_entry == 0) zap_ = true;
    const u64 frame = pte::frame(edit.old_entry).value;
    if (edit.new_entry == 0 || (edit.old_entry & pte::kPresent) == 0 || frame >= ram_.page_count()) continue;
    if (count != 0 && frame == first + count) {
      ++count;
      continue;
    }
    take_away();
    first = frame;
    count = 1;
  }
  take_away();
}

void Coherence::forget_all() {
  ++generation_;
  zap_ = paging_ == KvmPaging::shadow;
}

u64 Coherence::settle() {
  if (zap_) {
    zap_ = false;
    vm_.set_memory(slot_, guest_physical_, page_, 0);
    vm_.set_memory(slot_, guest_physical_, page_, kPageSize);
  }
  return generation_;
}

}  // namespace vitrine::cpu::kvm
