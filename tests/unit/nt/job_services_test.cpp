#include "abi/job_information.h"
#include "abi/process_creation.h"
#include "ps/job.h"
#include "service_machine.h"

namespace vitrine::nt::test {
namespace {

namespace limit = ps::job_limit;

class JobServices : public testing::Test {
 protected:
  ServiceMachine m;
  ps::JobManager& jobs() { return m.processes->jobs(); }
  Va out() const { return m.scratch + 0x100; }
  u64 create() {
    EXPECT_EQ(m.call("NtCreateJobObject", {m.scratch, ps::job_access::kAll, 0}), Status::success);
    return m.handle();
  }
  // A process with a thread that never runs, and a handle to it.
  struct Child {
    ob::Ref<ps::Process> process;
    u64 handle;
  };
  Child child() {
    auto made = m.processes->create_process({.parent = m.process.get(), .image_path = u"\\??\\C:\\child.exe"});
    EXPECT_TRUE(made.has_value());
    EXPECT_TRUE(m.processes->create_thread(**made, {.start_address = 0x1000, .suspended = true}).has_value());
    const auto handle = m.process->handles->insert(**made, 0x1F'FFFF, 0);
    children_.push_back(*made);
    return {*made, handle->value};
  }
  Status set_extended(u64 job, u32 flags, u32 active = 0, u64 memory = 0) {
    abi::JobExtendedLimits limits{};
    limits.basic.flags = flags;
    limits.basic.active_processes = active;
    limits.process_memory = memory;
    m.write(out(), limits);
    return m.call("NtSetInformationJobObject", {job, 9, out(), sizeof limits});
  }
  abi::JobBasicAccounting accounting(u64 job) {
    EXPECT_EQ(m.call("NtQueryInformationJobObject", {job, 1, out(), sizeof(abi::JobBasicAccounting), 0}),
              Status::success);
    return m.read<abi::JobBasicAccounting>(out());
  }
  void TearDown() override {
    for (const auto& process : children_) {
      (void)m.processes->terminate_process(*process, Status::success, nullptr);
      settle(*process);
    }
  }
  void settle(const ps::Process& process) {
    for (int i = 0; i < 1000 && process.active_threads > 0; ++i) m.step();
    EXPECT_EQ(process.active_threads, 0u);
  }

 private:
  std::vector<ob::Ref<ps::Process>> children_;
};

TEST_F(JobServices, AProcessJoinsOneJobForGood) {
  const u64 first = create(), second = create();
  const Child c = child();
  EXPECT_EQ(m.call("NtIsProcessInJob", {c.handle, 0}), Status::process_not_in_job);
  EXPECT_EQ(m.call("NtAssignProcessToJobObject", {first, c.handle}), Status::success);
  EXPECT_EQ(m.call("NtAssignProcessToJobObject", {first, c.handle}), Status::access_denied);
  EXPECT_EQ(m.call("NtAssignProcessToJobObject", {second, c.handle}), Status::access_denied);
  EXPECT_EQ(m.call("NtIsProcessInJob", {c.handle, 0}), Status::process_in_job);
  EXPECT_EQ(m.call("NtIsProcessInJob", {c.handle, first}), Status::process_in_job);
  EXPECT_EQ(m.call("NtIsProcessInJob", {c.handle, second}), Status::process_not_in_job);
  EXPECT_EQ(accounting(first).active_processes, 1u);
}

TEST_F(JobServices, TerminationEndsEveryMemberWithTheGivenStatus) {
  const u64 job = create();
  const Child one = child(), two = child(), outside = child();
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {job, one.handle}), Status::success);
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {job, two.handle}), Status::success);
  ASSERT_EQ(m.call("NtTerminateJobObject", {job, 77}), Status::success);
  settle(*one.process);
  settle(*two.process);
  EXPECT_EQ(one.process->exit_status, Status{77});
  EXPECT_EQ(two.process->exit_status, Status{77});
  EXPECT_EQ(outside.process->exit_status, Status::pending);
  const auto sums = accounting(job);
  EXPECT_EQ(sums.active_processes, 0u);
  EXPECT_EQ(sums.total_processes, 2u);
  EXPECT_EQ(sums.terminated_processes, 0u);  // by a limit
}

TEST_F(JobServices, TheLastHandleKillsOnlyWhenAskedTo) {
  const u64 gentle = create(), killing = create();
  const Child kept = child(), killed = child();
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {gentle, kept.handle}), Status::success);
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {killing, killed.handle}), Status::success);
  ASSERT_EQ(set_extended(killing, limit::kKillOnJobClose), Status::success);
  ASSERT_EQ(m.call("NtDuplicateObject", {ServiceMachine::kSelf, killing, ServiceMachine::kSelf, m.scratch, 0, 0, 2}),
            Status::success);
  const u64 twin = m.handle();
  EXPECT_EQ(m.call("NtClose", {killing}), Status::success);
  EXPECT_FALSE(killed.process->deleting);
  EXPECT_EQ(m.call("NtClose", {twin}), Status::success);
  EXPECT_EQ(m.call("NtClose", {gentle}), Status::success);
  settle(*killed.process);
  EXPECT_EQ(killed.process->exit_status, Status::success);
  EXPECT_FALSE(kept.process->deleting);
}

TEST_F(JobServices, TooManyMembersEndTheOneThatIsAssigned) {
  const u64 job = create();
  ASSERT_EQ(set_extended(job, limit::kActiveProcess, 1), Status::success);
  const Child first = child(), second = child();
  EXPECT_EQ(m.call("NtAssignProcessToJobObject", {job, first.handle}), Status::success);
  EXPECT_EQ(m.call("NtAssignProcessToJobObject", {job, second.handle}), Status::quota_exceeded);
  settle(*second.process);
  EXPECT_EQ(second.process->exit_status, Status::quota_exceeded);
  EXPECT_FALSE(first.process->deleting);
  EXPECT_EQ(accounting(job).terminated_processes, 1u);
}

TEST_F(JobServices, ChildrenJoinTheParentsJobUnlessTheyMayBreakAway) {
  const u64 handle = create();
  const Child parent = child();
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {handle, parent.handle}), Status::success);
  ps::Job* job = ps::JobManager::job_of(*parent.process);
  const Child inside = child(), refused = child(), away = child(), silent = child();
  EXPECT_EQ(jobs().join_at_birth(*parent.process, *inside.process, false), Status::success);
  EXPECT_EQ(ps::JobManager::job_of(*inside.process), job);
  EXPECT_EQ(jobs().join_at_birth(*parent.process, *refused.process, true), Status::access_denied);
  ASSERT_EQ(set_extended(handle, limit::kBreakawayOk), Status::success);
  EXPECT_EQ(jobs().join_at_birth(*parent.process, *away.process, true), Status::success);
  EXPECT_EQ(ps::JobManager::job_of(*away.process), nullptr);
  ASSERT_EQ(set_extended(handle, limit::kSilentBreakawayOk), Status::success);
  EXPECT_EQ(jobs().join_at_birth(*parent.process, *silent.process, false), Status::success);
  EXPECT_EQ(ps::JobManager::job_of(*silent.process), nullptr);
}

TEST_F(JobServices, ThePortTellsOfMembersInOrder) {
  const u64 job = create();
  const Child early = child(), late = child();
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {job, early.handle}), Status::success);
  ASSERT_EQ(m.call("NtCreateIoCompletion", {m.scratch, 0x1F'0003, 0, 0}), Status::success);
  const u64 port = m.handle();
  m.write(out(), abi::JobCompletionPort{0x55, port});
  ASSERT_EQ(m.call("NtSetInformationJobObject", {job, 7, out(), 16}), Status::success);
  EXPECT_EQ(m.call("NtSetInformationJobObject", {job, 7, out(), 16}), Status::invalid_parameter);  // one for good
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {job, late.handle}), Status::success);
  (void)m.processes->terminate_process(*early.process, Status{5}, nullptr);
  settle(*early.process);
  (void)m.processes->terminate_process(*late.process, Status{0xC0000005u}, nullptr);
  settle(*late.process);
  const auto expect = [&](u32 message, u32 id) {
    ASSERT_EQ(m.run("NtRemoveIoCompletion", {port, out(), out() + 8, out() + 16, 0}), Status::success);
    EXPECT_EQ(m.read<u64>(out()), 0x55u);
    EXPECT_EQ(m.read<u64>(out() + 8), id);
    EXPECT_EQ(m.read<u64>(out() + 24), message);  // the number of bytes
  };
  expect(6, early.process->id);
  expect(6, late.process->id);
  expect(7, early.process->id);
  expect(8, late.process->id);
  expect(4, 0);
}

TEST_F(JobServices, LimitsAreCheckedAndShown) {
  const u64 job = create();
  EXPECT_EQ(set_extended(job, 0x4000'0000), Status::invalid_parameter);
  EXPECT_EQ(set_extended(job, limit::kJobTime | limit::kPreserveJobTime), Status::invalid_parameter);
  EXPECT_EQ(set_extended(job, limit::kJobMemory), Status::invalid_parameter);  // less than a page
  EXPECT_EQ(set_extended(job, limit::kActiveProcess, 0), Status::invalid_parameter);
  EXPECT_EQ(set_extended(job, limit::kProcessMemory | limit::kBreakawayOk, 0, 64 * kPageSize), Status::success);
  const Child c = child();
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {job, c.handle}), Status::success);
  EXPECT_EQ(
      c.process->space->allocate({0, 128 * kPageSize, 0, mm::mem::kReserve | mm::mem::kCommit, mm::page::kReadWrite})
          .error(),
      Status::commitment_limit);
  // The basic class has no say in what only the extended one knows.
  m.write(out(), abi::JobBasicLimits{});
  ASSERT_EQ(m.call("NtSetInformationJobObject", {job, 2, out(), sizeof(abi::JobBasicLimits)}), Status::success);
  ASSERT_EQ(m.call("NtQueryInformationJobObject", {job, 9, out(), sizeof(abi::JobExtendedLimits), 0}), Status::success);
  const auto shown = m.read<abi::JobExtendedLimits>(out());
  EXPECT_EQ(shown.basic.flags, limit::kProcessMemory | limit::kBreakawayOk);
  EXPECT_EQ(shown.process_memory, 64 * kPageSize);
  EXPECT_EQ(m.call("NtQueryInformationJobObject", {job, 9, out(), 8, 0}), Status::info_length_mismatch);
}

// Messages that lie in the port, as (message, process id).
std::vector<std::pair<u32, u32>> drain(ps::Job& job) {
  std::vector<std::pair<u32, u32>> messages;
  while (ke::QueueEntry* entry = job.port->queue.entries.pop_front()) {
    --job.port->queue.header.signal_state;
    const auto* packet = static_cast<io::CompletionPacket*>(entry);
    messages.emplace_back(static_cast<u32>(packet->record.information), static_cast<u32>(packet->record.value));
    delete packet;
  }
  return messages;
}

TEST_F(JobServices, AMemberThatHasUsedUpItsTimeEndsAndTheOthersGoOn) {
  const u64 handle = create();
  const Child busy = child(), lazy = child();
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {handle, busy.handle}), Status::success);
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {handle, lazy.handle}), Status::success);
  ASSERT_EQ(m.call("NtCreateIoCompletion", {m.scratch, 0x1F'0003, 0, 0}), Status::success);
  m.write(out(), abi::JobCompletionPort{1, m.handle()});
  ASSERT_EQ(m.call("NtSetInformationJobObject", {handle, 7, out(), 16}), Status::success);
  const i64 tick = m.executive->machine.clock_interval_100ns();
  abi::JobBasicLimits limits{};
  limits.flags = limit::kProcessTime;
  limits.process_user_time = 10 * tick;
  m.write(out(), limits);
  ASSERT_EQ(m.call("NtSetInformationJobObject", {handle, 2, out(), sizeof(limits)}), Status::success);
  ps::Job& job = *ps::JobManager::job_of(*busy.process);
  (void)drain(job);
  busy.process->ended_thread_user_time = 10;
  jobs().check_time_limits();
  EXPECT_FALSE(busy.process->deleting);  // used up, not exceeded
  busy.process->ended_thread_user_time = 11;
  jobs().check_time_limits();
  EXPECT_EQ(drain(job).back(), std::pair(u32{2}, busy.process->id));
  settle(*busy.process);
  EXPECT_EQ(busy.process->exit_status, ps::kTimeLimitExit);
  EXPECT_FALSE(lazy.process->deleting);
  EXPECT_EQ(accounting(handle).terminated_processes, 1u);
}

TEST_F(JobServices, TheJobsTimeCountsFromWhenItIsSetAndEndsAllOrOnlyTells) {
  const u64 handle = create();
  const Child one = child(), two = child();
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {handle, one.handle}), Status::success);
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {handle, two.handle}), Status::success);
  ps::Job& job = *ps::JobManager::job_of(*one.process);
  const auto set_time = [&](u32 flags, i64 ticks) {
    abi::JobBasicLimits limits{};
    limits.flags = flags;
    limits.job_user_time = ticks * m.executive->machine.clock_interval_100ns();
    m.write(out(), limits);
    EXPECT_EQ(m.call("NtSetInformationJobObject", {handle, 2, out(), sizeof(limits)}), Status::success);
  };
  one.process->ended_thread_user_time = 100;
  set_time(limit::kJobTime, 5);
  one.process->ended_thread_user_time = 103;
  two.process->ended_thread_user_time = 2;
  set_time(limit::kPreserveJobTime, 0);
  jobs().check_time_limits();
  EXPECT_FALSE(one.process->deleting);
  two.process->ended_thread_user_time = 3;
  // Post: with a port it only says so, and the limit is gone.
  ASSERT_EQ(m.call("NtCreateIoCompletion", {m.scratch, 0x1F'0003, 0, 0}), Status::success);
  m.write(out(), abi::JobCompletionPort{1, m.handle()});
  ASSERT_EQ(m.call("NtSetInformationJobObject", {handle, 7, out(), 16}), Status::success);
  m.write(out(), u32{1});
  ASSERT_EQ(m.call("NtSetInformationJobObject", {handle, 6, out(), 4}), Status::success);
  (void)drain(job);
  jobs().check_time_limits();
  EXPECT_EQ(drain(job), (std::vector{std::pair(u32{1}, u32{0})}));
  jobs().check_time_limits();
  EXPECT_TRUE(drain(job).empty());
  EXPECT_FALSE(one.process->deleting);
  // Terminate: everybody goes, and the job is signalled.
  m.write(out(), u32{0});
  ASSERT_EQ(m.call("NtSetInformationJobObject", {handle, 6, out(), 4}), Status::success);
  set_time(limit::kJobTime, 5);
  two.process->ended_thread_user_time = 9;
  jobs().check_time_limits();
  settle(*one.process);
  settle(*two.process);
  EXPECT_EQ(one.process->exit_status, ps::kTimeLimitExit);
  EXPECT_EQ(two.process->exit_status, ps::kTimeLimitExit);
  EXPECT_EQ(job.event.header.signal_state, 1);
}

TEST_F(JobServices, MembersShareTheJobsMemoryAndThePortHearsOfRefusals) {
  const u64 handle = create();
  const Child one = child(), two = child();
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {handle, one.handle}), Status::success);
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {handle, two.handle}), Status::success);
  ASSERT_EQ(m.call("NtCreateIoCompletion", {m.scratch, 0x1F'0003, 0, 0}), Status::success);
  m.write(out(), abi::JobCompletionPort{1, m.handle()});
  ASSERT_EQ(m.call("NtSetInformationJobObject", {handle, 7, out(), 16}), Status::success);
  ps::Job& job = *ps::JobManager::job_of(*one.process);
  (void)drain(job);
  const auto set_memory = [&](u32 flags, u64 process_pages, u64 job_pages) {
    abi::JobExtendedLimits limits{};
    limits.basic.flags = flags;
    limits.process_memory = process_pages * kPageSize;
    limits.job_memory = job_pages * kPageSize;
    m.write(out(), limits);
    EXPECT_EQ(m.call("NtSetInformationJobObject", {handle, 9, out(), sizeof(limits)}), Status::success);
  };
  const auto commit = [&](const Child& c, u64 pages) {
    const auto range = c.process->space->allocate(
        {0, pages * kPageSize, 0, mm::mem::kReserve | mm::mem::kCommit, mm::page::kReadWrite});
    return range ? Status::success : range.error();
  };
  const u64 before = one.process->space->commit_charge() + two.process->space->commit_charge();
  set_memory(limit::kJobMemory, 0, before + 100);
  EXPECT_EQ(commit(one, 60), Status::success);
  EXPECT_EQ(commit(two, 60), Status::commitment_limit);
  EXPECT_EQ(drain(job), (std::vector{std::pair(u32{10}, two.process->id)}));
  EXPECT_GE(job.peak_pages, before + 60);
  set_memory(limit::kProcessMemory, 80, 0);
  EXPECT_EQ(commit(two, 100), Status::commitment_limit);
  EXPECT_EQ(drain(job), (std::vector{std::pair(u32{9}, two.process->id)}));
}

TEST_F(JobServices, TheIdListSaysWhenItIsTooShort) {
  const u64 job = create();
  EXPECT_EQ(m.call("NtQueryInformationJobObject", {0, 3, out(), 64, 0}), Status::access_denied);  // in no job
  const Child one = child(), two = child();
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {job, one.handle}), Status::success);
  ASSERT_EQ(m.call("NtAssignProcessToJobObject", {job, two.handle}), Status::success);
  EXPECT_EQ(m.call("NtQueryInformationJobObject", {job, 3, out(), 16, 0}), Status::buffer_overflow);
  EXPECT_EQ(m.read<u32>(out()), 2u);
  EXPECT_EQ(m.read<u32>(out() + 4), 1u);
  EXPECT_EQ(m.read<u64>(out() + 8), one.process->id);
  EXPECT_EQ(m.call("NtQueryInformationJobObject", {job, 3, out(), 24, 0}), Status::success);
  EXPECT_EQ(m.read<u64>(out() + 16), two.process->id);
}

}  // namespace
}  // namespace vitrine::nt::test
