// NtProtectVirtualMemory, NtQueryVirtualMemory, and what the processor is told.
#include "fixture.h"

namespace vitrine::mm::test {
namespace {

class ProtectTest : public MemoryTest {
 protected:
  Status status_of(AddressSpace& space, Va base, u64 size, u32 protect) {
    const auto result = space.protect(base, size, protect);
    return result ? Status::success : result.error();
  }
};

TEST_F(ProtectTest, StatusesInOrder) {
  auto space = make_space();
  const Va base = commit(*space, 0x4000);
  const Va reserved = space->allocate(request(0x4000, mem::kReserve))->base;
  EXPECT_EQ(status_of(*space, base, 0x1000, 0x3), Status::invalid_page_protection);
  EXPECT_EQ(status_of(*space, base, 0, page::kReadOnly), Status::invalid_parameter_3);
  EXPECT_EQ(status_of(*space, ~0ull, 1, page::kReadOnly), Status::invalid_parameter_2);
  EXPECT_EQ(status_of(*space, base, ~0ull, page::kReadOnly), Status::invalid_parameter_3);
  EXPECT_EQ(status_of(*space, base + 0x40'0000, 1, page::kReadOnly), Status::conflicting_addresses);
  EXPECT_EQ(status_of(*space, base, 0x5000, page::kReadOnly), Status::conflicting_addresses);
  EXPECT_EQ(status_of(*space, reserved, 0x1000, page::kReadOnly), Status::not_committed);
  EXPECT_EQ(status_of(*space, base, 0x1000, page::kWriteCopy), Status::invalid_page_protection);
}

TEST_F(ProtectTest, ReturnsTheOldProtectionAndWholePages) {
  auto space = make_space();
  const Va base = commit(*space, 0x4000);
  const auto first = space->protect(base + 0xFFF, 2, page::kExecuteRead);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->old_protect, page::kReadWrite);
  EXPECT_EQ(first->range.base, base);
  EXPECT_EQ(first->range.size, 0x2000u);
  EXPECT_EQ(space->protect(base, 1, page::kExecute)->old_protect, page::kExecuteRead);
  ASSERT_EQ(touch(*space, base, kFetchFault).status, Status::success);
  EXPECT_EQ(space->protect(base, 1, page::kReadOnly)->old_protect, page::kExecute)
      << "a valid entry keeps its exact code";
}

TEST_F(ProtectTest, RightsAreCheckedOnEachKindOfAccess) {
  auto space = make_space();
  const Va base = commit(*space, 0x4000);
  ASSERT_EQ(status_of(*space, base, 0x1000, page::kReadOnly), Status::success);
  EXPECT_EQ(touch(*space, base, kWriteFault).status, Status::access_violation);
  EXPECT_EQ(touch(*space, base, kFetchFault).status, Status::access_violation);
  EXPECT_EQ(touch(*space, base).status, Status::success);
  EXPECT_EQ(touch(*space, base, kWriteFault | cpu::page_fault::kProtection).status, Status::access_violation);
  ASSERT_EQ(status_of(*space, base, 0x1000, page::kNoAccess), Status::success);
  EXPECT_EQ(touch(*space, base).status, Status::access_violation);
}

TEST_F(ProtectTest, ContentsSurviveNoAccess) {
  auto space = make_space();
  const Va base = commit(*space, 0x1000);
  ASSERT_EQ(space->write_value<u64>(base, 77), Status::success);
  const u64 resident = space->working_set_pages();
  ASSERT_EQ(status_of(*space, base, 1, page::kNoAccess), Status::success);
  EXPECT_EQ(space->working_set_pages(), resident - 1);
  EXPECT_EQ(space->read_value<u64>(base).error(), Status::access_violation);
  ASSERT_EQ(status_of(*space, base, 1, page::kReadOnly), Status::success);
  EXPECT_EQ(space->read_value<u64>(base), 77u);
}

TEST_F(ProtectTest, LosingRightsIsCommittedToTheBackEndAndGainingIsNot) {
  auto space = make_space();
  const Va base = commit(*space, 0x2000);
  ASSERT_EQ(space->write_value<u64>(base, 1), Status::success);
  EXPECT_TRUE(backend_.edits.empty()) << "not present to present";
  ASSERT_EQ(status_of(*space, base, 0x2000, page::kReadOnly), Status::success);
  ASSERT_EQ(backend_.edits.size(), 1u) << "only the valid page";
  EXPECT_EQ(backend_.edits[0].address, base);
  EXPECT_EQ(backend_.edits[0].space, &space->cpu_space());
  EXPECT_NE(backend_.edits[0].old_entry & cpu::pte::kWrite, 0u);
  EXPECT_EQ(backend_.edits[0].new_entry & cpu::pte::kWrite, 0u);
  ASSERT_EQ(status_of(*space, base, 0x2000, page::kExecuteReadWrite), Status::success);
  EXPECT_EQ(backend_.edits.size(), 1u);
  ASSERT_TRUE(space->free(base, 0, mem::kRelease));
  ASSERT_GE(backend_.edits.size(), 2u);
  EXPECT_EQ(backend_.edits[1].address, base);
  EXPECT_EQ(backend_.edits[1].new_entry, 0u);
}

// A processor may remember the way to a table from which it never read an entry.
TEST_F(ProtectTest, ATableThatIsTakenOutIsCommittedToTheBackEnd) {
  auto space = make_space();
  constexpr Va first = 0x1'0000'0000, second = first + (1ull << 21);
  for (const Va base : {first, second})
    ASSERT_TRUE(space->allocate(request(0x1000, mem::kCommit | mem::kReserve, page::kReadWrite, base)));
  ASSERT_EQ(space->write_value<u64>(first, 1), Status::success);
  ASSERT_EQ(space->write_value<u64>(second, 1), Status::success);
  ASSERT_EQ(status_of(*space, second, 0x1000, page::kNoAccess), Status::success);
  backend_.edits.clear();
  ASSERT_TRUE(space->free(second, 0, mem::kRelease));
  ASSERT_EQ(backend_.edits.size(), 1u);
  EXPECT_EQ(backend_.edits[0].address, second);
  EXPECT_NE(backend_.edits[0].old_entry & cpu::pte::kPresent, 0u);
  EXPECT_EQ(backend_.edits[0].new_entry, 0u);
}

TEST_F(ProtectTest, ManyEditsBecomeOneFlush) {
  auto space = make_space();
  const Va base = commit(*space, 2000 * kPageSize);
  ASSERT_EQ(space->fill(base, 2000 * kPageSize, std::byte{1}), Status::success);
  ASSERT_TRUE(space->free(base, 0, mem::kDecommit));
  EXPECT_TRUE(backend_.edits.empty());
  EXPECT_EQ(backend_.flushes, 1u);
}

TEST_F(ProtectTest, QueryRunsOverPagesThatLookAlike) {
  auto space = make_space();
  const Va base = space->allocate(request(0x10'0000, mem::kReserve))->base;
  ASSERT_TRUE(space->allocate(request(0x4000, mem::kCommit, page::kReadWrite, base + 0x2000)));
  ASSERT_EQ(status_of(*space, base + 0x3000, 0x1000, page::kReadOnly | page::kGuard), Status::success);
  const auto expect = [&](Va at, u64 offset, u64 size, u32 state, u32 protect) {
    const auto info = space->query_basic(at);
    ASSERT_TRUE(info);
    EXPECT_EQ(info->base_address, base + offset);
    EXPECT_EQ(info->region_size, size);
    EXPECT_EQ(info->state, state);
    EXPECT_EQ(info->protect, protect);
    EXPECT_EQ(info->allocation_base, base);
    EXPECT_EQ(info->allocation_protect, page::kReadWrite);
    EXPECT_EQ(info->type, mem::kPrivate);
  };
  expect(base + 5, 0, 0x2000, mem::kReserve, 0);
  expect(base + 0x2FFF, 0x2000, 0x1000, mem::kCommit, page::kReadWrite);
  expect(base + 0x3000, 0x3000, 0x1000, mem::kCommit, page::kReadOnly | page::kGuard);
  expect(base + 0x4000, 0x4000, 0x2000, mem::kCommit, page::kReadWrite);
  expect(base + 0x6000, 0x6000, 0x10'0000 - 0x6000, mem::kReserve, 0);
  ASSERT_EQ(touch(*space, base + 0x4000).status, Status::success);
  expect(base + 0x4000, 0x4000, 0x2000, mem::kCommit, page::kReadWrite);  // touched or not makes no difference
}

TEST_F(ProtectTest, QueryOfFreeSpaceEndsAtTheNextRange) {
  auto space = make_space();
  const Va base = space->allocate(request(0x1000, mem::kReserve, page::kReadWrite, 0x50'0000))->base;
  const auto free = space->query_basic(0x20'0123);
  ASSERT_TRUE(free);
  EXPECT_EQ(free->state, mem::kFree);
  EXPECT_EQ(free->protect, page::kNoAccess);
  EXPECT_EQ(free->type, 0u);
  EXPECT_EQ(free->base_address + free->region_size, base);
  const auto last = space->query_basic(0x7FFF'FFFE'FFFF);
  EXPECT_EQ(last->base_address + last->region_size, 0x7FFF'FFFF'0000u);
  EXPECT_EQ(space->query_basic(0x7FFF'FFFF'0000).error(), Status::invalid_parameter);
  EXPECT_EQ(space->query_basic(base)->allocation_protect, page::kReadWrite);
}

TEST_F(ProtectTest, ProtectingTheWholeRangeWritesNoEntriesForUntouchedPages) {
  auto space = make_space();
  const Va base = commit(*space, 8ull << 20);
  const u64 tables = space->page_table().table_pages();
  ASSERT_EQ(status_of(*space, base, 8ull << 20, page::kReadOnly), Status::success);
  EXPECT_EQ(space->page_table().table_pages(), tables);
  EXPECT_EQ(touch(*space, base + 0x1000, kWriteFault).status, Status::access_violation);
}

TEST_F(ProtectTest, LocksCountAgainstTheMinimumWorkingSet) {
  auto space = make_space();
  const Va base = commit(*space, 64 * kPageSize);
  EXPECT_EQ(space->lock(base + 0x100'0000, 1, LockKind::working_set), Status::access_violation);
  EXPECT_EQ(space->lock(base, 43 * kPageSize, LockKind::working_set), Status::working_set_quota);
  EXPECT_EQ(space->lock(base, 2 * kPageSize, LockKind::working_set), Status::success);
  EXPECT_EQ(space->lock(base, 2 * kPageSize, LockKind::working_set), Status::was_locked);
  EXPECT_EQ(space->unlock(base, 3 * kPageSize, LockKind::working_set), Status::not_locked);
  EXPECT_EQ(space->unlock(base, 2 * kPageSize, LockKind::physical), Status::not_locked);
  EXPECT_EQ(space->locked_pages(), 2u);
  EXPECT_EQ(space->unlock(base, 2 * kPageSize, LockKind::working_set), Status::success);
  EXPECT_EQ(space->locked_pages(), 0u);
}

TEST_F(ProtectTest, FreeingLockedPagesUnlocksThem) {
  const HeldBooks before = manager_.books().held;
  auto space = make_space();
  const Va base = commit(*space, 4 * kPageSize);
  ASSERT_EQ(space->lock(base, 4 * kPageSize, LockKind::physical), Status::success);
  ASSERT_TRUE(space->protect(base, kPageSize, page::kNoAccess));
  ASSERT_TRUE(space->free(base, 0, mem::kRelease));
  EXPECT_EQ(space->locked_pages(), 0u);
  space.reset();
  EXPECT_EQ(manager_.books().held, before);
}

}  // namespace
}  // namespace vitrine::mm::test
