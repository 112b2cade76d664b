#include "tests/scenario/ke/schedule.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace vitrine::ke {
namespace {

constexpr const char* kChanges[] = {"", "wake-up boost", "lock boost", "decay", "starvation boost", "set", "boost"};

std::string golden_path(const std::string& name, u32 processors) {
  return fmt::format("{}/ke/golden/{}_{}.txt", VITRINE_SCENARIO_FOLDER, name, processors);
}

}  // namespace

Schedule::Schedule(u32 processors, const char* profile) : bench(processors, profile) {
  bench.recorder.add_listener([this](const trace::Event& event) { observe(event); });
}

TestThread& Schedule::spinner(std::string name, Priority priority, ThreadParameters parameters) {
  names_.push_back(std::move(name));
  return bench.spinner(priority, kForever, parameters);
}

TestThread& Schedule::thread(std::string name, Priority priority, Bench::Body body, ThreadParameters parameters) {
  names_.push_back(std::move(name));
  return bench.spawn(priority, std::move(body), parameters);
}

void Schedule::run_ticks(u64 ticks) {
  const u64 until = bench.kernel.tick_count() + ticks;
  while (bench.kernel.tick_count() < until && bench.step()) {
  }
}

void Schedule::add(const trace::Event& event, const std::string& what) {
  lines_.push_back(fmt::format("tick {:>3} cpu {:>2}  {}", bench.kernel.tick_count(), event.processor, what));
}

void Schedule::observe(const trace::Event& event) {
  const auto& a = event.arguments;
  switch (event.type) {
    case trace::EventType::thread_ready:
      add(event, fmt::format("{} ({}) is ready for cpu {}", name_of(a[0]), a[1], a[2]));
      break;
    case trace::EventType::context_switch: {
      const auto state = static_cast<ThreadState>(a[2]);
      const bool lost = state == ThreadState::ready || state == ThreadState::deferred_ready;
      const auto reason = lost || state == ThreadState::waiting ? wait_reason_name(static_cast<WaitReason>(a[3])) : "";
      if (a[0] == 0) {
        add(event, fmt::format("{} runs", name_of(a[1])));
      } else {
        add(event, fmt::format("{} runs; {} is {}{}{}", name_of(a[1]), name_of(a[0]), thread_state_name(state),
                               reason.empty() ? "" : ": ", reason));
      }
      break;
    }
    case trace::EventType::priority_change:
      add(event, fmt::format("{} goes from {} to {}: {}", name_of(a[0]), a[1], a[2], kChanges[a[3]]));
      break;
    case trace::EventType::quantum_end:
      if (show_quantum_ends) add(event, fmt::format("{}'s quantum ends", name_of(a[0])));
      break;
    default:
      break;
  }
}

void Schedule::expect(const std::string& name, const std::string& rule) {
  std::string text = "# " + rule + "\n";
  for (const std::string& line : lines_) text += line + "\n";
  const std::string path = golden_path(name, bench.kernel.processor_count());
  if (std::getenv("VITRINE_RECORD_GOLDEN") != nullptr) {
    std::ofstream(path) << text;
  } else {
    std::stringstream golden;
    golden << std::ifstream(path).rdbuf();
    EXPECT_EQ(text, golden.str()) << "differs from " << path;
  }
  bench.stop();
}

}  // namespace vitrine::ke
