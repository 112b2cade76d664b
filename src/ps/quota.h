// QuotaBlock (EPROCESS_QUOTA_BLOCK): what a process may charge of paged and nonpaged pool and page file, and what it does.
// NT 5.2 shares one block among the processes of a logon; a block here may be shared the same way.
#pragma once

#include <array>

#include "ex/quota.h"

namespace vitrine::ps {

struct QuotaUse {
  u64 usage = 0, peak = 0;
  u64 limit = ~0ull;  // NT x64: no default limit [WI5 ch.9 "Process quotas"]
};

class QuotaBlock final : public ex::QuotaCharger {
 public:
  Status charge_pool(ex::PoolType type, u64 bytes) override;
  void return_pool(ex::PoolType type, u64 bytes) override;
  [[nodiscard]] const QuotaUse& use(ex::PoolType type) const { return pool_[static_cast<u32>(type)]; }

 private:
  std::array<QuotaUse, 2> pool_{};
};

}  // namespace vitrine::ps
