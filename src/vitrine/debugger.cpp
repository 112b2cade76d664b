#include "vitrine/debugger.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "kd/command.h"
#include "kd/wait_graph.h"

namespace vitrine {
namespace {

constexpr std::string_view kThreadExit = "thread_exit", kException = "exception", kDeadlock = "deadlock",
                           kService = "service";

std::string_view end_in_words(RunEnd end) {
  switch (end) {
    case RunEnd::exited:
      return "the program exited";
    case RunEnd::timed_out:
      return "the run timed out";
    case RunEnd::interrupted:
      return "the run was interrupted";
    case RunEnd::host_limit:
      return "the run reached its limit of host memory";
    case RunEnd::deadlocked:
      return "every thread waits and nothing can wake one";
  }
  return "";
}

}  // namespace

Debugger::Event Debugger::parse(std::string_view when) {
  const auto take = [&when] {
    const auto end = std::min(when.find(':'), when.size());
    const std::string_view part = when.substr(0, end);
    when.remove_prefix(std::min(end + 1, when.size()));
    return part;
  };
  Event event;
  event.name = take();
  if (event.name == kService) event.detail = take();
  event.thread = when;
  return event;
}

std::string check_debug_event(std::string_view when) {
  constexpr std::array kNames{kThreadExit, kException, kDeadlock, kService};
  const std::string_view name = when.substr(0, when.find(':'));
  if (std::ranges::find(kNames, name) == kNames.end()) {
    return fmt::format(
        "there is no event {}; choose thread_exit, exception, deadlock or service:NAME, with :THREAD behind it if "
        "wanted",
        name);
  }
  if (name != kService) return {};
  const std::string_view rest = when.size() > name.size() ? when.substr(name.size() + 1) : std::string_view();
  const std::string_view service = rest.substr(0, rest.find(':'));
  if (nt::find_service(service) == nullptr)
    return fmt::format("there is no service '{}'; `vitrine services` lists them", service);
  return {};
}

Debugger::Debugger(Machine& machine, const DebugOptions& options)
    : machine_(machine),
      options_(options),
      event_(parse(options.when)),
      history_(*machine.executive, *machine.services, machine.start_time()),
      target_(*machine.executive, *machine.services, machine.start_time(), &history_) {
  machine.trace.add_listener([this](const trace::Event& event) { observe(event); });
}

void Debugger::observe(const trace::Event& event) {
  history_.observe(event);
  if (event.type == trace::EventType::wait_begin) somebody_waits_anew_ = true;
  if (looked_ || main_ == nullptr) return;
  if (!event_.name.empty() && matches(event)) {
    look(fmt::format("{} in thread {:#x}", options_.when, event.thread_id));
  } else if (is_exit(event)) {
    // The named moment has not come and will not.
    const bool named = options_.at_ns.has_value() || !event_.name.empty();
    look(named ? "the program exits; the moment that was asked for has not come" : "the program exits");
  }
}

// NtTerminateProcess of the program on itself (null: on its other threads, which comes first), while its threads are
// all still there; or the end of its last thread.
bool Debugger::is_exit(const trace::Event& event) const {
  if (event.type == trace::EventType::process_exit) return event.arguments[0] == main_->id;
  if (event.type != trace::EventType::service_enter ||
      machine_.services->name(static_cast<u32>(event.arguments[0])) != "NtTerminateProcess")
    return false;
  const ps::Thread* caller = machine_.processes->current();
  const u64 handle = event.arguments[1];
  return caller != nullptr && caller->process == main_ && (handle == 0 || handle == ob::kCurrentProcess.value);
}

bool Debugger::matches(const trace::Event& event) const {
  switch (event.type) {
    case trace::EventType::thread_exit:
      return event_.name == kThreadExit && is_wanted_thread(event.arguments[0]);
    case trace::EventType::exception:
      return event_.name == kException && is_wanted_thread(event.thread_id);
    case trace::EventType::service_enter:
      return event_.name == kService &&
             machine_.services->name(static_cast<u32>(event.arguments[0])) == event_.detail &&
             is_wanted_thread(event.thread_id);
    default:
      return false;
  }
}

bool Debugger::is_wanted_thread(u64 id) const {
  if (event_.thread.empty()) return true;
  const auto thread = target_.thread(event_.thread);
  return thread && (*thread)->id == id;
}

void Debugger::between_windows() {
  if (looked_) return;
  if (options_.at_ns) {
    u64 next = target_.now_ns();
    // All idle: the next thing that happens is a timer, at the clock interrupt that reaches it. What is true until then
    // is true at the moment asked for.
    if (!machine_.kernel.anything_ready()) {
      const auto due = machine_.kernel.next_due();
      next = due ? std::max(next, machine_.hal.tick_reaching(*due).value - machine_.start_time().value) : ~0ull;
      if (next > *options_.at_ns) target_.stand_at(*options_.at_ns);
    }
    if (next > *options_.at_ns || target_.now_ns() >= *options_.at_ns)
      look(fmt::format("{} of virtual time", kd::milliseconds(*options_.at_ns)));
  }
  if (event_.name == kDeadlock && std::exchange(somebody_waits_anew_, false) &&
      !kd::WaitGraph(target_).deadlocks().empty()) {
    look("deadlock");
  }
}

void Debugger::run_ended(RunEnd end) {
  if (end != RunEnd::exited) look(std::string(end_in_words(end)));
}

void Debugger::look(const std::string& moment) {
  looked_ = true;
  options_.show(fmt::format("{} ({} since the start)", moment, kd::milliseconds(target_.now_ns())),
                kd::run_commands(target_, options_.commands));
}

}  // namespace vitrine
