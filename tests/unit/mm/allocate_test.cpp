// NtAllocateVirtualMemory and NtFreeVirtualMemory: statuses, splits and charges.
#include "fixture.h"

namespace vitrine::mm::test {
namespace {

constexpr u32 kBoth = mem::kCommit | mem::kReserve;

class AllocateTest : public MemoryTest {
 protected:
  AllocateTest() : MemoryTest(64ull << 20) {}
  Status status_of(AddressSpace& space, const AllocateRequest& r) {
    const auto result = space.allocate(r);
    return result ? Status::success : result.error();
  }
  Status status_of_free(AddressSpace& space, Va base, u64 size, u32 type) {
    const auto result = space.free(base, size, type);
    return result ? Status::success : result.error();
  }
};

TEST_F(AllocateTest, RefusesBadArgumentsInOrder) {
  auto space = make_space();
  auto r = request(0x1000, kBoth);
  r.zero_bits = 21;
  r.type = 0x4;
  EXPECT_EQ(status_of(*space, r), Status::invalid_parameter_3);
  r.zero_bits = 0;
  EXPECT_EQ(status_of(*space, r), Status::invalid_parameter_5);
  EXPECT_EQ(status_of(*space, request(0x1000, mem::kTopDown)), Status::invalid_parameter_5);
  EXPECT_EQ(status_of(*space, request(0x1000, mem::kReset | mem::kReserve)), Status::invalid_parameter_5);
  EXPECT_EQ(status_of(*space, request(0x1000, mem::kReserve | mem::kPhysical, page::kReadOnly)),
            Status::invalid_parameter_6);
  EXPECT_EQ(status_of(*space, request(0x1000, mem::kReserve | mem::kLargePages)), Status::invalid_parameter_5);
  EXPECT_EQ(status_of(*space, request(0x1000, kBoth, 0)), Status::invalid_page_protection);
  EXPECT_EQ(status_of(*space, request(0x1000, kBoth, 3)), Status::invalid_page_protection);
  EXPECT_EQ(status_of(*space, request(0x1000, kBoth, page::kWriteCopy)), Status::invalid_page_protection);
  EXPECT_EQ(status_of(*space, request(0x1000, kBoth, page::kNoAccess | page::kGuard)), Status::invalid_page_protection);
  EXPECT_EQ(status_of(*space, request(0x1000, kBoth, page::kReadWrite, 0x8000'0000'0000)), Status::invalid_parameter_2);
  EXPECT_EQ(status_of(*space, request(0, kBoth)), Status::invalid_parameter_4);
  EXPECT_EQ(status_of(*space, request(~0ull, kBoth)), Status::invalid_parameter_4);
  EXPECT_EQ(status_of(*space, request(~0ull - 0x1'0000, kBoth, page::kReadWrite, 0x2'0000)),
            Status::invalid_parameter_4);
}

TEST_F(AllocateTest, ReservesAtGranuleBoundariesAndRoundsTheEndToPages) {
  auto space = make_space();
  const auto first = space->allocate(request(1, mem::kReserve));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->base, 0x1'0000u);
  EXPECT_EQ(first->size, kPageSize);
  EXPECT_EQ(space->allocate(request(1, mem::kReserve))->base, 0x2'0000u);
  const auto named = space->allocate(request(0x2000, mem::kReserve, page::kReadWrite, 0x10'1234));
  EXPECT_EQ(named->base, 0x10'0000u);
  EXPECT_EQ(named->size, 0x4000u);  // up to the page of 0x103233
  EXPECT_EQ(status_of(*space, request(1, mem::kReserve, page::kReadWrite, 0x10'3FFF)), Status::conflicting_addresses);
}

TEST_F(AllocateTest, TopDownTakesTheHighestPlace) {
  auto space = make_space();
  const auto high = space->allocate(request(0x1'0000, mem::kReserve | mem::kTopDown));
  EXPECT_EQ(high->base, 0x7FFF'FFFE'0000u);
  EXPECT_EQ(space->allocate(request(0x1000, mem::kReserve | mem::kTopDown))->base, 0x7FFF'FFFD'0000u);
}

TEST_F(AllocateTest, ZeroBitsBoundTheAddress) {
  auto space = make_space();
  auto r = request(0x1'0000, mem::kReserve | mem::kTopDown);
  r.zero_bits = 1;  // below 2 GB
  EXPECT_EQ(space->allocate(r)->base, 0x7FFF'0000u);
  r.zero_bits = 0x7F'FFFF;  // a mask
  EXPECT_EQ(space->allocate(r)->base, 0x7F'0000u);
  r.zero_bits = 16;  // 64 KB: nothing is given out there
  EXPECT_EQ(status_of(*space, r), Status::no_memory);
}

TEST_F(AllocateTest, CommitChargesAndNeedsOneReservation) {
  auto space = make_space();
  const u64 before = memory_.committed();
  const Va base = space->allocate(request(0x4'0000, mem::kReserve))->base;
  EXPECT_EQ(status_of(*space, request(0x1000, mem::kCommit, page::kReadWrite, base + 0x4'0000)),
            Status::conflicting_addresses);
  EXPECT_EQ(status_of(*space, request(0x5'0000, mem::kCommit, page::kReadWrite, base)), Status::conflicting_addresses);
  ASSERT_EQ(status_of(*space, request(0x3000, mem::kCommit, page::kReadWrite, base + 0x1800)), Status::success);
  EXPECT_EQ(space->vads().find(base)->commit_charge(), 4u);
  ASSERT_EQ(status_of(*space, request(0x4'0000, mem::kCommit, page::kReadWrite, base)), Status::success);
  EXPECT_EQ(space->vads().find(base)->commit_charge(), 64u) << "pages that were committed are not charged again";
  ASSERT_EQ(status_of_free(*space, base, 0, mem::kRelease), Status::success);
  EXPECT_EQ(memory_.committed(), before);
}

TEST_F(AllocateTest, RecommitKeepsContentsAndChangesProtection) {
  auto space = make_space();
  const Va base = commit(*space, 0x2000);
  ASSERT_EQ(space->write_value<u32>(base, 42), Status::success);
  ASSERT_EQ(status_of(*space, request(0x1000, mem::kCommit, page::kReadOnly, base)), Status::success);
  EXPECT_EQ(space->read_value<u32>(base), 42u);
  EXPECT_EQ(space->write_value<u32>(base, 1), Status::access_violation);
  EXPECT_EQ(space->write_value<u32>(base + 0x1000, 1), Status::success);
}

TEST_F(AllocateTest, CommitBeyondTheLimitIsRefusedAndChargesNothing) {
  auto space = make_space();
  const u64 committed = memory_.committed();
  EXPECT_EQ(status_of(*space, request(65ull << 20, kBoth)), Status::commitment_limit);
  EXPECT_EQ(memory_.committed(), committed);
  EXPECT_EQ(space->vads().size(), 0u);
  space->set_commit_limit(space->commit_charge() + 4);
  EXPECT_EQ(status_of(*space, request(0x5000, kBoth)), Status::commitment_limit);
  EXPECT_EQ(status_of(*space, request(0x4000, kBoth)), Status::success);
}

TEST_F(AllocateTest, FreeStatuses) {
  auto space = make_space();
  const Va base = commit(*space, 0x4000);
  EXPECT_EQ(status_of_free(*space, base, 0, mem::kDecommit | mem::kRelease), Status::invalid_parameter_4);
  EXPECT_EQ(status_of_free(*space, base, 0, 0), Status::invalid_parameter_4);
  EXPECT_EQ(status_of_free(*space, 0x8000'0000'0000, 0, mem::kRelease), Status::invalid_parameter_2);
  EXPECT_EQ(status_of_free(*space, base, ~0ull - 5, mem::kRelease), Status::invalid_parameter_3);
  EXPECT_EQ(status_of_free(*space, base + 0x10'0000, 0, mem::kRelease), Status::memory_not_allocated);
  EXPECT_EQ(status_of_free(*space, base + 0x1000, 0, mem::kRelease), Status::free_vm_not_at_base);
  EXPECT_EQ(status_of_free(*space, base, 0x5000, mem::kRelease), Status::unable_to_free_vm);
  EXPECT_EQ(status_of_free(*space, base + 0x123, 0, mem::kRelease), Status::success);
}

TEST_F(AllocateTest, DecommittedPagesAreReservedAndFramesComeBack) {
  auto space = make_space();
  const Va base = commit(*space, 0x10'0000);
  for (u32 i = 0; i < 4; ++i) ASSERT_EQ(space->write_value<u32>(base + i * kPageSize, i), Status::success);
  const u64 owned = memory_.pfn().used_for(FrameUse::process_private);
  ASSERT_EQ(status_of_free(*space, base + 0x1000, 0x2000, mem::kDecommit), Status::success);
  EXPECT_EQ(memory_.pfn().used_for(FrameUse::process_private), owned - 2);
  EXPECT_EQ(space->vads().find(base)->commit_charge(), 254u);
  EXPECT_EQ(touch(*space, base + 0x1000).status, Status::access_violation);
  EXPECT_EQ(space->read_value<u32>(base + 0x3000), 3u);
  ASSERT_EQ(status_of(*space, request(0x1000, mem::kCommit, page::kReadWrite, base + 0x1000)), Status::success);
  EXPECT_EQ(space->read_value<u32>(base + 0x1000), 0u) << "a page that comes back is zero";
  ASSERT_EQ(status_of_free(*space, base, 0, mem::kDecommit), Status::success);
  EXPECT_EQ(space->vads().find(base)->commit_charge(), 0u);
  EXPECT_EQ(space->query_basic(base)->state, mem::kReserve);
}

TEST_F(AllocateTest, PartialReleaseCutsAndSplits) {
  auto space = make_space();
  const u64 before = memory_.committed();
  const Va base = commit(*space, 0x10'000);
  ASSERT_EQ(space->write_value<u32>(base + 0x5000, 55), Status::success);
  ASSERT_EQ(status_of_free(*space, base, 0x1000, mem::kRelease), Status::success);           // front
  ASSERT_EQ(status_of_free(*space, base + 0xF000, 0x1000, mem::kRelease), Status::success);  // tail
  ASSERT_EQ(status_of_free(*space, base + 0x3000, 0x2000, mem::kRelease), Status::success);  // middle
  EXPECT_EQ(space->vads().size(), 2u);
  EXPECT_TRUE(space->vads().is_consistent());
  EXPECT_EQ(space->vads().find(base), nullptr);
  EXPECT_EQ(space->vads().find(base + 0x2000)->commit_charge(), 2u);
  EXPECT_EQ(space->vads().find(base + 0x5000)->commit_charge(), 10u);
  EXPECT_EQ(space->virtual_bytes(), 12 * kPageSize);
  EXPECT_EQ(space->read_value<u32>(base + 0x5000), 55u);
  EXPECT_EQ(touch(*space, base + 0x3000).status, Status::access_violation);
  ASSERT_EQ(status_of_free(*space, base + 0x5000, 0, mem::kRelease), Status::success);
  ASSERT_EQ(status_of_free(*space, base + 0x1000, 0, mem::kRelease), Status::success);
  EXPECT_EQ(memory_.committed(), before);
}

TEST_F(AllocateTest, PageTablesComeAndGoWithTheirEntries) {
  auto space = make_space();
  const u64 tables = space->page_table().table_pages();
  const Va base = commit(*space, 4ull << 20);
  EXPECT_EQ(space->page_table().table_pages(), tables) << "untouched memory has no tables";
  ASSERT_EQ(space->write_value<u32>(base, 1), Status::success);
  EXPECT_EQ(space->page_table().table_pages(), tables + 3);
  ASSERT_EQ(space->write_value<u32>(base + (2ull << 20), 1), Status::success);
  EXPECT_EQ(space->page_table().table_pages(), tables + 4);
  ASSERT_EQ(status_of_free(*space, base, 0, mem::kRelease), Status::success);
  EXPECT_EQ(space->page_table().table_pages(), tables);
}

TEST_F(AllocateTest, ResetChecksItsRange) {
  auto space = make_space();
  const Va base = commit(*space, 0x2000);
  EXPECT_EQ(status_of(*space, request(0x2000, mem::kReset, page::kReadWrite, base)), Status::success);
  EXPECT_EQ(status_of(*space, request(0x3000, mem::kReset, page::kReadWrite, base)), Status::conflicting_addresses);
}

class Quota final : public ex::QuotaCharger {
 public:
  u64 left = 0, charged = 0;
  Status charge_pool(ex::PoolType, u64 bytes) override {
    if (bytes > left) return Status::quota_exceeded;
    left -= bytes;
    charged += bytes;
    return Status::success;
  }
  void return_pool(ex::PoolType, u64 bytes) override {
    left += bytes;
    charged -= bytes;
  }
};

TEST_F(AllocateTest, VadsAreChargedToTheProcessQuota) {
  Quota quota;
  quota.left = 160;  // a short VAD takes 64 + 16 bytes of pool
  auto space = make_space({.quota = &quota});
  const Va first = space->allocate(request(0x1000, mem::kReserve))->base;
  ASSERT_EQ(status_of(*space, request(0x1000, mem::kReserve)), Status::success);
  EXPECT_EQ(status_of(*space, request(0x1000, mem::kReserve)), Status::quota_exceeded);
  ASSERT_EQ(status_of_free(*space, first, 0, mem::kRelease), Status::success);
  EXPECT_EQ(status_of(*space, request(0x1000, mem::kReserve)), Status::success);
  space.reset();
  EXPECT_EQ(quota.charged, 0u);
}

}  // namespace
}  // namespace vitrine::mm::test
