// CallbackArray: a fixed array of notify routines (process, thread and image creation); each call goes through the
// slots in order. How many there are is the profile's.
#pragma once

#include <array>
#include <functional>

#include "base/check.h"
#include "base/status.h"
#include "base/types.h"

namespace vitrine::ex {

inline constexpr u32 kMaximumCallbacks = 64;

template <typename... Arguments>
class CallbackArray {
 public:
  using Routine = std::function<void(Arguments...)>;

  // At most kMaximumCallbacks slots. `refusal`: the status when all are taken.
  CallbackArray(u32 slots, Status refusal) : slots_(slots), refusal_(refusal) {
    VITRINE_CHECK(slots <= kMaximumCallbacks);
  }

  // Takes the first empty slot and returns its number. Error: the refusal.
  [[nodiscard]] Result<u32> add(Routine routine) {
    for (u32 slot = 0; slot < slots_; ++slot) {
      if (routines_[slot]) continue;
      routines_[slot] = std::move(routine);
      ++count_;
      return slot;
    }
    return Failure(refusal_);
  }
  // Error: procedure_not_found.
  Status remove(u32 slot) {
    if (slot >= slots_ || !routines_[slot]) return Status::procedure_not_found;
    routines_[slot] = nullptr;
    --count_;
    return Status::success;
  }
  // A routine may add or remove routines, itself included.
  void call(Arguments... arguments) {
    if (count_ == 0) return;
    for (u32 slot = 0; slot < slots_; ++slot) {
      if (!routines_[slot]) continue;
      Routine routine = routines_[slot];
      routine(arguments...);
    }
  }
  [[nodiscard]] u32 count() const { return count_; }

 private:
  const u32 slots_;
  const Status refusal_;
  u32 count_ = 0;
  std::array<Routine, kMaximumCallbacks> routines_{};
};

}  // namespace vitrine::ex
