// What the scheduler, the swapper, queues, jobs and services do to threads and processes, and what `dt` shows of it.
#include <algorithm>

#include "abi/job_information.h"
#include "io/io_completion.h"
#include "lpc/port.h"
#include "structure_look.h"

namespace vitrine::kd::test {

using testing::Contains;
using testing::IsSupersetOf;

// The thread waits in user mode, as a suspended service does.
void Acts::begin_wait(ps::Thread& who, ke::DispatcherHeader& object, std::optional<Ticks> timeout) {
  who.user->service =
      kernel.wait_single(&who.tcb, &object, {ke::WaitReason::user_request, ke::Mode::user, false, timeout});
  who.user->service.start();
  ASSERT_EQ(who.tcb.state, ke::ThreadState::waiting);
}

// Four processors in two nodes.
void Acts::shows_placement() {
  const u64 mine = u64{1} << thread.tcb.ideal_processor;
  const u8 other = thread.tcb.ideal_processor == 0 ? 1 : 0;
  EXPECT_THAT(changed(thread, [&] { EXPECT_TRUE(kernel.set_ideal_processor(thread.tcb, other)); }),
              testing::ElementsAre("KTHREAD.IdealProcessor"));
  EXPECT_THAT(changed(thread,
                      [&] {
                        EXPECT_TRUE(kernel.set_affinity(thread.tcb, ~mine & kernel.active_processors()));
                        kernel.dispatch(thread.tcb.next_processor);
                      }),
              IsSupersetOf({"KTHREAD.Affinity", "KTHREAD.NextProcessor"}));
  machine.write(machine.scratch, u64{3});
  EXPECT_THAT(changed(thread,
                      [&] {
                        EXPECT_EQ(machine.call("NtSetInformationProcess", {machine.kSelf, 21, machine.scratch, 8}),
                                  Status::success);
                      }),
              Contains("KPROCESS.Affinity"));
  // The next process prefers the other node [facts 6.7].
  const auto second = *machine.processes->create_process(
      {.parent = &machine.processes->system_process(), .image_path = u"\\??\\C:\\other.exe"});
  const auto stranger = *machine.processes->create_thread(*second, {.start_address = 0x3000});
  note_birth(thread, *stranger);
  EXPECT_TRUE(seen.contains("KPROCESS.IdealNode"));
  // Who readies a thread keeps it until it finds its processor.
  ke::Event event(ke::EventKind::synchronization);
  for (int i = 0; i < 100 && thread.tcb.state != ke::ThreadState::running; ++i) machine.step();
  begin_wait(thread, event.header);
  const u32 readying = (thread.tcb.deferred_processor + 1) % 4;
  EXPECT_THAT(changed(thread,
                      [&] {
                        kernel.enter(readying);
                        kernel.set_event(event);
                      }),
              Contains("KTHREAD.DeferredProcessor"));
  (void)machine.processes->terminate_process(*second, Status::success, nullptr);
  for (int i = 0; i < 100 && (second->active_threads > 0 || !thread.user->service.done()); ++i) machine.step();
  thread.user->service.reset();
}

void Acts::shows_preemption_and_adjustments() {
  // A better thread is on standby; at the window's end this one gives way, to the head of its list [facts 6.7].
  const auto better = machine.new_thread(true);
  kernel.set_base_priority(better->tcb, 2);
  EXPECT_THAT(changed(thread, [&] { kernel.resume_thread(better->tcb); }), testing::Not(Contains("KTHREAD.Preempted")));
  kernel.yield_execution(thread.tcb);
  while (better->tcb.state != ke::ThreadState::waiting && better->tcb.state != ke::ThreadState::running) machine.step();
  ke::Event event(ke::EventKind::synchronization);
  ASSERT_EQ(better->tcb.state, ke::ThreadState::running);
  ASSERT_TRUE(is_success(machine.processes->begin_user_mode(*better)));
  begin_wait(*better, event.header);
  kernel.dispatch(0);
  ASSERT_EQ(thread.tcb.state, ke::ThreadState::running);
  EXPECT_THAT(changed(thread, [&] { kernel.set_event(event); }), Contains("KTHREAD.Preempted"));
  // What a thread is to be given is in it from the end of its wait until it is placed.
  kernel.set_process_foreground(machine.process->pcb, true);
  for (int i = 0; i < 10 && better->user->service.valid() && !better->user->service.done(); ++i) machine.step();
  better->user->service.reset();
  ASSERT_EQ(better->tcb.state, ke::ThreadState::running);
  begin_wait(*better, event.header);
  std::vector<std::string> between;
  const Values before = values(*better);
  machine.trace.add_listener([&](const trace::Event& said) {
    if (said.type != trace::EventType::wait_end) return;
    const Values now = values(*better);
    for (const char* name : {"KTHREAD.AdjustReason", "KTHREAD.AdjustIncrement"}) {
      if (now.at(name) != before.at(name)) between.emplace_back(name);
    }
  });
  EXPECT_THAT(changed(*better, [&] { kernel.set_event(event); }),
              IsSupersetOf({"KTHREAD.PriorityDecrement", "KTHREAD.Priority"}));
  machine.trace.remove_listeners();
  EXPECT_THAT(between, IsSupersetOf({"KTHREAD.AdjustReason", "KTHREAD.AdjustIncrement"}));
  seen.insert(between.begin(), between.end());
  for (int i = 0; i < 10 && !better->user->service.done(); ++i) machine.step();
  better->user->service.reset();
  machine.processes->terminate_thread(*better, Status::success);
  for (int i = 0; i < 20 && better->tcb.state != ke::ThreadState::terminated; ++i) machine.step();
}

void Acts::shows_queues_gates_and_requests() {
  ASSERT_EQ(machine.call("NtCreateIoCompletion", {machine.scratch, 0x1F'0003, 0, 0}), Status::success);
  const u64 port = machine.handle();
  ASSERT_EQ(machine.call("NtSetIoCompletion", {port, 1, 2, 0, 0}), Status::success);
  const Va out = machine.scratch + 0x100;
  EXPECT_THAT(
      changed(
          thread,
          [&] { EXPECT_EQ(machine.run("NtRemoveIoCompletion", {port, out, out + 8, out + 16, 0}), Status::success); }),
      IsSupersetOf({"KTHREAD.Queue", "KTHREAD.QueueListEntry"}));

  ke::Gate gate;
  EXPECT_THAT(changed(thread,
                      [&] {
                        thread.user->service = kernel.wait_gate(&thread.tcb, &gate);
                        thread.user->service.start();
                      }),
              IsSupersetOf({"KTHREAD.GateObject", "KTHREAD.State"}));
  kernel.signal_gate(gate);
  for (int i = 0; i < 10 && !thread.user->service.done(); ++i) machine.step();
  thread.user->service.reset();

  // A pipe's server end that listens: an I/O request that is not completed.
  ASSERT_EQ(machine.io.add_device(u"\\Device\\NamedPipe", machine.pipes), Status::success);
  const Va name = machine.named(u"\\Device\\NamedPipe\\p");
  machine.write(out, i64{-500'000});
  ASSERT_EQ(machine.call("NtCreateNamedPipeFile",
                         {machine.scratch, 0x12'019F, name, out + 16, 3, 2, 0, 0, 0, 0, 1, 4096, 4096, out}),
            Status::success);
  const u64 pipe = machine.handle();
  constexpr u64 kListen = 0x11'0008;
  EXPECT_THAT(changed(thread,
                      [&] {
                        EXPECT_EQ(machine.call("NtFsControlFile", {pipe, 0, 0, 0, out + 16, kListen, 0, 0, 0, 0}),
                                  Status::pending);
                      }),
              Contains("ETHREAD.IrpList"));
}

// Nobody brings in what is out unless the test does.
struct Swapper final : ke::Host {
  void request_stack_inswap(ke::Thread&) override {}
  void request_process_inswap(ke::Process&) override { ++wanted; }
  int wanted = 0;
};

void Acts::shows_a_stack_and_a_process_that_go_out() {
  Swapper swapper;
  kernel.set_host(&swapper);
  ke::Process& process = machine.process->pcb;
  ke::Event event(ke::EventKind::synchronization);
  kernel.charge(0, Nanoseconds{20'000'000}, ke::Mode::user);
  kernel.end_window(0);
  EXPECT_THAT(changed(thread, [&] { begin_wait(thread, event.header, Ticks{-100'000'000}); }),
              Contains("KTHREAD.WaitTime"));
  for (int i = 0; i < 4; ++i) {
    kernel.charge(0, Nanoseconds{20'000'000}, ke::Mode::kernel);
    kernel.end_window(0);
  }
  EXPECT_THAT(changed(thread, [&] { EXPECT_EQ(kernel.outswap_stacks(1, 1, [](void*, ke::Thread&) {}, nullptr), 1u); }),
              IsSupersetOf({"KTHREAD.KernelStackResident", "KPROCESS.StackCount", "KTHREAD.WaitListEntry"}));
  EXPECT_THAT(changed(thread, [&] { kernel.outswap_process(process); }), testing::ElementsAre("KPROCESS.State"));
  EXPECT_THAT(changed(thread, [&] { kernel.set_event(event); }),
              IsSupersetOf({"KTHREAD.ProcessReadyQueue", "KPROCESS.ReadyListHead", "KPROCESS.State"}));
  EXPECT_EQ(swapper.wanted, 1);
  EXPECT_THAT(changed(thread, [&] { kernel.process_inswapped(process); }),
              IsSupersetOf({"KTHREAD.ProcessReadyQueue", "KTHREAD.SwapListEntry", "KPROCESS.State"}));
  EXPECT_THAT(changed(thread, [&] { kernel.stack_inswapped(thread.tcb); }),
              IsSupersetOf({"KTHREAD.KernelStackResident", "KTHREAD.SwapListEntry"}));
  for (int i = 0; i < 10 && !thread.user->service.done(); ++i) machine.step();
  thread.user->service.reset();
  kernel.set_host(nullptr);
}

void Acts::shows_impersonation() {
  ASSERT_EQ(machine.call("NtOpenProcessToken", {machine.kSelf, 0xF'01FF, machine.scratch}), Status::success);
  const u64 primary = machine.handle();
  constexpr u64 kImpersonation = 2;
  const Va attributes = machine.scratch + 0x200, quality = attributes + 0x40;
  machine.write(attributes, abi::ObjectAttributes{sizeof(abi::ObjectAttributes), 0, 0, 0, 0, 0, 0, quality});
  machine.write(quality, std::array<u32, 3>{12, 2, 0});
  ASSERT_EQ(machine.call("NtDuplicateToken", {primary, 0xF'01FF, attributes, 0, kImpersonation, machine.scratch}),
            Status::success);
  EXPECT_THAT(changed(thread,
                      [&] {
                        EXPECT_EQ(machine.call("NtSetInformationThread", {machine.kThisThread, 5, machine.scratch, 8}),
                                  Status::success);
                      }),
              IsSupersetOf({"ETHREAD.ImpersonationInfo", "ETHREAD.CrossThreadFlags"}));
}

struct NoServer final : lpc::Server {
  Status connect(lpc::PortObject&, lpc::ClientId) override { return Status::success; }
  Status request(lpc::PortObject&, const lpc::Request&) override { return Status::success; }
};

void Acts::shows_a_process_and_its_services() {
  const Va out = machine.scratch + 0x100;
  EXPECT_THAT(
      changed(
          thread,
          [&] { EXPECT_EQ(machine.call("NtCreateEvent", {machine.scratch, 0x1F'0003, 0, 1, 0}), Status::success); }),
      IsSupersetOf({"EPROCESS.ObjectTable", "EPROCESS.QuotaBlock", "HANDLE_TABLE.HandleCount"}));
  machine.write(out, u64{machine.scratch});
  machine.write(out + 8, u64{0x1000});
  EXPECT_THAT(
      changed(
          thread,
          [&] { EXPECT_EQ(machine.call("NtLockVirtualMemory", {machine.kSelf, out, out + 8, 1}), Status::success); }),
      Contains("EPROCESS.NumberOfLockedPages"));
  EXPECT_THAT(changed(thread, [&] { machine.write(machine.scratch + 0x9000, u64{1}); }), Contains("EPROCESS.Vm"));
  machine.write(out, u8{0});
  machine.write(out + 1, u8{1});  // not foreground, IDLE_PRIORITY_CLASS
  EXPECT_THAT(
      changed(
          thread,
          [&] { EXPECT_EQ(machine.call("NtSetInformationProcess", {machine.kSelf, 18, out, 2}), Status::success); }),
      IsSupersetOf({"EPROCESS.PriorityClass", "KPROCESS.BasePriority"}));
  machine.write(out, u32{1});
  EXPECT_THAT(
      changed(
          thread,
          [&] { EXPECT_EQ(machine.call("NtSetInformationProcess", {machine.kSelf, 22, out, 4}), Status::success); }),
      Contains("KPROCESS.DisableBoost"));
  // CSRSS's port becomes the exception port of each Windows process that it is told of.
  lpc::Ports ports(machine.objects, kernel, machine.hal);
  NoServer server;
  auto port = *ports.create(u"\\TestPort", server);
  EXPECT_THAT(changed(thread, [&] { machine.process->exception_port = port; }),
              testing::ElementsAre("EPROCESS.ExceptionPort"));
  machine.process->exception_port.reset();
  ports.disconnect(*port);
  port.reset();

  // A child that is born later, and its end.
  kernel.charge(0, Nanoseconds{20'000'000}, ke::Mode::user);
  kernel.end_window(0);
  ob::Ref<ps::Process> child;
  EXPECT_THAT(changed(thread,
                      [&] {
                        child = *machine.processes->create_process(
                            {.parent = machine.process.get(), .image_path = u"\\??\\C:\\child.exe", .session_id = 2});
                      }),
              Contains("EPROCESS.ActiveProcessLinks"));
  ob::Ref<ps::Thread> other;
  other = *machine.processes->create_thread(*child, {.start_address = 0x3000});
  note_birth(thread, *other);
  for (const char* name :
       {"EPROCESS.CreateTime", "EPROCESS.InheritedFromUniqueProcessId", "EPROCESS.Session", "ETHREAD.CreateTime"}) {
    EXPECT_TRUE(seen.contains(name)) << name;
  }
  ob::Ref<ps::Thread> sibling;
  EXPECT_THAT(changed(*other, [&] { sibling = *machine.processes->create_thread(*child, {.start_address = 0x3000}); }),
              Contains("ETHREAD.ThreadListEntry"));
  sibling.reset();
  EXPECT_THAT(changed(*other,
                      [&] {
                        (void)machine.processes->terminate_process(*child, Status::access_denied, nullptr);
                        for (int i = 0; i < 40 && child->active_threads > 0; ++i) {
                          if (thread.tcb.state == ke::ThreadState::running) kernel.yield_execution(thread.tcb);
                          machine.step();
                        }
                      }),
              IsSupersetOf({"KPROCESS.Header", "EPROCESS.ExitTime", "EPROCESS.ExitStatus", "EPROCESS.RundownProtect",
                            "EPROCESS.Flags", "ETHREAD.ExitTime"}));
  // Nobody in user mode calls through a thread of the System process.
  const auto system =
      *machine.processes->create_system_thread(16, [](ke::Thread*) -> Task<Status> { co_return Status::success; });
  note_birth(thread, *system);
  EXPECT_TRUE(seen.contains("KTHREAD.PreviousMode"));
  kernel.dispatch(0);
  machine.processes->run_system_thread(*system);
}

void Acts::shows_job_limits_and_counts() {
  ASSERT_EQ(machine.call("NtCreateJobObject", {machine.scratch, ps::job_access::kAll, 0}), Status::success);
  const u64 job = machine.handle();
  const auto session = [&] {
    const Structure& structure = *find_structure("EJOB");
    const auto record = structure.find(target, hex(machine.process->id) + ":" + hex(job));
    return std::ranges::find(structure.fields, "SessionId", &Field::name)->read(target, record->get());
  };
  EXPECT_EQ(session(), "0");
  ASSERT_EQ(machine.call("NtAssignProcessToJobObject", {job, machine.kSelf}), Status::success);
  EXPECT_EQ(session(), "1") << "that of its first member";
  seen.insert("EJOB.SessionId");
  ps::Job& record = *ps::JobManager::job_of(*machine.process);
  const Va out = machine.scratch + 0x100;
  const auto set = [&](u32 information_class, const auto& value) {
    machine.write(out, value);
    EXPECT_EQ(machine.call("NtSetInformationJobObject", {job, information_class, out, sizeof value}), Status::success);
  };
  abi::JobExtendedLimits limits{};
  limits.basic = {.process_user_time = 900'000'000,
                  .job_user_time = 20'000'000,
                  .flags = 0x3FF & ~ps::job_limit::kPreserveJobTime,
                  .minimum_working_set = 0x10'0000,
                  .maximum_working_set = 0x40'0000,
                  .active_processes = 3,
                  .affinity = 1,
                  .priority_class = 1,
                  .scheduling_class = 7};
  limits.process_memory = 0x100'0000;
  limits.job_memory = 0x200'0000;
  machine.process->token->data = se::make_system_token();  // working sets, classes above 5
  EXPECT_THAT(changed(thread, [&] { set(9, limits); }),
              IsSupersetOf({"EJOB.LimitFlags", "EJOB.ActiveProcessLimit", "EJOB.Affinity", "EJOB.PriorityClass",
                            "EJOB.SchedulingClass", "EJOB.ProcessMemoryLimit", "EJOB.JobMemoryLimit",
                            "EJOB.PerProcessUserTimeLimit", "EJOB.PerJobUserTimeLimit", "EJOB.MinimumWorkingSetSize"}));
  EXPECT_THAT(changed(thread, [&] { set(4, u32{1}); }), testing::ElementsAre("EJOB.UIRestrictionsClass"));
  EXPECT_THAT(changed(thread, [&] { set(6, u32{1}); }), testing::ElementsAre("EJOB.EndOfJobTimeAction"));
  set(6, u32{0});
  ASSERT_EQ(machine.call("NtCreateIoCompletion", {machine.scratch, 0x1F'0003, 0, 0}), Status::success);
  EXPECT_THAT(changed(thread, [&] { set(7, abi::JobCompletionPort{77, machine.handle()}); }),
              IsSupersetOf({"EJOB.CompletionPort", "EJOB.CompletionKey"}));
  const u64 second = [&] {
    u64 made = 0;
    EXPECT_THAT(changed(thread,
                        [&] {
                          EXPECT_EQ(machine.call("NtCreateJobObject", {machine.scratch, ps::job_access::kAll, 0}),
                                    Status::success);
                          made = machine.handle();
                        }),
                Contains("EJOB.JobLinks"));
    return made;
  }();
  (void)second;
  EXPECT_THAT(changed(thread,
                      [&] {
                        machine.process->space->set_commit_limit(~0ull);
                        (void)machine.process->space->allocate(
                            {0, 0x10'0000, 0, mm::mem::kReserve | mm::mem::kCommit, mm::page::kReadWrite});
                        machine.write(machine.scratch + 0xA000, u64{1});
                      }),
              IsSupersetOf({"EJOB.PeakProcessMemoryUsed", "EJOB.PeakJobMemoryUsed", "EJOB.TotalPageFaultCount"}));
  // A child joins, and its end is counted.
  ob::Ref<ps::Process> child;
  EXPECT_THAT(changed(thread,
                      [&] {
                        child = *machine.processes->create_process(
                            {.parent = machine.process.get(), .image_path = u"\\??\\C:\\child.exe"});
                        EXPECT_TRUE(machine.processes->jobs().join_at_birth(*machine.process, *child, false) ==
                                    Status::success);
                      }),
              IsSupersetOf({"EJOB.ProcessListHead", "EJOB.ActiveProcesses", "EJOB.TotalProcesses"}));
  // Two seconds of user time: the job's limit is over, its event is signalled and its members end [facts 9.6].
  for (const ke::Mode mode : {ke::Mode::kernel, ke::Mode::user}) {
    EXPECT_THAT(changed(thread,
                        [&] {
                          for (int i = 0; i < 140; ++i) {
                            kernel.charge(0, machine.hal.clock_interval(), mode);
                            kernel.end_window(0);
                          }
                        }),
                Contains(mode == ke::Mode::user ? "EJOB.TotalUserTime" : "EJOB.TotalKernelTime"));
  }
  EXPECT_THAT(changed(thread, [&] { machine.processes->jobs().check_time_limits(); }),
              IsSupersetOf({"EJOB.Event", "EJOB.TotalTerminatedProcesses"}));
  EXPECT_EQ(record.event.header.signal_state, 1);
}

}  // namespace vitrine::kd::test
