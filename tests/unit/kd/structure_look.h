// What `dt` shows before and after an act, for tests; and the acts: what people do, and what of it is to be seen.
#pragma once

#include <gmock/gmock.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "../nt/service_machine.h"
#include "kd/structure.h"
#include "nt/executive_state.h"
#include "ps/job.h"

namespace vitrine::kd::test {

// What fields show before and after an act.
class Look : public testing::Test {
 protected:
  explicit Look(const hal::MachineOptions& options = {.seed = 1}) : machine(options) {}
  using Values = std::map<std::string, std::string>;

  Values values(const ps::Thread& thread) {
    Values all;
    for (const std::string_view name :
         {"KTHREAD", "ETHREAD", "TEB", "KPROCESS", "EPROCESS", "KAPC_STATE", "KWAIT_BLOCK", "HANDLE_TABLE", "EJOB"}) {
      const Structure& structure = *find_structure(name);
      const void* subject = thread.process;
      if (structure.subject == "THREAD") subject = &thread;
      if (structure.subject == "JOB") subject = ps::JobManager::job_of(*thread.process);
      if (subject == nullptr) continue;  // it is in no job
      const Record record = borrow(subject);
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
      if (before.contains(name) && before.at(name) != value) names.push_back(name);
    }
    seen.insert(names.begin(), names.end());
    return names;
  }

  // What is fixed at birth and differs from record to record has been seen as well.
  void note_birth(const ps::Thread& one, const ps::Thread& another) {
    const Values its = values(another);
    for (const auto& [name, value] : values(one)) {
      if (its.contains(name) && its.at(name) != value) seen.insert(name);
    }
  }

  std::set<std::string> seen;  // fields whose value has changed, or differs between two records
  nt::test::ServiceMachine machine;
  nt::ServiceTable services{std::span<const ldr::Stub>{}};
  Target target{*machine.executive, services, Nanoseconds{0}, nullptr};
  ke::Kernel& kernel = machine.kernel;
  ps::Thread& thread = *machine.thread;
};

// Each act begins with a machine of its own.
struct Acts : Look {
  explicit Acts(const hal::MachineOptions& options) : Look(options) {}
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
  void shows_placement();
  void shows_preemption_and_adjustments();
  void shows_queues_gates_and_requests();
  void shows_a_stack_and_a_process_that_go_out();
  void shows_impersonation();
  void shows_a_process_and_its_services();
  void shows_job_limits_and_counts();

 private:
  void begin_wait(ps::Thread& who, ke::DispatcherHeader& object, std::optional<Ticks> timeout = std::nullopt);
};
struct Act {
  const char* name;
  void (Acts::*act)();
  hal::MachineOptions machine{.seed = 1};
};
inline void PrintTo(const Act& act, std::ostream* out) { *out << act.name; }
inline constexpr Act kActs[] = {
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
    {"ShowsPlacement", &Acts::shows_placement, {.processor_count = 4, .nodes = 2, .seed = 1}},
    {"ShowsPreemptionAndAdjustments", &Acts::shows_preemption_and_adjustments},
    {"ShowsQueuesGatesAndRequests", &Acts::shows_queues_gates_and_requests},
    {"ShowsAStackAndAProcessThatGoOut", &Acts::shows_a_stack_and_a_process_that_go_out},
    {"ShowsImpersonation", &Acts::shows_impersonation},
    {"ShowsAProcessAndItsServices", &Acts::shows_a_process_and_its_services},
    {"ShowsJobLimitsAndCounts", &Acts::shows_job_limits_and_counts},
};

}  // namespace vitrine::kd::test
