// QuotaBlock (EPROCESS_QUOTA_BLOCK): what a process may charge of paged and nonpaged pool and page file, and what it
// does. NT 5.2 shares one block among the processes of a logon; a block here may be shared the same way. NT counts its
// references, because an object is paid for by its creator's block until it goes, and it may outlive the creator.
#pragma once

#include <array>
#include <memory>

#include "ex/quota.h"

namespace vitrine::ps {

struct QuotaUse {
  u64 usage = 0, peak = 0;
  u64 limit = ~0ull;  // NT x64: no default limit [WI5 ch.9 "Process quotas"]
};

class QuotaBlock final : public ex::QuotaCharger {
 public:
  struct Release {
    void operator()(QuotaBlock* block) const { block->release(); }
  };
  using Owner = std::unique_ptr<QuotaBlock, Release>;
  [[nodiscard]] static Owner create() { return Owner(new QuotaBlock); }

  void add_reference() override { ++references_; }
  void release() override;
  Status charge_pool(ex::PoolType type, u64 bytes) override;
  void return_pool(ex::PoolType type, u64 bytes) override;
  [[nodiscard]] const QuotaUse& use(ex::PoolType type) const { return pool_[static_cast<u32>(type)]; }

 private:
  QuotaBlock() = default;
  ~QuotaBlock() override = default;

  u64 references_ = 1;
  std::array<QuotaUse, ex::kPoolTypes.size()> pool_{};
};

}  // namespace vitrine::ps
