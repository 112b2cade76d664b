// Event pairs [facts 7.1]: two threads that take turns, as NT's first client and server did.
#include "ob/event_pair_object.h"
#include "service_machine.h"

namespace vitrine::nt::test {
namespace {

constexpr u64 kAll = 0x1F'0000;

class EventPairServices : public testing::Test {
 protected:
  ServiceMachine m;
  u64 create() {
    EXPECT_EQ(m.call("NtCreateEventPair", {m.scratch, kAll, 0}), Status::success);
    return m.handle();
  }
  // Begins a service that has to wait.
  void begin(ps::Thread& who, std::string_view name, u64 pair) {
    Outcome outcome = m.begin(who, name, {pair});
    ASSERT_TRUE(outcome.suspends());
    who.user->service = outcome.take_task();
    who.user->service.start();
  }
  void finish(ps::Thread& who) {
    for (int i = 0; i < 100 && !who.user->service.done(); ++i) {
      if (m.thread->tcb.state == ke::ThreadState::running && &who != m.thread.get()) {
        (void)m.kernel.yield_execution(m.thread->tcb);
      }
      m.step();
    }
    ASSERT_TRUE(who.user->service.done());
    EXPECT_EQ(who.user->service.result(), Status::success);
    who.user->service.reset();
  }
  ob::Ref<ps::Thread> partner() {
    auto other = m.new_thread();
    (void)m.kernel.yield_execution(m.thread->tcb);
    m.kernel.dispatch(0);
    EXPECT_EQ(other->tcb.state, ke::ThreadState::running);
    EXPECT_EQ(m.processes->begin_user_mode(*other), Status::success);
    return other;
  }
};

TEST_F(EventPairServices, EachSideIsAnEventOfItsOwnThatOneWaitTakes) {
  const u64 pair = create();
  EXPECT_EQ(m.call("NtSetLowEventPair", {pair}), Status::success);
  EXPECT_EQ(m.run("NtWaitLowEventPair", {pair}), Status::success);
  EXPECT_EQ(m.call("NtSetHighEventPair", {pair}), Status::success);
  EXPECT_EQ(m.run("NtWaitHighEventPair", {pair}), Status::success);
  // Both were taken: the next wait lasts until somebody sets its side, and the other side does not end it.
  begin(*m.thread, "NtWaitLowEventPair", pair);
  EXPECT_EQ(m.thread->tcb.wait_reason, ke::WaitReason::wr_event_pair);
  const ob::Ref<ob::Object> object = *m.process->handles->reference({pair}, nullptr, 0, se::Mode::kernel, nullptr);
  auto& sides = static_cast<ob::EventPairObject&>(*object).pair;
  m.kernel.set_event(sides.high);
  EXPECT_EQ(m.thread->tcb.state, ke::ThreadState::waiting);
  m.kernel.set_event(sides.low);
  finish(*m.thread);
}

TEST_F(EventPairServices, SettingOneSideAndWaitingForTheOtherHandsOver) {
  const u64 pair = create();
  const auto server = partner();
  begin(*server, "NtWaitHighEventPair", pair);
  m.kernel.dispatch(0);
  ASSERT_EQ(m.thread->tcb.state, ke::ThreadState::running);
  begin(*m.thread, "NtSetHighWaitLowEventPair", pair);  // the client asks
  finish(*server);
  EXPECT_EQ(m.thread->tcb.state, ke::ThreadState::waiting);
  begin(*server, "NtSetLowWaitHighEventPair", pair);  // the server answers and waits for more
  finish(*m.thread);
  EXPECT_EQ(server->tcb.state, ke::ThreadState::waiting);
  EXPECT_EQ(m.call("NtSetHighEventPair", {pair}), Status::success);
  finish(*server);
  m.processes->terminate_thread(*server, Status::success);
}

TEST_F(EventPairServices, AreOpenedByNameCheckedForTypeAndNotWaitedForAsAWhole) {
  const Va name = m.named(u"\\BaseNamedObjects\\Pair");
  ASSERT_EQ(m.call("NtCreateEventPair", {m.scratch, kAll, name}), Status::success);
  const u64 pair = m.handle();
  ASSERT_EQ(m.call("NtOpenEventPair", {m.scratch, kAll, name}), Status::success);
  EXPECT_EQ(m.call("NtSetLowEventPair", {m.handle()}), Status::success);
  EXPECT_EQ(m.run("NtWaitLowEventPair", {pair}), Status::success) << "one object";
  EXPECT_EQ(m.call("NtWaitForSingleObject", {pair, 0, 0}), Status::object_type_mismatch);
  EXPECT_EQ(m.call("NtSetEvent", {pair, 0}), Status::object_type_mismatch);
  ASSERT_EQ(m.call("NtCreateEventPair", {m.scratch, 0x2'0000, 0}), Status::success);  // READ_CONTROL only
  EXPECT_EQ(m.call("NtSetLowEventPair", {m.handle()}), Status::access_denied);
  EXPECT_EQ(m.call("NtSetHighWaitLowEventPair", {0x4444}), Status::invalid_handle);
}

}  // namespace
}  // namespace vitrine::nt::test
