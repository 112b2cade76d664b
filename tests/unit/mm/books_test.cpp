// What threads cost, in the machine's books and in host memory, and that all of it comes back.
#include "fixture.h"

namespace vitrine::mm::test {
namespace {

class KernelStackTest : public MemoryTest {};

TEST_F(KernelStackTest, HasAddressesFramesAndCharges) {
  const Books before = manager_.books();
  const auto stack = manager_.create_kernel_stack();
  ASSERT_TRUE(stack);
  EXPECT_EQ(manager_.kernel_stack_base(*stack) - manager_.kernel_stack_limit(*stack), 0x6000u);
  EXPECT_EQ(manager_.kernel_stack_limit(*stack), 0xFFFF'F880'0000'1000u) << "above the guard PTE";
  const Books now = manager_.books();
  EXPECT_EQ(now.held.system_ptes, 7u);
  EXPECT_EQ(now.held.kernel_stack_pages, 6u);
  EXPECT_EQ(now.held.committed_pages - before.held.committed_pages, 6u + 1u) << "and the region's first page table";
  EXPECT_EQ(before.held.resident_available_pages - now.held.resident_available_pages, 7);
  EXPECT_NE(manager_.kernel_stack_frame(*stack, 0), manager_.kernel_stack_frame(*stack, 5));
  const auto large = manager_.create_kernel_stack(true);
  EXPECT_EQ(manager_.books().held.system_ptes, 7u + 19u);
  EXPECT_EQ(manager_.kernel_stack_base(*large) - manager_.kernel_stack_limit(*large), 0x6000u);
  manager_.delete_kernel_stack(*stack);
  manager_.delete_kernel_stack(*large);
  EXPECT_EQ(manager_.books().held, before.held);
}

TEST_F(KernelStackTest, ResidentMemoryBoundsTheirNumberAndFailureKeepsNothing) {
  std::vector<KernelStack> stacks;
  const HeldBooks before = manager_.books().held;
  auto stack = manager_.create_kernel_stack();
  for (; stack; stack = manager_.create_kernel_stack()) stacks.push_back(*stack);
  EXPECT_EQ(stack.error(), Status::commitment_limit);  // without a page file, commit and memory end together
  EXPECT_NEAR(static_cast<double>(stacks.size()), static_cast<double>(before.available_pages) / 6, 20);
  for (const KernelStack s : stacks) manager_.delete_kernel_stack(s);
  EXPECT_EQ(manager_.books().held, before);
}

class X86StackTest : public MemoryTest {
 protected:
  X86StackTest() : MemoryTest(64ull << 20, 0, "nt52-x86") {}
};

TEST_F(X86StackTest, IsThreePagesAndAGuardOnX86) {
  const auto stack = manager_.create_kernel_stack();
  EXPECT_EQ(manager_.kernel_stack_base(*stack) - manager_.kernel_stack_limit(*stack), 0x3000u);
  EXPECT_EQ(manager_.books().held.system_ptes, 4u);
  manager_.delete_kernel_stack(*stack);
}

class CapacityTest : public MemoryTest {
 protected:
  CapacityTest() : MemoryTest(16ull << 30) {}  // address space of the host only
};

TEST_F(CapacityTest, SuspendedThreadsAreCheapAndComeBack) {
  constexpr u32 kThreads = 20'000;
  const HeldBooks before = manager_.books().held;
  auto space = make_space();
  const u64 host_before = memory_.pfn().host_bytes();
  const u64 committed = memory_.committed();
  std::vector<Va> tebs, stacks;
  std::vector<KernelStack> kernel;
  for (u32 i = 0; i < kThreads; ++i) {
    const auto stack = manager_.create_kernel_stack();
    const auto teb = space->create_shadow_block(2, i);
    const auto user = space->create_user_stack(0x1'0000, 0x1000);
    ASSERT_TRUE(stack && teb && user) << i;
    kernel.push_back(*stack);
    tebs.push_back(*teb);
    stacks.push_back(user->allocation_base);
  }
  // Host bytes: VADs, page tables (real pages of guest RAM) and the frame database.
  const u64 tables = space->page_table().table_pages() * kPageSize;
  const u64 host = space->vads().host_bytes() + tables + memory_.pfn().host_bytes() - host_before;
  EXPECT_LT(host / kThreads, 310u);
  EXPECT_LT(ram_.resident_bytes() / kThreads, 160u) << "no frame but page tables was touched";
  // NT's own price: 6 stack pages, 2 TEB pages, 1 + 3 stack pages, shares of tables and pool.
  EXPECT_NEAR(static_cast<double>(memory_.committed() - committed) / kThreads, 12.2, 0.15);
  EXPECT_EQ(pool_.usage(ex::PoolType::nonpaged).bytes, kThreads * (160u + 80u));
  EXPECT_EQ(initializer_.calls, 0u);
  for (u32 i = 0; i < kThreads; ++i) {
    const u32 n = (i * 7919u) % kThreads;  // in another order
    manager_.delete_kernel_stack(kernel[n]);
    space->delete_shadow_block(tebs[n]);
    ASSERT_TRUE(space->free(stacks[n], 0, mem::kRelease));
  }
  EXPECT_EQ(space->vads().size(), 0u);
  space.reset();
  EXPECT_EQ(manager_.books().held, before);
}

TEST_F(CapacityTest, RandomisedLayoutsFollowTheSeed) {
  const auto layout = [&](u64 seed) {
    sim::Random random(seed, "layout");
    auto space = make_space({.random = &random});
    const Va low = space->allocate(request(0x1000, mem::kReserve))->base;
    return std::pair{low, *space->create_shadow_block(2, 0)};
  };
  EXPECT_EQ(layout(1), layout(1));
  EXPECT_NE(layout(1), layout(2));
}

}  // namespace
}  // namespace vitrine::mm::test
