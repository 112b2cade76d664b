// What threads do, and what `dt` shows of it.
#include "kd/target.h"
#include "structure_look.h"

namespace vitrine::kd::test {

using testing::Contains;
using testing::HasSubstr;
using testing::IsSupersetOf;

namespace {
const Field* find_field(const Structure& structure, std::string_view name) {
  const auto found = std::ranges::find(structure.fields, name, &Field::name);
  return found == structure.fields.end() ? nullptr : &*found;
}
}  // namespace

void Acts::shows_priorities_and_boosts() {
  EXPECT_THAT(changed(thread, [&] { kernel.set_base_priority(thread.tcb, 2); }),
              IsSupersetOf({"KTHREAD.BasePriority", "KTHREAD.Priority"}));
  EXPECT_THAT(changed(thread, [&] { kernel.set_base_priority(thread.tcb, 16); }), Contains("KTHREAD.Saturation"));
  EXPECT_THAT(changed(thread, [&] { kernel.set_disable_boost(thread.tcb, true); }),
              testing::ElementsAre("KTHREAD.DisableBoost"));
  EXPECT_THAT(changed(thread, [&] { kernel.set_process_foreground(thread.process->pcb, true); }),
              Contains("KTHREAD.QuantumReset"));
  EXPECT_THAT(changed(thread, [&] { kernel.set_process_priority(thread.process->pcb, 10, false); }),
              Contains("KPROCESS.BasePriority"));
}

void Acts::shows_apc_disables_alerts_and_suspension() {
  EXPECT_THAT(changed(thread, [&] { kernel.enter_critical_region(thread.tcb); }),
              testing::ElementsAre("KTHREAD.KernelApcDisable"));
  EXPECT_THAT(changed(thread, [&] { kernel.enter_guarded_region(thread.tcb); }),
              testing::ElementsAre("KTHREAD.SpecialApcDisable"));
  EXPECT_THAT(
      changed(thread, [&] { (void)kernel.suspend_thread(thread.tcb); }),
      IsSupersetOf({"KTHREAD.SuspendCount", "KTHREAD.SuspendApc", "KTHREAD.ApcState", "KAPC_STATE.ApcListHead"}));
  EXPECT_THAT(changed(thread, [&] { kernel.resume_thread(thread.tcb); }),
              IsSupersetOf({"KTHREAD.SuspendCount", "KTHREAD.SuspendSemaphore"}));
  EXPECT_THAT(changed(thread, [&] { kernel.leave_guarded_region(thread.tcb); }), Contains("KTHREAD.SpecialApcDisable"));
  EXPECT_THAT(changed(thread, [&] { kernel.leave_critical_region(thread.tcb); }), Contains("KTHREAD.KernelApcDisable"));
  EXPECT_THAT(changed(thread, [&] { kernel.alert_thread(thread.tcb, ke::Mode::user); }), Contains("KTHREAD.Alerted"));
  EXPECT_THAT(changed(thread, [&] { kernel.freeze_thread(thread.tcb); }), Contains("KTHREAD.FreezeCount"));
  kernel.thaw_thread(thread.tcb);
}

void Acts::shows_attachment() {
  ke::SavedApcState storage;
  EXPECT_THAT(
      changed(thread, [&] { kernel.attach_process(thread.tcb, machine.processes->system_process().pcb, storage); }),
      IsSupersetOf(
          {"KTHREAD.ApcStateIndex", "KTHREAD.ApcStatePointer", "KTHREAD.SavedApcState", "KAPC_STATE.Process"}));
  kernel.detach_process(thread.tcb);
}

void Acts::shows_a_wait() {
  ASSERT_EQ(machine.call("NtCreateMutant", {machine.scratch, 0x1F0001, 0, 1}), Status::success);
  const u64 mutant = machine.handle();
  EXPECT_THAT(values(thread)["KTHREAD.MutantListHead"], HasSubstr("mutant 0x"));
  ASSERT_EQ(machine.call("NtCreateEvent", {machine.scratch, 0x1F0003, 0, 1, 0}), Status::success);
  const u64 event = machine.handle();
  machine.write(machine.scratch + 0x100, i64{-10'000'000});
  EXPECT_THAT(changed(thread,
                      [&] {
                        auto outcome =
                            machine.begin(thread, "NtWaitForSingleObject", {event, 1, machine.scratch + 0x100});
                        thread.user->service = outcome.take_task();
                        thread.user->service.start();
                      }),
              IsSupersetOf({"KTHREAD.State", "KTHREAD.WaitMode", "KTHREAD.WaitBlockList", "KTHREAD.WaitBlock",
                            "KTHREAD.WaitReason", "KTHREAD.Alertable", "KTHREAD.WaitListEntry", "KTHREAD.Timer",
                            "KWAIT_BLOCK.Object", "ETHREAD.Tcb", "KPROCESS.ActiveProcessors"}));
  EXPECT_THAT(values(thread)["KWAIT_BLOCK.Object"], HasSubstr("event 0x"));
  EXPECT_THAT(changed(thread, [&] { kernel.abort_wait(thread.tcb, Status::alerted); }),
              IsSupersetOf({"KTHREAD.State", "KTHREAD.WaitStatus", "KTHREAD.WaitBlockList"}));
  EXPECT_THAT(changed(thread, [&] { machine.step(); }), Contains("KTHREAD.ContextSwitches"));
  thread.user->service.reset();
  EXPECT_THAT(changed(thread, [&] { EXPECT_EQ(machine.call("NtReleaseMutant", {mutant, 0}), Status::success); }),
              Contains("KTHREAD.MutantListHead"));
}

void Acts::shows_time() {
  EXPECT_THAT(changed(thread,
                      [&] {
                        for (int tick = 0; tick < 3; ++tick) {
                          kernel.charge(0, Nanoseconds{u64{machine.profile.scheduler.clock_interval_100ns} * 100},
                                        ke::Mode::user);
                          kernel.end_window(0);
                        }
                      }),
              IsSupersetOf({"KTHREAD.UserTime", "KTHREAD.CycleTime", "KPROCESS.UserTime"}));
  EXPECT_THAT(changed(thread,
                      [&] {
                        kernel.charge(0, Nanoseconds{u64{machine.profile.scheduler.clock_interval_100ns} * 100},
                                      ke::Mode::kernel);
                        kernel.end_window(0);
                      }),
              IsSupersetOf({"KTHREAD.KernelTime", "KPROCESS.KernelTime"}));
}

void Acts::shows_what_a_process_is_born_with() {
  const auto process = *machine.processes->create_process(
      {.parent = &machine.processes->system_process(), .image_path = u"\\??\\C:\\other.exe"});
  ob::Ref<ps::Thread> other = *machine.processes->create_thread(*process, {.start_address = 0x3000});
  note_birth(thread, *other);
  machine.processes->terminate_thread(*other, Status::access_denied);
  for (int i = 0; i < 20 && process->active_threads > 0; ++i) {
    if (thread.tcb.state == ke::ThreadState::running) kernel.yield_execution(thread.tcb);
    machine.step();
  }
  EXPECT_EQ(process->active_threads, 0u);
}

void Acts::shows_birth_and_death() {
  ob::Ref<ps::Thread> other;
  EXPECT_THAT(changed(thread, [&] { other = machine.new_thread(); }),
              IsSupersetOf({"KPROCESS.ThreadListHead", "KPROCESS.StackCount", "EPROCESS.ThreadListHead",
                            "EPROCESS.ActiveThreads", "EPROCESS.VirtualSize", "EPROCESS.PeakVirtualSize",
                            "EPROCESS.CommitCharge", "EPROCESS.VadRoot", "EPROCESS.QuotaUsage", "EPROCESS.QuotaPeak"}));
  // What is fixed at birth differs from thread to thread.
  const Values mine = values(thread), its = values(*other);
  for (const char* name : {"ETHREAD.Cid", "KTHREAD.Teb", "KTHREAD.InitialStack", "KTHREAD.StackLimit",
                           "KTHREAD.StackBase", "TEB.StackBase"}) {
    EXPECT_NE(mine.at(name), its.at(name)) << name;
  }
  note_birth(thread, *other);
  EXPECT_EQ(its.at("KTHREAD.TrapFrame"), "none: it has not run yet");
  EXPECT_NE(mine.at("KTHREAD.TrapFrame"), its.at("KTHREAD.TrapFrame"));
  EXPECT_THAT(
      changed(*other,
              [&] {
                machine.processes->terminate_thread(*other, Status::access_denied);
                for (int i = 0; i < 20 && other->tcb.state != ke::ThreadState::terminated; ++i) {
                  if (thread.tcb.state == ke::ThreadState::running) kernel.yield_execution(thread.tcb);
                  machine.step();
                }
              }),
      IsSupersetOf({"KTHREAD.Header", "KTHREAD.State", "KTHREAD.ApcQueueable", "KTHREAD.Teb", "KTHREAD.ThreadListEntry",
                    "KTHREAD.InitialStack", "ETHREAD.ExitStatus", "ETHREAD.CrossThreadFlags", "ETHREAD.RundownProtect",
                    "EPROCESS.ActiveThreads", "KPROCESS.StackCount"}));
}

void Acts::shows_what_user_mode_writes_into_the_teb() {
  // Both pages are touched first, so that no page fault is counted later.
  machine.write(thread.teb + 0x68, u32{0});
  machine.write(thread.teb + 0x17C8, u64{0});
  EXPECT_THAT(changed(thread, [&] { machine.write(thread.teb + 0x68, u32{5}); }),
              testing::ElementsAre("TEB.LastErrorValue"));
  EXPECT_THAT(changed(thread, [&] { machine.write(thread.teb + 0x58, u64{5}); }),
              testing::ElementsAre("TEB.ThreadLocalStoragePointer"));
  EXPECT_THAT(changed(thread, [&] { machine.write(thread.teb + 0x1480, u64{5}); }),
              testing::ElementsAre("TEB.TlsSlots"));
  EXPECT_THAT(changed(thread, [&] { machine.write(thread.teb + 0x17C8, u64{5}); }),
              testing::ElementsAre("TEB.FlsData"));
  EXPECT_THAT(changed(thread, [&] { machine.write(thread.teb + 0x1738, u64{5}); }),
              testing::ElementsAre("TEB.WinSockData"));
}

void Acts::shows_jobs() {
  ASSERT_EQ(machine.call("NtCreateJobObject", {machine.scratch, ps::job_access::kAll, 0}), Status::success);
  const u64 job = machine.handle();
  EXPECT_FALSE(find_structure("EJOB")->find(target, ".")) << "in no job yet";
  EXPECT_THAT(changed(thread,
                      [&] {
                        EXPECT_EQ(machine.call("NtAssignProcessToJobObject", {job, ob::kCurrentProcess.value}),
                                  Status::success);
                      }),
              IsSupersetOf({"EPROCESS.Job", "EPROCESS.JobLinks"}));
  const auto shown = [&](std::string_view name) {
    const Structure& structure = *find_structure("EJOB");
    return find_field(structure, name)->read(target, structure.find(target, ".")->get());
  };
  EXPECT_EQ(shown("ProcessListHead"), "processes " + hex(machine.process->id));
  EXPECT_EQ(shown("ActiveProcesses"), "1");
  EXPECT_EQ(shown("LimitFlags"), "0x0");
  ps::Job& record = *ps::JobManager::job_of(*machine.process);
  machine.processes->jobs().set_limits(record, {.flags = ps::job_limit::kActiveProcess, .active_processes = 3});
  EXPECT_EQ(shown("LimitFlags"), "0x8");
  EXPECT_EQ(shown("ActiveProcessLimit"), "3");
  // Class 9 of a job with long, fixed quanta: real-time threads keep the processor [facts 9.2].
  kernel.set_priority_separation(0x18);
  EXPECT_THAT(changed(thread, [&] { kernel.set_scheduling_class(thread.process->pcb, ke::kHighestSchedulingClass); }),
              IsSupersetOf({"KPROCESS.DisableQuantum", "KPROCESS.QuantumReset", "KTHREAD.QuantumReset"}));
}

void Acts::shows_gui_threads() {
  EXPECT_THAT(
      changed(thread,
              [&] { EXPECT_EQ(machine.executive->state->win32.convert(*machine.executive, thread), Status::success); }),
      IsSupersetOf({"KTHREAD.ServiceTable", "KTHREAD.Win32Thread", "KTHREAD.LargeStack", "KTHREAD.InitialStack",
                    "KTHREAD.StackLimit", "KTHREAD.StackBase", "EPROCESS.Win32Process"}));
}

}  // namespace vitrine::kd::test
