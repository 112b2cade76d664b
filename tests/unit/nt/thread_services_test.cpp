#include "abi/context.h"
#include "abi/process_information.h"
#include "abi/thread_information.h"
#include "service_machine.h"

namespace vitrine::nt::test {
namespace {

using Gpr = cpu::Gpr;

class ThreadServices : public testing::Test {
 protected:
  ServiceMachine m;
  Va out() const { return m.scratch + 0x100; }
  u64 create(u32 flags) {
    EXPECT_EQ(
        m.call("NtCreateThreadEx", {m.scratch, 0x1F'FFFF, 0, ServiceMachine::kSelf, 0x1000, 0x77, flags, 0, 0, 0, 0}),
        Status::success);
    return m.handle();
  }
};

TEST_F(ThreadServices, TheAttributeListReturnsIdAndTeb) {
  const Va list = m.scratch + 0x200;
  m.write(list, u64{8 + 2 * sizeof(abi::PsAttribute)});
  m.write(list + 8, abi::PsAttribute{abi::ps_attribute::kClientId, 16, out(), 0});
  m.write(list + 8 + sizeof(abi::PsAttribute),
          abi::PsAttribute{abi::ps_attribute::kTebAddress, 8, out() + 16, out() + 24});
  ASSERT_EQ(m.call("NtCreateThreadEx", {m.scratch, 0x1F'FFFF, 0, ServiceMachine::kSelf, 0x1000, 0, 1, 0, 0, 0, list}),
            Status::success);
  const auto id = m.read<abi::ClientId>(out());
  const auto thread = m.processes->find_thread(id.unique_thread);
  ASSERT_TRUE(thread);
  EXPECT_EQ(m.read<Va>(out() + 16), thread->teb);
  EXPECT_EQ(m.read<u64>(out() + 24), 8u);
}

TEST_F(ThreadServices, SuspensionCountsAndStopsAt127) {
  const u64 handle = create(1);
  ASSERT_EQ(m.call("NtSuspendThread", {handle, out()}), Status::success);
  EXPECT_EQ(m.read<u32>(out()), 1u);
  for (int i = 2; i < 127; ++i) ASSERT_EQ(m.call("NtSuspendThread", {handle, 0}), Status::success);
  EXPECT_EQ(m.call("NtSuspendThread", {handle, 0}), Status::suspend_count_exceeded);
  EXPECT_EQ(m.call("NtResumeThread", {handle, out()}), Status::success);
  EXPECT_EQ(m.read<u32>(out()), 127u);
}

// facts 7.7, 7.8: a thread that is told to end cannot be suspended any more; one that has ended takes no APC.
TEST_F(ThreadServices, AThreadThatEndsRefusesSuspensionAndApcs) {
  const u64 handle = create(1);
  ASSERT_EQ(m.call("NtTerminateThread", {handle, 5}), Status::success);
  EXPECT_EQ(m.call("NtSuspendThread", {handle, 0}), Status::thread_is_terminating);
  EXPECT_EQ(m.call("NtQueueApcThread", {handle, 0x1000, 0, 0, 0}), Status::success) << "it has not begun to end";
  for (int i = 0; i < 1000 && m.process->active_threads > 1; ++i) m.step();
  ASSERT_EQ(m.process->active_threads, 1u);
  EXPECT_EQ(m.call("NtQueueApcThread", {handle, 0x1000, 0, 0, 0}), Status::unsuccessful);
  EXPECT_EQ(m.call("NtSuspendThread", {handle, 0}), Status::thread_is_terminating);
}

TEST_F(ThreadServices, AThreadThatNeverRanShowsAndTakesItsFirstContext) {
  m.process->entry_points.ldr_initialize_thunk = 0x5000'0000;
  m.process->entry_points.rtl_user_thread_start = 0x5000'1000;
  const u64 handle = create(1);
  abi::Context context{};
  context.context_flags = abi::context_flags::kFull;
  const Va va = m.scratch + 0x1000;
  m.write(va, context);
  ASSERT_EQ(m.call("NtGetContextThread", {handle, va}), Status::success);
  context = m.read<abi::Context>(va);
  EXPECT_EQ(context.rip, 0x5000'1000u);
  EXPECT_EQ(context.gpr[1], 0x1000u);  // RCX: the start routine
  EXPECT_EQ(context.gpr[2], 0x77u);
  context.gpr[1] = 0xABCD;
  m.write(va, context);
  ASSERT_EQ(m.call("NtSetContextThread", {handle, va}), Status::success);
  m.write(va + offsetof(abi::Context, gpr), std::array<u64, 16>{});
  ASSERT_EQ(m.call("NtGetContextThread", {handle, va}), Status::success);
  EXPECT_EQ(m.read<abi::Context>(va).gpr[1], 0xABCDu);
}

TEST_F(ThreadServices, SettingOnesOwnContextReplacesTheRegisters) {
  abi::Context context{};
  context.context_flags = abi::context_flags::kInteger;
  context.gpr[12] = 0x4321;
  m.write(m.scratch + 0x1000, context);
  const Va rip = m.thread->registers().rip;
  ASSERT_EQ(m.call("NtSetContextThread", {ServiceMachine::kThisThread, m.scratch + 0x1000}), Status::success);
  EXPECT_EQ(m.thread->registers()[Gpr::r12], 0x4321u);
  EXPECT_EQ(m.thread->registers().rip, rip);
  EXPECT_TRUE(m.thread->user->registers_replaced);
}

TEST_F(ThreadServices, TheOnlyThreadCannotTerminateItselfByNull) {
  EXPECT_EQ(m.call("NtTerminateThread", {0, 1}), Status::cant_terminate_self);
  create(1);
  EXPECT_EQ(m.call("NtTerminateThread", {0, 1}), Status::success);
  EXPECT_TRUE(m.thread->has_flag(ps::cross_thread_flags::kTerminated));
}

TEST_F(ThreadServices, ThreadsAreEnumeratedInOrderOfCreation) {
  create(1);
  ASSERT_EQ(m.call("NtGetNextThread", {ServiceMachine::kSelf, 0, 0x40, 0, 0, m.scratch}), Status::success);
  const u64 first = m.handle();
  ASSERT_EQ(m.call("NtGetNextThread", {ServiceMachine::kSelf, first, 0x40, 0, 0, m.scratch}), Status::success);
  EXPECT_EQ(m.call("NtGetNextThread", {ServiceMachine::kSelf, m.handle(), 0x40, 0, 0, m.scratch}),
            Status::no_more_entries);
  EXPECT_EQ(m.call("NtGetNextThread", {ServiceMachine::kSelf, 0, 0x40, 0, 1, m.scratch}), Status::invalid_parameter);
}

TEST_F(ThreadServices, OpeningByIdDistinguishesWhatIsWrong) {
  m.write(out(), abi::ClientId{m.process->id, m.thread->id});
  EXPECT_EQ(m.call("NtOpenThread", {m.scratch, 0x40, 0, out()}), Status::success);
  m.write(out(), abi::ClientId{m.process->id + 4, m.thread->id});
  EXPECT_EQ(m.call("NtOpenThread", {m.scratch, 0x40, 0, out()}), Status::invalid_cid);
  m.write(out(), abi::ClientId{0, 0x7777'0000});
  EXPECT_EQ(m.call("NtOpenThread", {m.scratch, 0x40, 0, out()}), Status::invalid_parameter);
  m.write(out(), abi::ClientId{0x7777'0000, 0});
  EXPECT_EQ(m.call("NtOpenProcess", {m.scratch, 0x400, 0, out()}), Status::invalid_cid);
}

TEST_F(ThreadServices, InformationIsTheThreadsOwn) {
  ASSERT_EQ(m.call("NtQueryInformationThread", {ServiceMachine::kThisThread, 0, out(), 48, m.scratch}),
            Status::success);
  const auto basic = m.read<abi::ThreadBasicInformation>(out());
  EXPECT_EQ(basic.exit_status, static_cast<u32>(Status::pending));
  EXPECT_EQ(basic.client_id.unique_thread, m.thread->id);
  EXPECT_EQ(m.call("NtQueryInformationThread", {ServiceMachine::kThisThread, 0, out(), 47, 0}),
            Status::info_length_mismatch);
  EXPECT_EQ(m.call("NtQueryInformationThread", {ServiceMachine::kThisThread, 2, out(), 4, 0}),
            Status::invalid_info_class);
  m.write(out(), i32{2});
  EXPECT_EQ(m.call("NtSetInformationThread", {ServiceMachine::kThisThread, 3, out(), 4}), Status::success);
  EXPECT_EQ(m.thread->tcb.base_priority, 10);
  m.write(out(), i32{5});
  EXPECT_EQ(m.call("NtSetInformationThread", {ServiceMachine::kThisThread, 3, out(), 4}), Status::invalid_parameter);
  m.write(out(), u64{2});  // a processor that is not there
  EXPECT_EQ(m.call("NtSetInformationThread", {ServiceMachine::kThisThread, 4, out(), 8}), Status::invalid_parameter);
}

TEST_F(ThreadServices, SaturatedPrioritiesAreShownAsGetThreadPriorityGivesThem) {
  for (const i32 increment : {15, -15}) {
    m.write(out(), increment);
    ASSERT_EQ(m.call("NtSetInformationThread", {ServiceMachine::kThisThread, 3, out(), 4}), Status::success);
    ASSERT_EQ(m.call("NtQueryInformationThread", {ServiceMachine::kThisThread, 0, out(), 48, 0}), Status::success);
    const auto basic = m.read<abi::ThreadBasicInformation>(out());
    EXPECT_EQ(basic.priority, increment);
    EXPECT_EQ(basic.base_priority, increment > 0 ? 16 : -16) << "NT's own answer";
  }
}

TEST_F(ThreadServices, ANameIsKeptUntilTheThreadGoes) {
  const Va text = m.scratch + 0x300;
  m.write(text, std::array<char16_t, 3>{u'a', u'b', u'c'});
  m.write(out(), abi::UnicodeString{6, 6, 0, text});
  ASSERT_EQ(m.call("NtSetInformationThread", {ServiceMachine::kThisThread, 38, out(), 16}), Status::success);
  EXPECT_EQ(m.call("NtQueryInformationThread", {ServiceMachine::kThisThread, 38, 0, 0, m.scratch}),
            Status::buffer_too_small);
  const u32 needed = m.read<u32>(m.scratch);
  ASSERT_EQ(m.call("NtQueryInformationThread", {ServiceMachine::kThisThread, 38, out(), needed, 0}), Status::success);
  EXPECT_EQ(m.read<abi::UnicodeString>(out()).length, 6u);
  EXPECT_EQ(m.read<char16_t>(m.read<abi::UnicodeString>(out()).buffer + 4), u'c');
}

TEST_F(ThreadServices, ProcessInformationCountsForReal) {
  ASSERT_EQ(m.call("NtQueryInformationProcess", {ServiceMachine::kSelf, 20, out(), 4, 0}), Status::success);
  const u32 before = m.read<u32>(out());
  create(1);
  ASSERT_EQ(m.call("NtQueryInformationProcess", {ServiceMachine::kSelf, 20, out(), 4, 0}), Status::success);
  EXPECT_EQ(m.read<u32>(out()), before + 1);
  ASSERT_EQ(m.call("NtQueryInformationProcess", {ServiceMachine::kSelf, 3, out(), 96, 0}), Status::success);
  EXPECT_EQ(m.read<abi::VmCounters>(out()).private_usage, m.process->space->commit_charge() << kPageShift);
  EXPECT_EQ(m.call("NtQueryInformationProcess", {ServiceMachine::kSelf, 3, out(), 90, 0}),
            Status::info_length_mismatch);
  EXPECT_EQ(m.call("NtQueryInformationProcess", {ServiceMachine::kSelf, 30, out(), 8, 0}), Status::port_not_set);
  m.write(out(), abi::ProcessPriorityClass{0, 4});  // real time, without the privilege
  EXPECT_EQ(m.call("NtSetInformationProcess", {ServiceMachine::kSelf, 18, out(), 2}), Status::privilege_not_held);
  m.write(out(), abi::ProcessPriorityClass{0, 3});
  ASSERT_EQ(m.call("NtSetInformationProcess", {ServiceMachine::kSelf, 18, out(), 2}), Status::success);
  EXPECT_EQ(m.thread->tcb.base_priority, 13);
}

TEST_F(ThreadServices, TerminatingTheOthersLeavesTheCaller) {
  create(0);
  EXPECT_EQ(m.call("NtTerminateProcess", {0, 3}), Status::success);
  for (int i = 0; i < 2000 && m.process->active_threads > 1; ++i) m.step();  // the caller's quantum has to end
  EXPECT_EQ(m.process->active_threads, 1u);
  EXPECT_FALSE(m.thread->has_flag(ps::cross_thread_flags::kTerminated));
}

}  // namespace
}  // namespace vitrine::nt::test
