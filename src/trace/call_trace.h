// CallTrace: which routines of the kernel call which, and what memory they take, under the names that NT gives them.
// For experiments that ask what a system service costs. Nobody watches by default: a scope then is a load and a branch.
//
// Owns nothing; an observer cannot change the outcome. It is told of taking only: what is given back shows in the
// books.
#pragma once

#include <string_view>

#include "base/types.h"

namespace vitrine::trace {

enum class AllocationKind : u8 {
  nonpaged_pool,
  paged_pool,
  kernel_stack,  // resident pages under system PTEs
  committed,     // user pages charged to commit
  page_table,    // pages of page tables
  table_entry,   // in a page that was booked before: no memory of its own
};

struct Allocation {
  std::string_view site;  // valid during the call only
  AllocationKind kind{};
  u32 tag = 0;    // pool tag, 0: none
  u64 bytes = 0;  // as booked
};

class CallObserver {
 public:
  virtual ~CallObserver() = default;
  virtual void enter(std::string_view routine) = 0;  // a literal
  virtual void leave() = 0;
  virtual void allocated(const Allocation& allocation) = 0;
};

class CallTrace {
 public:
  // Not inside a scope. Null: nobody.
  void set_observer(CallObserver* observer) { observer_ = observer; }
  [[nodiscard]] CallObserver* observer() const { return observer_; }
  void allocated(const Allocation& allocation) const {
    if (observer_ != nullptr) [[unlikely]]
      observer_->allocated(allocation);
  }

 private:
  CallObserver* observer_ = nullptr;
};

// The routine from here to the end of the block.
class CallScope {
 public:
  CallScope(const CallTrace& trace, std::string_view routine) : observer_(trace.observer()) {
    if (observer_ != nullptr) [[unlikely]]
      observer_->enter(routine);
  }
  ~CallScope() {
    if (observer_ != nullptr) [[unlikely]]
      observer_->leave();
  }
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

 private:
  CallObserver* const observer_;
};

}  // namespace vitrine::trace
