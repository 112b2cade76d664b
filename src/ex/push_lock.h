// Push lock (EX_PUSH_LOCK): a pointer-sized reader-writer lock. No lock may be held across a suspension (DESIGN 3.5),
// so on one host thread it is never contended; what remains is its state machine, which checks the kernel's own locking
// discipline, and its counts, which kd shows.
#pragma once

#include "base/check.h"
#include "base/types.h"

namespace vitrine::ex {

class PushLock {
 public:
  // Precondition: free. A caller that finds it held has broken the locking rules.
  void acquire_exclusive() {
    VITRINE_CHECK(!exclusive_ && shared_ == 0);
    exclusive_ = true;
  }
  void release_exclusive() {
    VITRINE_CHECK(exclusive_);
    exclusive_ = false;
  }
  void acquire_shared() {
    VITRINE_CHECK(!exclusive_);
    ++shared_;
  }
  void release_shared() {
    VITRINE_CHECK(shared_ > 0);
    --shared_;
  }
  [[nodiscard]] bool held_exclusive() const { return exclusive_; }
  [[nodiscard]] u32 share_count() const { return shared_; }

 private:
  u32 shared_ : 31 = 0;
  u32 exclusive_ : 1 = 0;
};

// Holds a push lock exclusively for one scope. Never across a co_await.
class ExclusiveGuard {
 public:
  explicit ExclusiveGuard(PushLock& lock) : lock_(lock) { lock_.acquire_exclusive(); }
  ~ExclusiveGuard() { lock_.release_exclusive(); }
  ExclusiveGuard(const ExclusiveGuard&) = delete;
  ExclusiveGuard& operator=(const ExclusiveGuard&) = delete;

 private:
  PushLock& lock_;
};

}  // namespace vitrine::ex
