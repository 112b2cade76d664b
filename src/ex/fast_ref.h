// Fast reference (EX_FAST_REF): a pointer that carries a few references taken in advance, so that the common
// reference costs no change of the object's own count [facts 7.6: seven on x86, fifteen on x64].
//
// It keeps NT's arithmetic, because the pointer counts that kd shows contain the cached references. The caller takes
// and gives back references of the object: this class only says how many.
#pragma once

#include "base/check.h"
#include "base/types.h"

namespace vitrine::ex {

[[nodiscard]] constexpr u32 maximum_fast_references(u32 pointer_size) { return pointer_size == 8 ? 15 : 7; }

template <typename T>
class FastReference {
 public:
  // The object's count must already have been raised by 1 + `cached`: one for the field itself, `cached` in advance.
  void assign(T* object, u32 cached) {
    VITRINE_CHECK(object_ == nullptr);
    object_ = object;
    cached_ = static_cast<u8>(cached);
  }
  [[nodiscard]] T* get() const { return object_; }
  [[nodiscard]] u32 cached() const { return cached_; }
  // True: the caller now holds a reference out of the cache. False: it must reference the object itself.
  [[nodiscard]] bool acquire_cached() {
    if (object_ == nullptr || cached_ == 0) return false;
    --cached_;
    return true;
  }
  // True: the reference went back into the cache. False: the caller must dereference the object itself.
  [[nodiscard]] bool release_cached(T* object, u32 maximum) {
    if (object != object_ || cached_ >= maximum) return false;
    ++cached_;
    return true;
  }
  struct Taken {
    T* object;
    u32 references;  // that the caller must now give back: 1 + cached
  };
  // Empties the field (ObFastReplaceObject's first half).
  [[nodiscard]] Taken take() {
    const Taken taken{object_, object_ == nullptr ? 0u : 1u + cached_};
    object_ = nullptr;
    cached_ = 0;
    return taken;
  }

 private:
  T* object_ = nullptr;
  u8 cached_ = 0;
};

}  // namespace vitrine::ex
