#include "service_machine.h"

namespace vitrine::nt::test {
namespace {

class WaitServices : public testing::Test {
 protected:
  ServiceMachine m;
  static constexpr u64 kEventAll = 0x1F'0003;

  u64 event(bool synchronization, bool signalled) {
    EXPECT_EQ(m.call("NtCreateEvent", {m.scratch, kEventAll, 0, synchronization, signalled}), Status::success);
    return m.handle();
  }
  Va timeout(i64 ticks) {
    m.write(m.scratch + 0x20, ticks);
    return m.scratch + 0x20;
  }
};

TEST_F(WaitServices, ASignalledSynchronizationEventSatisfiesOneWait) {
  const u64 handle = event(true, true);
  EXPECT_EQ(m.call("NtWaitForSingleObject", {handle, 0, timeout(0)}), Status::success);
  EXPECT_EQ(m.call("NtWaitForSingleObject", {handle, 0, timeout(0)}), Status::timeout);
}

TEST_F(WaitServices, ATimedWaitEndsByItself) {
  const i64 before = m.kernel.interrupt_time().value;
  EXPECT_EQ(m.run("NtWaitForSingleObject", {event(false, false), 0, timeout(-500'000)}), Status::timeout);
  EXPECT_GE(m.kernel.interrupt_time().value - before, 500'000);
}

TEST_F(WaitServices, WaitingNeedsTheRightToSynchronize) {
  ASSERT_EQ(m.call("NtCreateEvent", {m.scratch, 2, 0, 0, 1}), Status::success);  // modify state only
  EXPECT_EQ(m.call("NtWaitForSingleObject", {m.handle(), 0, timeout(0)}), Status::access_denied);
  EXPECT_EQ(m.call("NtWaitForSingleObject", {0x4444, 0, timeout(0)}), Status::invalid_handle);
}

TEST_F(WaitServices, AWaitForAnyReportsTheFirstSignalledObject) {
  const u64 first = event(true, false), second = event(true, true);
  m.write(m.scratch + 0x40, first);
  m.write(m.scratch + 0x48, second);
  EXPECT_EQ(m.call("NtWaitForMultipleObjects", {2, m.scratch + 0x40, 1, 0, timeout(0)}), Status::wait_1);
  EXPECT_EQ(m.call("NtWaitForMultipleObjects", {65, m.scratch + 0x40, 1, 0, timeout(0)}), Status::invalid_parameter_1);
  EXPECT_EQ(m.call("NtWaitForMultipleObjects", {0, m.scratch + 0x40, 1, 0, timeout(0)}), Status::invalid_parameter_1);
}

TEST_F(WaitServices, AHandleClosedDuringAWaitDoesNotEndTheObject) {
  const u64 handle = event(false, false);
  Outcome outcome = m.begin(*m.thread, "NtWaitForSingleObject", {handle, 0, timeout(-500'000)});
  ASSERT_TRUE(outcome.suspends());
  m.thread->user->service = outcome.take_task();
  m.thread->user->service.start();
  ASSERT_EQ(m.process->handles->close({handle}, se::Mode::user), Status::success);
  for (int i = 0; i < 100 && !m.thread->user->service.done(); ++i) m.step();
  ASSERT_TRUE(m.thread->user->service.done());
  EXPECT_EQ(m.thread->user->service.result(), Status::timeout);
  m.thread->user->service.reset();
}

TEST_F(WaitServices, SignalAndWaitChecksWhatItSignals) {
  const u64 signal = event(false, false), wait = event(false, true);
  EXPECT_EQ(m.run("NtSignalAndWaitForSingleObject", {signal, wait, 0, timeout(0)}), Status::success);
  EXPECT_EQ(m.call("NtWaitForSingleObject", {signal, 0, timeout(0)}), Status::success);
  EXPECT_EQ(m.call("NtSignalAndWaitForSingleObject", {ServiceMachine::kThisThread, wait, 0, timeout(0)}),
            Status::object_type_mismatch);
}

TEST_F(WaitServices, AnAlertByIdIsRememberedAndRefusedToStrangers) {
  EXPECT_EQ(m.call("NtAlertThreadByThreadId", {m.thread->id}), Status::success);
  EXPECT_EQ(m.call("NtWaitForAlertByThreadId", {0, timeout(0)}), Status::alerted);
  EXPECT_EQ(m.call("NtAlertThreadByThreadId", {0x9999'0000}), Status::invalid_cid);
}

TEST_F(WaitServices, ANullKeyedEventIsTheSystemsOwn) {
  EXPECT_EQ(m.run("NtWaitForKeyedEvent", {0, 0x1000, 0, timeout(-200'000)}), Status::timeout);
  EXPECT_EQ(m.call("NtWaitForKeyedEvent", {0, 0x1001, 0, timeout(0)}), Status::invalid_parameter_1);
  ASSERT_EQ(m.call("NtOpenKeyedEvent", {m.scratch, 3, m.named(u"\\KernelObjects\\CritSecOutOfMemoryEvent")}),
            Status::success);
}

TEST_F(WaitServices, NamedObjectsAreFoundAgainAndTypesKeptApart) {
  const Va name = m.named(u"\\BaseNamedObjects\\x");
  ASSERT_EQ(m.call("NtCreateEvent", {m.scratch, kEventAll, name, 0, 1}), Status::success);
  EXPECT_EQ(m.call("NtOpenEvent", {m.scratch, kEventAll, name}), Status::success);
  EXPECT_EQ(m.call("NtWaitForSingleObject", {m.handle(), 0, timeout(0)}), Status::success);
  EXPECT_EQ(m.call("NtOpenSemaphore", {m.scratch, kEventAll, name}), Status::object_type_mismatch);
  EXPECT_EQ(m.call("NtCreateEvent", {m.scratch, kEventAll, name, 0, 1}), Status::object_name_collision);
}

TEST_F(WaitServices, AMutantThatExistsIsNotAcquiredByItsSecondCreator) {
  const Va name = m.named(u"\\BaseNamedObjects\\m");
  m.write(name + offsetof(abi::ObjectAttributes, attributes), u32{0x40 | 0x80});  // OBJ_OPENIF
  ASSERT_EQ(m.call("NtCreateMutant", {m.scratch, 0x1F'0001, name, 1}), Status::success);
  const u64 first = m.handle();
  EXPECT_EQ(m.call("NtCreateMutant", {m.scratch, 0x1F'0001, name, 1}), Status::object_name_exists);
  EXPECT_EQ(m.call("NtReleaseMutant", {first, m.scratch + 8}), Status::success);
  EXPECT_EQ(m.read<i32>(m.scratch + 8), 0);
  EXPECT_EQ(m.call("NtReleaseMutant", {m.handle(), 0}), Status::mutant_not_owned);
}

TEST_F(WaitServices, ATimerQueuesItsApcToTheThreadThatSetIt) {
  ASSERT_EQ(m.call("NtCreateTimer", {m.scratch, 0x1F'0003, 0, 0}), Status::success);
  const u64 timer = m.handle();
  ASSERT_EQ(m.call("NtSetTimer", {timer, timeout(-300'000), 0x7777'0000, 5, 0, 0, 0}), Status::success);
  EXPECT_EQ(m.run("NtDelayExecution", {1, timeout(-50'000'000)}), Status::user_apc);
  m.step();
  EXPECT_EQ(m.delivered, std::vector<Va>{0x7777'0000});
  EXPECT_EQ(m.call("NtSetTimer", {timer, timeout(-1), 0, 0, 0, static_cast<u32>(-1), 0}), Status::invalid_parameter_6);
}

}  // namespace
}  // namespace vitrine::nt::test
