// A thread's first GUI service: large kernel stack, the other service table, W32THREAD; and all of it gone with the
// thread.
#include "nt/win32_threads.h"

#include <gtest/gtest.h>

#include "nt/dispatch.h"
#include "nt/executive_state.h"
#include "service_machine.h"

namespace vitrine::nt {
namespace {

class GuiThread : public testing::Test {
 protected:
  Status call(u32 number) {
    machine.thread->registers()[cpu::Gpr::rax] = number;
    dispatcher.enter(*machine.thread);
    return static_cast<Status>(machine.thread->registers()[cpu::Gpr::rax]);
  }
  [[nodiscard]] Va record() const { return executive.state->win32.thread_record(*machine.thread); }

  test::ServiceMachine machine;
  Executive& executive = *machine.executive;
  ServiceTable services{std::span<const ldr::Stub>{}};
  ServiceDispatcher dispatcher{executive, services};
};

TEST_F(GuiThread, BecomesOneAtItsFirstGuiServiceAndOnce) {
  const auto before = machine.thread->kernel_stack;
  EXPECT_EQ(call(0x0FFF), Status::invalid_system_service);
  EXPECT_EQ(record(), 0u) << "a service of the first table";
  EXPECT_EQ(machine.thread->kernel_stack, before);

  EXPECT_EQ(call(0x1000), Status::invalid_system_service) << "there is no win32k behind the table";
  const Va first = record();
  EXPECT_NE(first, 0u);
  EXPECT_NE(executive.state->win32.process_record(*machine.process), 0u);
  const auto large = machine.thread->kernel_stack;
  EXPECT_NE(large, before);

  EXPECT_EQ(call(0x1001), Status::invalid_system_service);
  EXPECT_EQ(record(), first);
  EXPECT_EQ(machine.thread->kernel_stack, large);
}

TEST_F(GuiThread, ReservesTheLargeStacksAddressesAndCommitsAsMuchAsBefore) {
  const u64 committed = machine.memory.books().held.committed_pages;
  const auto other = machine.new_thread(true);
  const u64 one = machine.memory.books().held.committed_pages - committed;
  ASSERT_EQ(executive.state->win32.convert(executive, *other), Status::success);
  EXPECT_LE(machine.memory.books().held.committed_pages, committed + one + 2)
      << "the records are session pool, a page and the table that maps it; the stack costs what it did";
  // NT: 18 pages and a guard on x64: the next stack lies beyond them [facts 3.3].
  const auto next = machine.new_thread(true);
  ASSERT_EQ(executive.state->win32.convert(executive, *next), Status::success);
  const i64 distance = static_cast<i64>(machine.memory.kernel_stack_base(next->kernel_stack)) -
                       static_cast<i64>(machine.memory.kernel_stack_base(other->kernel_stack));
  const u64 pages = machine.profile.stack.large_pages + machine.profile.stack.guard_pages;
  EXPECT_GE(static_cast<u64>(distance < 0 ? -distance : distance), pages * kPageSize);
}

TEST_F(GuiThread, LosesItsRecordAtItsEndAndTheProcessWithItsLastThread) {
  ASSERT_EQ(call(0x1000), Status::invalid_system_service);
  executive.state->win32.thread_ends(*machine.thread);
  EXPECT_EQ(record(), 0u);
  EXPECT_NE(executive.state->win32.process_record(*machine.process), 0u) << "it has threads yet";
}

}  // namespace
}  // namespace vitrine::nt
