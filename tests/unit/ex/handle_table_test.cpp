#include "ex/handle_table.h"

#include <gtest/gtest.h>

#include <set>

namespace vitrine::ex {
namespace {

alignas(8) u64 g_objects[4];
void* object(u32 number = 0) { return &g_objects[number]; }

struct Quota : QuotaCharger {
  u64 bytes = 0;
  u64 limit = ~u64{0};
  Status charge_pool(PoolType type, u64 amount) override {
    EXPECT_EQ(type, PoolType::paged);
    if (bytes + amount > limit) return Status::quota_exceeded;
    bytes += amount;
    return Status::success;
  }
  void return_pool(PoolType, u64 amount) override { bytes -= amount; }
};

struct HandleTableTest : testing::Test {
  const sim::Profile& profile = *sim::find_profile("nt61-x64");
  Pool pool{profile, nullptr};
  HandleTable::Sites sites = HandleTable::make_sites(pool, "test");
  // 4 entries a leaf (3 usable), 2 leaves a mid-level page, 3 of those: 24 values, 18 usable.
  sim::HandleGeometry small{4, 2, 3, 24};

  std::unique_ptr<HandleTable> make(HandleReuse reuse = HandleReuse::last_in_first_out, QuotaCharger* quota = nullptr) {
    return std::move(*HandleTable::create(profile, small, pool, sites, reuse, quota));
  }
  std::unique_ptr<HandleTable> make_real(QuotaCharger* quota = nullptr) {
    return std::move(*HandleTable::create(profile, pool, sites, HandleReuse::last_in_first_out, quota));
  }
};

TEST_F(HandleTableTest, FirstHandlesAreFourEightTwelve) {
  auto table = make_real();
  for (u64 expected : {4u, 8u, 12u}) EXPECT_EQ(table->allocate(object(), 0, 0)->value, expected);
}

TEST_F(HandleTableTest, EntryZeroOfEachLeafIsNeverGivenOut) {
  auto table = make();
  std::vector<u64> values;
  for (int i = 0; i < 18; ++i) values.push_back(table->allocate(object(), 0, 0)->value / 4);
  EXPECT_EQ(values, (std::vector<u64>{1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19, 21, 22, 23}));
  EXPECT_EQ(table->find({4 * 4}), nullptr);
}

TEST_F(HandleTableTest, FailsExactlyAtItsCapacityAndRecoversAfterARelease) {
  auto table = make();
  EXPECT_EQ(HandleTable::capacity(small), 18u);
  for (int i = 0; i < 18; ++i) ASSERT_TRUE(table->allocate(object(), 0, 0));
  EXPECT_EQ(table->allocate(object(), 0, 0).error(), Status::insufficient_resources);
  table->release({40});
  EXPECT_EQ(table->allocate(object(), 0, 0)->value, 40u);
}

// [facts 2.3]
TEST_F(HandleTableTest, RealGeometriesHaveTheirPublishedCapacities) {
  EXPECT_EQ(HandleTable::capacity(sim::find_profile("nt61-x64")->handles), 16'711'680u);
  EXPECT_EQ(HandleTable::capacity(sim::find_profile("nt52-x86")->handles), 16'744'448u);
}

// 268 MB of host memory and half a second in a release build: run with --gtest_also_run_disabled_tests.
TEST_F(HandleTableTest, RealTableFillsToItsCapacityAndBooksItsPublishedSize) {
  auto table = make_real();
  for (u32 i = 0; i < 16'711'680; ++i) ASSERT_TRUE(table->allocate(object(), 0, 0));
  EXPECT_EQ(table->allocate(object(), 0, 0).error(), Status::insufficient_resources);
  // [facts 2.1] 256.5 MiB of pages and arrays; the array's and the table's own rounding come on top.
  EXPECT_EQ(table->booked_bytes(),
            268'960'768u - 1024 + pool.rounded_bytes(1024) + pool.rounded_bytes(profile.sizes.handle_table));
}

TEST_F(HandleTableTest, LowTwoBitsOfAHandleMeanNothing) {
  auto table = make_real();
  const Handle handle = *table->allocate(object(1), 7, 0);
  for (u64 bits = 0; bits < 4; ++bits) {
    const HandleEntry* entry = table->find({handle.value | bits});
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->object(), object(1));
  }
}

TEST_F(HandleTableTest, HostileValuesNameNothing) {
  auto table = make_real();
  (void)table->allocate(object(), 0, 0);
  for (u64 value :
       {u64{0}, u64{1}, u64{3}, u64{8}, u64{1024}, u64{1} << 26, u64{4} | u64{1} << 40, ~u64{0}, ~u64{0} - 1}) {
    EXPECT_EQ(table->find({value}), nullptr) << value;
  }
}

TEST_F(HandleTableTest, ProcessTableReusesTheLastClosedHandleAtOnce) {
  auto table = make();
  for (int i = 0; i < 5; ++i) (void)table->allocate(object(), 0, 0);
  table->release({8});
  table->release({4});
  EXPECT_EQ(table->allocate(object(), 0, 0)->value, 4u);
  EXPECT_EQ(table->allocate(object(), 0, 0)->value, 8u);
  EXPECT_EQ(table->allocate(object(), 0, 0)->value, 28u);
}

TEST_F(HandleTableTest, IdTableReusesIdsAsLateAsPossibleInTheOrderOfRelease) {
  auto table = make(HandleReuse::strict_fifo);
  (void)table->allocate(object(), 0, 0);
  (void)table->allocate(object(), 0, 0);
  table->release({8});
  table->release({4});
  EXPECT_EQ(table->allocate(object(), 0, 0)->value, 12u);  // what was never used comes first
  EXPECT_EQ(table->allocate(object(), 0, 0)->value, 8u);
  EXPECT_EQ(table->allocate(object(), 0, 0)->value, 4u);
  EXPECT_EQ(table->allocate(object(), 0, 0)->value, 20u);  // only then the table grows
}

// Level 0 to 1 books a leaf and a mid-level page; level 1 to 2 a top array besides [facts 1.4, 2.1].
TEST_F(HandleTableTest, GrowthBooksThePagesOfEachLevel) {
  auto table = make_real();
  const u64 base = pool.rounded_bytes(profile.sizes.handle_table) + 4096;
  EXPECT_EQ(table->booked_bytes(), base);
  for (int i = 0; i < 255; ++i) (void)table->allocate(object(), 0, 0);
  EXPECT_EQ(table->booked_bytes(), base);
  EXPECT_EQ(table->level(), 0u);
  (void)table->allocate(object(), 0, 0);
  EXPECT_EQ(table->booked_bytes(), base + 8192);
  EXPECT_EQ(table->level(), 1u);
  for (int i = 256; i < 255 * 512; ++i) (void)table->allocate(object(), 0, 0);
  EXPECT_EQ(table->booked_bytes(), base + 511 * 4096 + 4096);
  EXPECT_EQ(table->level(), 1u);
  EXPECT_EQ(table->next_handle_needing_pool().value, 131'072u * 4);
  (void)table->allocate(object(), 0, 0);
  EXPECT_EQ(table->level(), 2u);
  EXPECT_EQ(table->booked_bytes(), base + 511 * 4096 + 4096 + pool.rounded_bytes(1024) + 8192);
  EXPECT_EQ(pool.tags()[0].tag, pool_tag("Obtb"));
  table.reset();
  EXPECT_EQ(pool.usage(PoolType::paged).bytes, 0u);
}

TEST_F(HandleTableTest, FailedGrowthLeavesBooksAndQuotaUntouched) {
  Quota quota;
  auto table = make_real(&quota);
  for (int i = 0; i < 255; ++i) (void)table->allocate(object(), 0, 0);
  const u64 before = quota.bytes;
  quota.limit = before + 4096;  // enough for the mid-level page, not for the leaf
  EXPECT_EQ(table->allocate(object(), 0, 0).error(), Status::quota_exceeded);
  EXPECT_EQ(quota.bytes, before);
  EXPECT_EQ(pool.usage(PoolType::paged).bytes, before);
  EXPECT_EQ(table->count(), 255u);
  quota.limit = ~u64{0};
  EXPECT_EQ(table->allocate(object(), 0, 0)->value, 257u * 4);
  table.reset();
  EXPECT_EQ(quota.bytes, 0u);
}

TEST_F(HandleTableTest, EnumeratesLiveHandlesInAscendingOrder) {
  auto table = make();
  for (int i = 0; i < 7; ++i) (void)table->allocate(object(), 0, 0);
  table->release({8});
  table->release({20});
  std::vector<u64> seen;
  for (Handle handle = table->next({0}); handle; handle = table->next(handle)) seen.push_back(handle.value);
  EXPECT_EQ(seen, (std::vector<u64>{4, 12, 24, 28, 36}));
}

TEST_F(HandleTableTest, KeepsAccessAndAttributesPerEntry) {
  auto table = make();
  const Handle handle = *table->allocate(object(2), 0x1F0003, handle_attributes::kInherit);
  HandleEntry* entry = table->find(handle);
  EXPECT_EQ(entry->granted_access(), 0x1F0003u);
  entry->set_attributes(handle_attributes::kProtectFromClose);
  EXPECT_EQ(entry->attributes(), handle_attributes::kProtectFromClose);
  EXPECT_EQ(entry->object(), object(2));
}

TEST_F(HandleTableTest, DuplicateKeepsValuesAndDropsTheRest) {
  auto table = make();
  for (u32 i = 0; i < 8; ++i) {
    (void)table->allocate(object(i % 4), i, i % 2 == 0 ? handle_attributes::kInherit : u8{0});
  }
  auto child = std::move(*HandleTable::duplicate(profile, *table, sites, nullptr, [](Handle, const HandleEntry& entry) {
    return (entry.attributes() & handle_attributes::kInherit) != 0;
  }));
  std::vector<u64> seen;
  for (Handle handle = child->next({0}); handle; handle = child->next(handle)) {
    seen.push_back(handle.value);
    EXPECT_EQ(child->find(handle)->granted_access(), table->find(handle)->granted_access());
    EXPECT_EQ(child->find(handle)->object(), table->find(handle)->object());
  }
  EXPECT_EQ(seen, (std::vector<u64>{4, 12, 24, 36}));
  EXPECT_EQ(child->count(), 4u);
  // Every other value of the same size is free again.
  std::set<u64> fresh;
  while (child->leaf_count() == table->leaf_count() && fresh.size() < 5)
    fresh.insert(child->allocate(object(), 0, 0)->value);
  EXPECT_EQ(fresh, (std::set<u64>{8, 20, 28, 40, 44}));
}

}  // namespace
}  // namespace vitrine::ex
