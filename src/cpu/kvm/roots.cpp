#include "cpu/kvm/roots.h"

#include <algorithm>

#include "cpu/kvm/kvm_backend.h"

namespace vitrine::cpu::kvm {

KvmSpace::~KvmSpace() { backend_.space_ends(*this); }

Roots::Root Roots::of(const KvmSpace& space) {
  bool changed = false;
  if (owners_[last_] != &space) {
    const auto found = std::ranges::find(owners_, &space);
    changed = found == owners_.end();
    last_ = changed ? next_ : static_cast<u32>(found - owners_.begin());
    if (changed) next_ = (next_ + 1) % static_cast<u32>(owners_.size());
    owners_[last_] = &space;
  }
  own_.merge(last_, {reinterpret_cast<const u64*>(ram_.page(space.root())), 512});
  return {own_.root(last_), changed};
}

void Roots::forget(const KvmSpace& space) {
  std::ranges::replace(owners_, &space, static_cast<const KvmSpace*>(nullptr));
}

}  // namespace vitrine::cpu::kvm
