// dt: every field that the sources name is described and shown, its offsets are those of the public symbols, and it
// changes when, and only when, what it stands for changes.
#include "kd/structure.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "../nt/service_machine.h"
#include "kd/command.h"
#include "kd/layouts.h"
#include "nt/executive_state.h"
#include "ps/job.h"
#include "seed_fields.h"

namespace vitrine::kd {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsSupersetOf;

const Field* find_field(const Structure& structure, std::string_view name) {
  const auto found = std::ranges::find(structure.fields, name, &Field::name);
  return found == structure.fields.end() ? nullptr : &*found;
}

TEST(Structures, DescribeEveryFieldThatTheSourcesName) {
  for (const test::SeedFields& list : test::kSeedFields) {
    const Structure* structure = find_structure(list.structure);
    ASSERT_NE(structure, nullptr) << list.structure;
    std::istringstream words{std::string(list.names)};
    for (std::string name; words >> name;) {
      const Field* field = find_field(*structure, name);
      ASSERT_NE(field, nullptr) << list.structure << "." << name;
      EXPECT_FALSE(field->meaning.empty()) << name;
      EXPECT_TRUE(field->read != nullptr || field->absent.size() > 10)
          << list.structure << "." << name << " has neither a value nor a reason";
    }
  }
}

TEST(Structures, AreFoundAsDebuggersNameThem) {
  EXPECT_EQ(find_structure("_kthread"), find_structure("KTHREAD"));
  EXPECT_EQ(find_structure("KTHREADS"), nullptr);
  EXPECT_TRUE(std::ranges::is_sorted(structures(), {}, &Structure::name));
}

TEST(Structures, HaveTheOffsetsOfThePublicSymbols) {
  const sim::Profile& x86 = *sim::find_profile("nt52-x86");
  const sim::Profile& x64 = *sim::find_profile("nt52-x64");
  const sim::Profile& seven = *sim::find_profile("nt61-x64");
  // NT: x86 5.2 SP1 [VOL][facts 5.8].
  EXPECT_EQ(offset_of(x86, "KTHREAD", "WaitReason"), 0x5A);
  EXPECT_EQ(offset_of(x86, "KTHREAD", "SuspendSemaphore"), 0x190);
  EXPECT_EQ(offset_of(x64, "ETHREAD", "Cid"), 0x370);
  EXPECT_EQ(offset_of(seven, "KTHREAD", "Priority"), 0x7B);
  EXPECT_EQ(offset_of(seven, "KTHREAD", "Quantum"), std::nullopt) << "6.1 counts cycles";
  EXPECT_EQ(offset_of(x86, "KTHREAD", "CycleTime"), std::nullopt) << "5.2 does not";
  // The sizes that are booked are the sizes of the same symbols.
  for (const sim::Profile* profile : {&x86, &x64, &seven}) {
    EXPECT_EQ(size_of(*profile, "KTHREAD"), profile->sizes.kthread) << profile->name;
    EXPECT_EQ(size_of(*profile, "ETHREAD"), profile->sizes.ethread) << profile->name;
    EXPECT_EQ(size_of(*profile, "EPROCESS"), profile->sizes.eprocess) << profile->name;
    EXPECT_EQ(size_of(*profile, "KPROCESS"), profile->sizes.kprocess) << profile->name;
    EXPECT_EQ(size_of(*profile, "HANDLE_TABLE"), profile->sizes.handle_table) << profile->name;
  }
}

// What fields show before and after an act.
class Look : public testing::Test {
 protected:
  using Values = std::map<std::string, std::string>;

  Values values(const ps::Thread& thread) {
    Values all;
    for (const std::string_view name :
         {"KTHREAD", "ETHREAD", "TEB", "KPROCESS", "EPROCESS", "KAPC_STATE", "KWAIT_BLOCK", "HANDLE_TABLE"}) {
      const Structure& structure = *find_structure(name);
      const Record record = borrow(structure.subject == "THREAD" ? static_cast<const void*>(&thread) : thread.process);
      for (const Field& field : structure.fields) {
        if (field.read != nullptr)
          all[std::string(name) + "." + std::string(field.name)] = field.read(target, record.get());
      }
    }
    return all;
  }
  template <typename Act>
  std::vector<std::string> changed(const ps::Thread& thread, Act act) {
    const Values before = values(thread);
    act();
    std::vector<std::string> names;
    for (const auto& [name, value] : values(thread)) {
      if (before.at(name) != value) names.push_back(name);
    }
    seen.insert(names.begin(), names.end());
    return names;
  }

  // What is fixed at birth and differs from record to record has been seen as well.
  void note_birth(const ps::Thread& one, const ps::Thread& another) {
    const Values its = values(another);
    for (const auto& [name, value] : values(one)) {
      if (its.at(name) != value) seen.insert(name);
    }
  }

  std::set<std::string> seen;  // fields whose value has changed, or differs between two records
  nt::test::ServiceMachine machine;
  nt::ServiceTable services{std::span<const ldr::Stub>{}};
  Target target{*machine.executive, services, Nanoseconds{0}, nullptr};
  ke::Kernel& kernel = machine.kernel;
  ps::Thread& thread = *machine.thread;
};

// What people do, and what of it dt shows. Each act begins with a machine of its own.
struct Acts : Look {
  using Look::seen;
  void TestBody() override {}
  void shows_priorities_and_boosts();
  void shows_apc_disables_alerts_and_suspension();
  void shows_attachment();
  void shows_a_wait();
  void shows_time();
  void shows_what_a_process_is_born_with();
  void shows_birth_and_death();
  void shows_what_user_mode_writes_into_the_teb();
  void shows_jobs();
  void shows_gui_threads();
};
struct Act {
  const char* name;
  void (Acts::*act)();
};
void PrintTo(const Act& act, std::ostream* out) { *out << act.name; }
constexpr Act kActs[] = {
    {"ShowsPrioritiesAndBoosts", &Acts::shows_priorities_and_boosts},
    {"ShowsApcDisablesAlertsAndSuspension", &Acts::shows_apc_disables_alerts_and_suspension},
    {"ShowsAttachment", &Acts::shows_attachment},
    {"ShowsAWait", &Acts::shows_a_wait},
    {"ShowsTime", &Acts::shows_time},
    {"ShowsWhatAProcessIsBornWith", &Acts::shows_what_a_process_is_born_with},
    {"ShowsBirthAndDeath", &Acts::shows_birth_and_death},
    {"ShowsWhatUserModeWritesIntoTheTeb", &Acts::shows_what_user_mode_writes_into_the_teb},
    {"ShowsJobs", &Acts::shows_jobs},
    {"ShowsGuiThreads", &Acts::shows_gui_threads},
};

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

class Shows : public testing::TestWithParam<Act> {};
TEST_P(Shows, WhatChangesAndNothingElse) {
  Acts acts;
  (acts.*GetParam().act)();
}
INSTANTIATE_TEST_SUITE_P(Acts, Shows, testing::ValuesIn(kActs), [](const auto& act) { return act.param.name; });

// Every field that the sources name either has changed in one of the acts, or is fixed at birth and differs from record
// to record, or says why it cannot change here, or is on the list of those that are still to be shown.
TEST(SeedFields, EachHasBeenSeenToChangeOrSaysWhyItCannotOrIsStillToBeShown) {
  std::set<std::string> seen;
  std::vector<std::string> unseen;
  for (const Act& act : kActs) {
    Acts acts;
    (acts.*act.act)();
    seen.merge(acts.seen);
  }
  for (const test::SeedFields& list : test::kSeedFields) {
    std::istringstream words{std::string(list.names)};
    for (std::string name; words >> name;) {
      const Field* field = find_field(*find_structure(list.structure), name);
      ASSERT_NE(field, nullptr) << name;
      if (!field->absent.empty()) continue;
      std::string full = std::string(list.structure) + "." + name;
      if (!seen.contains(full)) unseen.push_back(std::move(full));
    }
  }
  std::vector<std::string> known;
  for (const test::SeedFields& list : test::kNotSeenToChange) {
    std::istringstream words{std::string(list.names)};
    for (std::string name; words >> name;) known.push_back(std::string(list.structure) + "." + name);
  }
  EXPECT_THAT(unseen, testing::UnorderedElementsAreArray(known));
}

TEST_F(Look, TouchesNothing) {
  const auto untouched = machine.new_thread();
  const mm::Books before = machine.memory.books();
  const i32 references = untouched->pointer_count();
  for (int i = 0; i < 2; ++i) (void)values(*untouched);
  EXPECT_EQ(values(*untouched)["TEB.ClientId"], hex(machine.process->id))
      << "made from the record, as the first touch would";
  EXPECT_EQ(machine.memory.books().held, before.held);
  EXPECT_EQ(machine.memory.books().page_faults, before.page_faults);
  EXPECT_EQ(untouched->pointer_count(), references);
}

TEST_F(Look, SaysInOneLineWhatIsNotThere) {
  for (const char* line : {"dt NOTHING", "dt KTHREAD 0x999", "dt KTIMER 0x1", "!thread 77", "!why",
                           "!object 0x8:0x4000", "!pte zzz", "sunset"}) {
    const std::vector<Report> reports = run_commands(target, line);
    ASSERT_EQ(reports.size(), 1u);
    EXPECT_FALSE(reports[0].understood) << line;
    EXPECT_EQ(std::ranges::count(reports[0].text(), '\n'), 1) << reports[0].text();
  }
}

}  // namespace
}  // namespace vitrine::kd
