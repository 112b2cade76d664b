#include "ps/quota.h"

#include <algorithm>

#include "base/check.h"

namespace vitrine::ps {

void QuotaBlock::release() {
  if (--references_ == 0) delete this;
}

Status QuotaBlock::charge_pool(ex::PoolType type, u64 bytes) {
  QuotaUse& use = pool_[static_cast<u32>(type)];
  if (bytes > use.limit - use.usage) return Status::quota_exceeded;
  use.usage += bytes;
  use.peak = std::max(use.peak, use.usage);
  return Status::success;
}

void QuotaBlock::return_pool(ex::PoolType type, u64 bytes) {
  QuotaUse& use = pool_[static_cast<u32>(type)];
  VITRINE_CHECK(use.usage >= bytes);
  use.usage -= bytes;
}

}  // namespace vitrine::ps
