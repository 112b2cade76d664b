// PageSource: where pool gets its pages from. The pool owns kernel *addresses*; whoever implements this owns frames and
// commit. Declared here because the executive lies below the memory manager, which implements it.
#pragma once

#include "base/status.h"
#include "base/types.h"

namespace vitrine::ex {

// NT: POOL_TYPE. Nonpaged pages are resident for as long as they are allocated; paged ones are charged to commit only.
enum class PoolType : u8 { nonpaged, paged };

class PageSource {
 public:
  virtual ~PageSource() = default;
  // Charges `pages` pages at page-aligned `first`: nonpaged against resident-available memory and commit, paged against
  // commit. Error: insufficient_resources (nothing is charged then). Never suspends.
  virtual Status charge_pool_pages(PoolType type, Va first, u64 pages) = 0;
  // Precondition: exactly these pages were charged, in any grouping.
  virtual void return_pool_pages(PoolType type, Va first, u64 pages) = 0;
};

}  // namespace vitrine::ex
