// QuotaCharger: who pays for pool that NT charges to a process (objects, handle tables). Implemented by ps's quota
// block.
#pragma once

#include "ex/page_source.h"

namespace vitrine::ex {

class QuotaCharger {
 public:
  virtual ~QuotaCharger() = default;
  // Error: quota_exceeded (nothing is charged then). Never suspends.
  virtual Status charge_pool(PoolType type, u64 bytes) = 0;
  // Precondition: at least `bytes` of `type` are charged.
  virtual void return_pool(PoolType type, u64 bytes) = 0;
  // Whoever may have charges to return after the charger's owner is gone keeps it alive. A charger whose owner outlives
  // all that it pays for needs neither.
  virtual void add_reference() {}
  virtual void release() {}
};

}  // namespace vitrine::ex
