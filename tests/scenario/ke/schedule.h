// A schedule: threads with names on the dispatcher's small test machine, and what the scheduler did with them in words,
// one line per decision, compared with a text file under golden/. To write the files anew after a change that is meant:
//   VITRINE_RECORD_GOLDEN=1 build/release/tests/scenario/test_schedules
#pragma once

#include <string>
#include <vector>

#include "tests/unit/ke/dispatcher_bench.h"

namespace vitrine::ke {

class Schedule {
 public:
  explicit Schedule(u32 processors, const char* profile = "nt52-x86");

  TestThread& spinner(std::string name, Priority priority, ThreadParameters parameters = {});
  TestThread& thread(std::string name, Priority priority, Bench::Body body, ThreadParameters parameters = {});
  // Whole ticks of processor 0.
  void run_ticks(u64 ticks);
  // A line of the test's own, "-- what".
  void say(const std::string& what) { lines_.push_back("-- " + what); }
  // Compares with golden/`name`_`processors`.txt, whose first lines state the rule.
  void expect(const std::string& name, const std::string& rule);

  Bench bench;
  bool show_quantum_ends = true;  // those after which the thread just goes on would fill a long schedule

 private:
  void observe(const trace::Event& event);
  [[nodiscard]] std::string name_of(u64 id) const { return id == 0 || id > names_.size() ? "idle" : names_[id - 1]; }
  void add(const trace::Event& event, const std::string& what);

  std::vector<std::string> names_;
  std::vector<std::string> lines_;
};

}  // namespace vitrine::ke
