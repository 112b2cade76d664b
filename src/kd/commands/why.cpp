// !why THREAD: why it is not running, in words: what it waits for, since when, who holds that, who touched it last and
// whether a signal was lost; or behind whom it is ready; or how it ended.
#include <algorithm>

#include "kd/command.h"
#include "kd/history.h"
#include "kd/wait_graph.h"

namespace vitrine::kd {
namespace {

std::string at(u64 nanoseconds) { return "at " + milliseconds(nanoseconds); }

std::string who(const Target& target, u32 id) {
  if (id == 0) return "an interrupt";
  const ps::Thread* thread = target.thread_by_id(id);
  return thread == nullptr ? fmt::format("thread {:#x} (gone)", id) : name_of(*thread);
}

std::string_view past_tense(SignalKind kind) {
  switch (kind) {
    case SignalKind::set:
      return "set";
    case SignalKind::pulse:
      return "pulsed";
    case SignalKind::reset:
      return "reset";
    case SignalKind::release:
      return "released";
    case SignalKind::alert:
      return "alerted";
  }
  return "";
}

class Explanation {
 public:
  Explanation(const Target& target, const ps::Thread& thread, Report& report)
      : target_(target),
        thread_(thread),
        report_(report),
        graph_(target),
        past_(target.history() == nullptr ? nullptr : target.history()->thread(thread.id)) {}

  void waiting() {
    const Wait& wait = *graph_.of(thread_);
    const std::string since = past_ == nullptr ? milliseconds(target_.ticks_ago_ns(thread_.tcb.wait_time)) + " ago"
                                               : fmt::format("{} ({} ago)", milliseconds(past_->wait_began_ns),
                                                             milliseconds(target_.now_ns() - past_->wait_began_ns));
    report_.say("{} does not run because it {}, since {}.", name_of(thread_), graph_.describe(wait), since);
    if (const std::string_view name =
            thread_.user == nullptr ? "" : target_.services().name(thread_.user->service_number);
        !name.empty()) {
      report_.say("It is in {}.", name);
    }
    for (const WaitEdge& edge : wait.edges) about(edge);
    if (wait.act == "is suspended")
      report_.say("Its suspend count is {}; as many calls of ResumeThread let it go on.", thread_.tcb.suspend_count);
    if (thread_.tcb.wait_reason == ke::WaitReason::wr_alert_by_thread_id) alerts();
    for (const Deadlock& deadlock : graph_.deadlocks()) {
      if (std::ranges::find(deadlock.cycle, &wait) != deadlock.cycle.end())
        report_.say("This is part of a deadlock; `!waits` shows the whole ring.");
    }
    if (wait.stuck) report_.say("Nobody can wake it any more.");
    for (const Inversion& inversion : graph_.inversions()) {
      if (inversion.high == &thread_) inverted(inversion);
    }
  }

  void ready() const {
    const ke::Thread& tcb = thread_.tcb;
    const std::string since = past_ == nullptr ? milliseconds(target_.ticks_ago_ns(tcb.wait_time)) + " ago"
                                               : milliseconds(past_->ready_since_ns);
    report_.say("{} is ready with priority {} on processor {}, since {}.", name_of(thread_), tcb.priority,
                tcb.next_processor, since);
    const ke::Processor& processor = target_.kernel().processor(tcb.next_processor);
    if (!processor.is_idle()) {
      report_.say("That processor runs {} with priority {}.", name_of(*ps::Thread::from(processor.current)),
                  processor.current->priority);
    }
    u64 ahead = 0;
    for (u32 level = ke::kPriorityLevels; level-- > tcb.priority;) {
      for (const ke::Thread& other : processor.ready[level]) {
        if (&other == &tcb) break;
        ++ahead;
      }
    }
    if (ahead > 0) report_.say("{} other thread{} ahead of it there.", ahead, ahead == 1 ? " is" : "s are");
    if (tcb.suspend_count > 0)
      report_.say("When it runs it is suspended at once: its suspend count is {}.", tcb.suspend_count);
    for (const Inversion& inversion : graph_.inversions()) {
      if (inversion.low == &thread_) inverted(inversion);
    }
  }

 private:
  void about(const WaitEdge& edge) const {
    for (const ps::Thread* holder : edge.holders) {
      const Wait* further = graph_.of(*holder);
      report_.say("{} {}{}.", name_of(*holder),
                  further == nullptr ? "is " + state_of(*holder) : graph_.describe(*further),
                  further == nullptr ? fmt::format(" with priority {}", holder->tcb.priority) : "");
    }
    if (edge.object == nullptr || target_.history() == nullptr) return;
    const auto& signals = target_.history()->signals(*edge.object);
    if (signals.empty()) {
      if (edge.holders.empty()) report_.say("Nobody has signalled {} as far as is remembered.", edge.what);
      return;
    }
    const Signal& last = signals.back();
    report_.say("{} was last {} by {} {}{}.", edge.what, past_tense(last.kind), who(target_, last.thread_id),
                at(last.time_ns), last.waited ? "" : ", when nobody waited");
    lost(edge, signals);
  }

  // A signal that came before anybody waited and left nothing behind.
  void lost(const WaitEdge& edge, const std::deque<Signal>& signals) const {
    if (past_ == nullptr || edge.header->signal_state > 0) return;
    for (auto signal = signals.rbegin(); signal != signals.rend(); ++signal) {
      if (signal->sequence > past_->begun_sequence) continue;
      if (signal->kind == SignalKind::pulse && !signal->waited) {
        return report_.say(
            "Lost wake-up: {} pulsed it {}, when nobody waited; a pulse wakes only who waits at that moment, and {} "
            "began to wait {} later.",
            who(target_, signal->thread_id), at(signal->time_ns), name_of(thread_),
            milliseconds(past_->wait_began_ns - signal->time_ns));
      }
      if (signal->kind != SignalKind::reset || signal->state_before <= 0) continue;
      const auto earlier =
          std::find_if(std::next(signal), signals.rend(), [](const Signal& s) { return s.kind == SignalKind::set; });
      if (earlier == signals.rend()) continue;
      return report_.say("Lost wake-up: {} set it {}, {} reset it {}, and {} began to wait only after that.",
                         who(target_, earlier->thread_id), at(earlier->time_ns), who(target_, signal->thread_id),
                         at(signal->time_ns), name_of(thread_));
    }
  }

  void alerts() const {
    if (past_ == nullptr) return;
    if (past_->alerts.empty() || past_->alerts.back().sequence < past_->begun_sequence) {
      report_.say("Nobody has woken it by NtAlertThreadByThreadId since it began to wait.");
    } else {
      report_.say("It was last alerted by {} {}.", who(target_, past_->alerts.back().thread_id),
                  at(past_->alerts.back().time_ns));
    }
  }

  void inverted(const Inversion& inversion) const {
    report_.say(
        "Priority inversion: {} (priority {}) needs what {} (priority {}) holds, but that one is kept from running by "
        "{} (priority {}).",
        name_of(*inversion.high), inversion.high->tcb.priority, name_of(*inversion.low), inversion.low->tcb.priority,
        name_of(*inversion.middle.front()), inversion.middle.front()->tcb.priority);
  }

  const Target& target_;
  const ps::Thread& thread_;
  Report& report_;
  WaitGraph graph_;
  const ThreadPast* past_;
};

}  // namespace

void show_why(const Target& target, const Arguments& arguments, Report& report) {
  if (arguments.empty()) return report.fail("!why which thread? `!thread` lists them");
  const auto found = target.thread(arguments[0]);
  if (!found) return report.fail("{}", found.error());
  const ps::Thread& thread = **found;
  switch (thread.tcb.state) {
    case ke::ThreadState::running:
      return report.say("{} runs on processor {} with priority {}.", name_of(thread), thread.tcb.next_processor,
                        thread.tcb.priority);
    case ke::ThreadState::terminated:
      return report.say("{} has ended with {:#x}.", name_of(thread), static_cast<u32>(thread.exit_status));
    case ke::ThreadState::initialized:
      return report.say("{} is being made; it has not been started yet.", name_of(thread));
    case ke::ThreadState::transition:
      return report.say("{} may run, but its kernel stack is out of memory and is being brought in.", name_of(thread));
    case ke::ThreadState::waiting:
    case ke::ThreadState::gate_wait:
      return Explanation(target, thread, report).waiting();
    case ke::ThreadState::ready:
    case ke::ThreadState::standby:
    case ke::ThreadState::deferred_ready:
      return Explanation(target, thread, report).ready();
  }
}

}  // namespace vitrine::kd
