// !waits: who waits for whom, in words; then what is wrong with that: deadlocks, threads that nobody can wake, priority
// inversions.
#include <algorithm>

#include "kd/command.h"
#include "kd/history.h"
#include "kd/wait_graph.h"

namespace vitrine::kd {
namespace {

// Exact with a history, else to a clock tick.
u64 waiting_for_ns(const Target& target, const ps::Thread& thread) {
  const ThreadPast* past = target.history() == nullptr ? nullptr : target.history()->thread(thread.id);
  if (past == nullptr) return target.ticks_ago_ns(thread.tcb.wait_time);
  return target.now_ns() - std::min(target.now_ns(), past->wait_began_ns);
}

// The edge by which `from` waits for `to`; its first one if there is none.
const WaitEdge& edge_between(const Wait& from, const Wait& to) {
  for (const WaitEdge& edge : from.edges) {
    for (const ps::Thread* holder : edge.holders) {
      if (holder == to.thread) return edge;
    }
  }
  return from.edges.front();
}

void say_deadlock(const Deadlock& deadlock, Report& report) {
  std::string text;
  for (std::size_t i = 0; i < deadlock.cycle.size(); ++i) {
    const Wait& from = *deadlock.cycle[i];
    const Wait& to = *deadlock.cycle[(i + 1) % deadlock.cycle.size()];
    const WaitEdge& edge = edge_between(from, to);
    text += fmt::format("{}{} waits for {}, {} {}", i == 0 ? "" : "; ", name_of(*from.thread), edge.what, edge.relation,
                        name_of(*to.thread));
  }
  report.say("Deadlock of {} thread{}: {}.", deadlock.cycle.size(), deadlock.cycle.size() == 1 ? "" : "s", text);
}

bool in_deadlock(const WaitGraph& graph, const Wait& wait) {
  for (const Deadlock& deadlock : graph.deadlocks()) {
    for (const Wait* member : deadlock.cycle) {
      if (member == &wait) return true;
    }
  }
  return false;
}

void say_stuck(const WaitGraph& graph, const Wait& wait, Report& report) {
  std::string why = "every thread that could end that is itself one of those that nobody can wake";
  for (const WaitEdge& edge : wait.edges) {
    if (edge.holders.empty()) continue;
    why = fmt::format("{} never runs again either", name_of(*edge.holders.front()));
    break;
  }
  if (wait.edges.empty() && wait.act == "sleeps") why = "it has no time-out and nothing that could alert it runs";
  report.say("Nobody can wake {}: it {}; {}.", name_of(*wait.thread), graph.describe(wait), why);
}

}  // namespace

void show_waits(const Target& target, const Arguments&, Report& report) {
  const WaitGraph graph(target);
  if (graph.waits().empty()) return report.say("No thread waits.");
  for (const Wait& wait : graph.waits()) {
    report.say("{} (priority {}) {}, since {} ago", name_of(*wait.thread), wait.thread->tcb.priority,
               graph.describe(wait), milliseconds(waiting_for_ns(target, *wait.thread)));
  }
  for (const Deadlock& deadlock : graph.deadlocks()) say_deadlock(deadlock, report);
  for (const Wait& wait : graph.waits()) {
    if (wait.stuck && !in_deadlock(graph, wait)) say_stuck(graph, wait, report);
  }
  for (const Inversion& inversion : graph.inversions()) {
    report.say(
        "Priority inversion: {} (priority {}) waits for {}, held by {} (priority {}), which is kept from running by {} "
        "(priority {}).",
        name_of(*inversion.high), inversion.high->tcb.priority, inversion.edge->what, name_of(*inversion.low),
        inversion.low->tcb.priority, name_of(*inversion.middle.front()), inversion.middle.front()->tcb.priority);
  }
  if (graph.deadlocks().empty()) report.say("There is no deadlock.");
}

}  // namespace vitrine::kd
