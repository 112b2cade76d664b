// Rundown protection (EX_RUNDOWN_REF): counts users of something that is about to go away. Once rundown has begun no
// new user gets in; the one who runs it down proceeds when the last user has left [facts 7.6].
//
// One host thread, so the word is plain. Who waits is the caller's affair: `begin` tells whether waiting is needed, and
// `release` tells the last user to wake the waiter.
#pragma once

#include "base/check.h"
#include "base/types.h"

namespace vitrine::ex {

class RundownProtection {
 public:
  // False once rundown has begun.
  [[nodiscard]] bool acquire() {
    if ((word_ & 1) != 0) return false;
    word_ += 2;
    return true;
  }
  // Precondition: acquired. True when this was the last user and someone waits for the rundown.
  [[nodiscard]] bool release() {
    VITRINE_CHECK(word_ >= 2);
    word_ -= 2;
    return word_ == 1;
  }
  // NT: ExWaitForRundownProtectionRelease, without the wait. True when no user is inside: the caller may go on at once.
  [[nodiscard]] bool begin() {
    word_ |= 1;
    return word_ == 1;
  }
  // NT: ExReInitializeRundownProtection. Precondition: run down and no user inside.
  void reinitialize() {
    VITRINE_CHECK(word_ == 1);
    word_ = 0;
  }
  [[nodiscard]] bool active() const { return (word_ & 1) != 0; }
  [[nodiscard]] u32 users() const { return word_ >> 1; }

 private:
  u32 word_ = 0;  // bit 0: rundown has begun; above: users
};

}  // namespace vitrine::ex
