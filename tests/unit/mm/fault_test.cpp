// The fault path for private memory: demand zero, guards, stacks that grow, shadow blocks, the kernel's own access.
#include <algorithm>
#include <array>

#include "abi/teb.h"
#include "fixture.h"

namespace vitrine::mm::test {
namespace {

class FaultTest : public MemoryTest {
 protected:
  FaultTest() : MemoryTest(64ull << 20) {}

  // A thread with a TEB and a stack, current in `space`.
  UserStack make_thread(AddressSpace& space, u64 reserve, u64 commit_size = kPageSize, u32 guaranteed = 0) {
    const auto stack = space.create_user_stack(reserve, commit_size);
    teb_ = *space.create_shadow_block(2, 9);
    const auto put = [&](u64 offset, u64 value) {
      EXPECT_EQ(space.write_value(teb_ + offset, value), Status::success);
    };
    put(offsetof(abi::Teb, stack_base), stack->base);
    put(offsetof(abi::Teb, stack_limit), stack->limit);
    put(offsetof(abi::Teb, deallocation_stack), stack->allocation_base);
    EXPECT_EQ(space.write_value(teb_ + offsetof(abi::Teb, guaranteed_stack_bytes), guaranteed), Status::success);
    execution_.now = {.time_ns = 5, .processor = 1, .thread_id = 77, .space = &space, .teb = teb_};
    return *stack;
  }
  Va limit(AddressSpace& space) { return *space.read_value<u64>(teb_ + offsetof(abi::Teb, stack_limit)); }
  u32 protect_at(AddressSpace& space, Va va) { return space.query_basic(va)->protect; }

  Va teb_ = 0;
};

TEST_F(FaultTest, DemandZeroGivesAZeroedFrameOnce) {
  auto space = make_space();
  const Va base = commit(*space, 0x2000);
  const FaultResult first = touch(*space, base + 0x123, kWriteFault);
  EXPECT_EQ(first.status, Status::success);
  EXPECT_EQ(first.resolution, FaultResolution::demand_zero);
  EXPECT_FALSE(first.zeroed_page) << "a never-used frame is zero already";
  EXPECT_TRUE(space->page_table().get(base).is_dirty());
  EXPECT_EQ(touch(*space, base).resolution, FaultResolution::already_valid);
  EXPECT_EQ(space->working_set_pages(), 1u);
  EXPECT_EQ(manager_.books().demand_zero_faults, 1u);
}

TEST_F(FaultTest, ARecycledFrameIsClearedAndItsCodeForgotten) {
  auto space = make_space();
  const Va keep = commit(*space, 0x1000);  // its page table stays
  const Va base = commit(*space, 0x1000);
  ASSERT_EQ(space->write_value<u64>(keep, 1), Status::success);
  ASSERT_EQ(space->write_value<u64>(base, ~0ull), Status::success);
  const Pfn frame = space->page_table().get(base).pfn();
  ASSERT_TRUE(space->free(base, 0, mem::kRelease));
  backend_.code_writes.clear();
  const FaultResult result = touch(*space, commit(*space, 0x1000));
  ASSERT_EQ(result.pfn, frame);
  EXPECT_TRUE(result.zeroed_page);
  EXPECT_NE(std::ranges::find(backend_.code_writes, frame.value), backend_.code_writes.end());
  EXPECT_EQ(ram_.page(frame)[0], std::byte{0});
}

TEST_F(FaultTest, OutsideCommittedMemoryIsAnAccessViolation) {
  auto space = make_space();
  const Va reserved = space->allocate(request(0x1'0000, mem::kReserve))->base;
  for (const Va va : {Va{0}, reserved, reserved + 0x10'0000, Va{0x7FFF'FFFF'0000}, Va{0xFFFF'F880'0000'0000}, ~Va{0}}) {
    EXPECT_EQ(touch(*space, va).status, Status::access_violation) << va;
  }
}

TEST_F(FaultTest, EachFaultIsTraced) {
  auto space = make_space();
  const Va base = commit(*space, 0x1000);
  std::vector<trace::Event> events;
  recorder_.add_listener([&](const trace::Event& e) { events.push_back(e); });
  execution_.now = {.time_ns = 123, .processor = 2, .thread_id = 8};
  touch(*space, base, kWriteFault);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].type, trace::EventType::page_fault);
  EXPECT_EQ(events[0].time_ns, 123u);
  EXPECT_EQ(events[0].thread_id, 8u);
  EXPECT_EQ(events[0].arguments[0], base);
  EXPECT_EQ(events[0].arguments[1], kWriteFault | cpu::page_fault::kUser);
  EXPECT_EQ(events[0].arguments[2], u64{static_cast<u8>(FaultResolution::demand_zero)} << 32);
}

TEST_F(FaultTest, AGuardPageIsHitOnce) {
  auto space = make_space();
  const Va base = commit(*space, 0x2000, page::kReadWrite | page::kGuard);
  EXPECT_EQ(touch(*space, base).status, Status::guard_page_violation);
  EXPECT_EQ(touch(*space, base).status, Status::success);
  EXPECT_EQ(protect_at(*space, base), page::kReadWrite);
  EXPECT_EQ(protect_at(*space, base + 0x1000), page::kReadWrite | page::kGuard) << "the other page is untouched";
  EXPECT_EQ(space->write_value<u32>(base + 0x1000, 1), Status::guard_page_violation)
      << "the kernel's access counts too";
  EXPECT_EQ(space->write_value<u32>(base + 0x1000, 1), Status::success);
}

TEST_F(FaultTest, RightsComeBeforeTheGuard) {
  auto space = make_space();
  const Va base = commit(*space, 0x1000, page::kReadOnly | page::kGuard);
  EXPECT_EQ(touch(*space, base, kWriteFault).status, Status::access_violation);
  EXPECT_EQ(touch(*space, base).status, Status::guard_page_violation);
}

TEST_F(FaultTest, AUserStackHasItsTopCommittedAboveAGuard) {
  auto space = make_space();
  const auto stack = space->create_user_stack(0x1'0000, 0x1000);
  ASSERT_TRUE(stack);
  EXPECT_EQ(stack->base - stack->allocation_base, 0x1'0000u);
  EXPECT_EQ(stack->limit, stack->base - 0x1000);
  EXPECT_EQ(protect_at(*space, stack->limit), page::kReadWrite);
  const auto guard = space->query_basic(stack->limit - 0x3000);
  EXPECT_EQ(guard->region_size, 0x3000u);  // three guard pages in nt61-x64
  EXPECT_EQ(guard->protect, page::kReadWrite | page::kGuard);
  EXPECT_EQ(space->query_basic(stack->allocation_base)->state, mem::kReserve);
  EXPECT_EQ(space->vads().find(stack->allocation_base)->commit_charge(), 4u);
  const auto full = space->create_user_stack(0x1'0000, 0x1'0000);
  EXPECT_EQ(full->base - full->allocation_base, 0x10'0000u) << "commit fills the reserve: rounded to megabytes";
  EXPECT_EQ(space->create_user_stack(~0ull, 0x1000).error(), Status::no_memory);
}

TEST_F(FaultTest, TheStackGrowsPageByPageToItsEnd) {
  auto space = make_space();
  const UserStack stack = make_thread(*space, 0x1'0000);
  Va page = stack.limit;
  u32 grown = 0;
  Status status = Status::success;
  while (status == Status::success) {
    page -= kPageSize;
    const FaultResult result = touch(*space, page + 8, kWriteFault);
    status = result.status;
    if (status != Status::success) break;
    ++grown;
    EXPECT_EQ(result.resolution, FaultResolution::stack_growth);
    EXPECT_EQ(limit(*space), page);
    EXPECT_EQ(protect_at(*space, page - kPageSize), page::kReadWrite | page::kGuard);
  }
  EXPECT_EQ(status, Status::stack_overflow);
  EXPECT_EQ(grown, 11u);  // 16 pages: 1 committed at first, 1 never, and at the end the guard of 3 does not fit
  EXPECT_EQ(limit(*space), stack.allocation_base + kPageSize);
  for (Va va = stack.allocation_base + kPageSize; va < stack.base; va += kPageSize) {
    EXPECT_EQ(touch(*space, va, kWriteFault).status, Status::success) << "the handler may use what is left";
  }
  EXPECT_EQ(touch(*space, stack.allocation_base).status, Status::access_violation);
}

TEST_F(FaultTest, AGuardSetAgainInAnOverflowedStackLetsItOverflowAnew) {
  auto space = make_space();
  const UserStack stack = make_thread(*space, 0x1'0000);
  const auto overflow = [&](Va page) {
    Status status = Status::success;
    while (status == Status::success && page > stack.allocation_base) {
      page -= kPageSize;
      status = touch(*space, page, kWriteFault).status;
    }
    return status;
  };
  ASSERT_EQ(overflow(stack.limit), Status::stack_overflow);
  const Va top = stack.base - kPageSize;
  ASSERT_TRUE(space->protect(top, 1, page::kReadWrite | page::kGuard));
  ASSERT_EQ(touch(*space, top, kWriteFault).resolution, FaultResolution::stack_growth);
  EXPECT_EQ(limit(*space), top);
  EXPECT_EQ(protect_at(*space, top - kPageSize), page::kReadWrite | page::kGuard) << "committed pages guard again";
  EXPECT_EQ(overflow(top), Status::stack_overflow);
  EXPECT_EQ(limit(*space), stack.allocation_base + kPageSize);
}

TEST_F(FaultTest, AJumpOverTheGuardTakesItAlong) {
  auto space = make_space();
  const UserStack stack = make_thread(*space, 0x10'0000);
  EXPECT_EQ(touch(*space, stack.limit - 0x2800).status, Status::success);  // the lowest of three guard pages
  EXPECT_EQ(limit(*space), stack.limit - 0x3000);
  EXPECT_EQ(protect_at(*space, stack.limit - 0x1000), page::kReadWrite);
  EXPECT_EQ(space->query_basic(stack.limit - 0x6000)->region_size, 0x3000u);
  EXPECT_EQ(touch(*space, stack.limit - 0x7000).status, Status::access_violation)
      << "below the guard nothing is committed";
}

TEST_F(FaultTest, OnlyTheCurrentThreadsStackGrows) {
  auto space = make_space();
  make_thread(*space, 0x10'0000);
  const auto other = space->create_user_stack(0x10'0000, 0x1000);
  EXPECT_EQ(touch(*space, other->limit - 8).status, Status::guard_page_violation);
}

TEST_F(FaultTest, AStackThatCannotBeCommittedOverflows) {
  auto space = make_space();
  const UserStack stack = make_thread(*space, 0x10'0000);
  space->set_commit_limit(space->commit_charge());
  EXPECT_EQ(touch(*space, stack.limit - 8, kWriteFault).status, Status::stack_overflow);
}

TEST_F(FaultTest, NonsenseInTheTebMakesNoStack) {
  auto space = make_space();
  const UserStack stack = make_thread(*space, 0x10'0000);
  for (const u64 lie : {u64{0}, u64{0x1234}, ~u64{0}, stack.base}) {
    ASSERT_EQ(space->write_value(teb_ + offsetof(abi::Teb, deallocation_stack), lie), Status::success);
    EXPECT_EQ(touch(*space, stack.limit - 8).status, Status::guard_page_violation) << lie;
    ASSERT_TRUE(space->protect(stack.limit - 0x1000, 0x1000, page::kReadWrite | page::kGuard));
  }
}

TEST_F(FaultTest, GuaranteedBytesWidenTheGuard) {
  auto space = make_space();
  const UserStack stack = make_thread(*space, 0x10'0000, 0x1000, 0x5000);
  EXPECT_EQ(touch(*space, stack.limit - 8).status, Status::success);
  EXPECT_EQ(space->query_basic(stack.limit - 0x6000)->region_size, 0x5000u);
}

TEST_F(FaultTest, AShadowBlockGetsItsBytesAtTheFirstTouch) {
  auto space = make_space();
  static_cast<void>(commit(*space, 0x1000));  // the first page of pool is there
  const u64 available = memory_.pfn().available();
  const u64 committed = memory_.committed();
  const auto block = space->create_shadow_block(4, 1234);
  ASSERT_TRUE(block);
  EXPECT_EQ(*block, 0x7FFF'FFFF'0000u - 4 * kPageSize) << "page-granular, from the top";
  EXPECT_EQ(initializer_.calls, 0u);
  EXPECT_EQ(available - memory_.pfn().available(), 4u + 3u) << "frames are owned already, and tables";
  EXPECT_EQ(memory_.committed() - committed, 4u + 3u);
  EXPECT_EQ(space->read_value<u64>(*block + 0x1000), *block);
  EXPECT_EQ(space->read_value<u64>(*block + 0x1008), 1u);
  EXPECT_EQ(space->read_value<u64>(*block + 0x1010), 1234u);
  EXPECT_EQ(initializer_.calls, 1u);
  EXPECT_EQ(memory_.pfn().used_for(FrameUse::shadow), 3u);
  EXPECT_EQ(space->free(*block, 0, mem::kRelease).error(), Status::invalid_page_protection);
  EXPECT_EQ(space->protect(*block, 1, page::kNoAccess).error(), Status::invalid_page_protection);
  EXPECT_EQ(space->query_basic(*block)->region_size, 4 * kPageSize);
  space->delete_shadow_block(*block);
  EXPECT_EQ(memory_.pfn().available(), available);
  EXPECT_EQ(memory_.committed(), committed);
}

TEST_F(FaultTest, KernelAccessCrossesPagesAndSaysHowFarItCame) {
  auto space = make_space();
  const Va base = commit(*space, 0x2000);
  const auto bytes = pattern(0x1800);
  u64 done = 0;
  EXPECT_EQ(space->write(base + 0x900, std::span(bytes).first(0x1000), &done), Status::success);
  EXPECT_EQ(done, 0x1000u);
  std::vector<std::byte> back(0x1000);
  ASSERT_EQ(space->read(base + 0x900, back), Status::success);
  EXPECT_TRUE(std::equal(back.begin(), back.end(), bytes.begin()));
  EXPECT_EQ(space->write(base + 0x1000, bytes, &done), Status::access_violation);
  EXPECT_EQ(done, 0x1000u) << "up to the end of the range";
  EXPECT_EQ(space->read(~0ull - 4, back, &done), Status::access_violation);
  EXPECT_EQ(space->read(0x7FFF'FFFE'FFFF, back, &done), Status::access_violation);
  EXPECT_EQ(space->read(~0ull, {}, &done), Status::success) << "nothing to do, nothing to fail";
}

TEST_F(FaultTest, ProbesCheckAlignmentThenRangeThenTouchForWriting) {
  auto space = make_space();
  const Va base = commit(*space, 0x2000, page::kReadOnly);
  EXPECT_EQ(space->probe(base + 1, 8, 4, false), Status::datatype_misalignment);
  EXPECT_EQ(space->probe(0x7FFF'FFFE'FFF8, 0x10'0000, 4, false), Status::access_violation);
  EXPECT_EQ(space->probe(0x40'0000, 8, 4, false), Status::success) << "ProbeForRead touches nothing";
  EXPECT_EQ(space->probe(base, 8, 4, true), Status::access_violation);
  EXPECT_EQ(space->probe(~0ull, 0, 4, true), Status::success);
  ASSERT_TRUE(space->protect(base, 0x2000, page::kReadWrite));
  EXPECT_EQ(space->probe(base, 0x2000, 8, true), Status::success);
  EXPECT_EQ(space->working_set_pages(), 2u);
}

TEST_F(FaultTest, TheSharedFrameIsReadOnlyAndStays) {
  auto space = make_space();
  const auto frame = manager_.allocate_shared_frame();
  ASSERT_EQ(space->map_shared_frame(0x7FFE'0000, *frame), Status::success);
  ram_.page(*frame)[4] = std::byte{0x5A};
  EXPECT_EQ(space->read_value<u8>(0x7FFE'0004), 0x5A);
  EXPECT_EQ(space->write_value<u8>(0x7FFE'0004, 1), Status::access_violation);
  EXPECT_EQ(space->map_shared_frame(0x7FFE'0000, *frame), Status::conflicting_addresses);
  EXPECT_EQ(space->free(0x7FFE'0000, 0, mem::kRelease).error(), Status::invalid_page_protection);
  space.reset();
  EXPECT_EQ(memory_.pfn().use(*frame), FrameUse::system);
  manager_.free_shared_frame(*frame);
}

class TinyRamTest : public MemoryTest {
 protected:
  TinyRamTest() : MemoryTest(96 * kPageSize, 4096) {}  // promises are cheap, frames are not
};

TEST_F(TinyRamTest, RunningOutOfFramesIsAStatusEverywhere) {
  const HeldBooks before = manager_.books().held;
  {
    auto space = make_space();
    const Va base = commit(*space, 256 * kPageSize);
    Status status = Status::success;
    u64 pages = 0;
    for (; is_success(status) && pages < 256; ++pages) status = touch(*space, base + pages * kPageSize).status;
    EXPECT_EQ(status, Status::no_memory);
    EXPECT_GT(pages, 60u);
    EXPECT_EQ(space->write_value<u8>(base + 255 * kPageSize, 1), Status::no_memory);
    EXPECT_EQ(space->create_shadow_block(2, 0).error(), Status::no_memory);
    EXPECT_EQ(space->create_user_stack(0x40'0000, 0x20'0000).error(), Status::no_memory);
    EXPECT_EQ(manager_.create_kernel_stack().error(), Status::no_memory);
    EXPECT_EQ(manager_.create_space({}).error(), Status::no_memory);
    EXPECT_TRUE(space->vads().is_consistent());
  }
  EXPECT_EQ(manager_.books().held, before);
}

}  // namespace
}  // namespace vitrine::mm::test
