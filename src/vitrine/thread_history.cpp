#include "vitrine/thread_history.h"

#include <algorithm>

namespace vitrine {

using trace::EventType;

std::optional<ThreadRecord::Waker> ThreadRecord::most_frequent_waker() const {
  const auto most = std::ranges::max_element(wakers, {}, &std::pair<const u32, u64>::second);
  if (most == wakers.end()) return std::nullopt;
  return Waker{most->first, most->second};
}

void ThreadHistory::observe(trace::Event event) {
  event.time_ns -= std::min(event.time_ns, start_ns_);
  switch (event.type) {
    case EventType::thread_create:
      create(event);
      break;
    case EventType::thread_exit:
      exit(event);
      break;
    case EventType::context_switch:
      switch_context(event);
      break;
    case EventType::wait_begin:
      if (Live* live = find(event.thread_id)) ++records_[live->record].waits[ke::WaitReason(event.arguments[1])];
      enter(event.thread_id, Phase::waiting, event.time_ns);
      break;
    case EventType::wait_end:
      end_wait(event);
      break;
    case EventType::thread_ready:
      enter(event.arguments[0], Phase::ready, event.time_ns);
      break;
    default:
      break;
  }
  span_.observe(event.type);
}

void ThreadHistory::create(const trace::Event& event) {
  live_[event.arguments[0]] = {records_.size()};
  ThreadRecord& record = records_.emplace_back();
  record.thread_id = static_cast<u32>(event.arguments[0]);
  record.process_id = static_cast<u32>(event.arguments[1]);
  record.start_address = event.arguments[2];
  record.created_ns = event.time_ns;
}

void ThreadHistory::exit(const trace::Event& event) {
  const Live* live = find(event.arguments[0]);
  if (live == nullptr) return;
  records_[live->record].ended_ns = event.time_ns;
  records_[live->record].exit_status = static_cast<u32>(event.arguments[1]);
}

void ThreadHistory::switch_context(const trace::Event& event) {
  const auto [old, next, old_state, reason] = event.arguments;
  // A thread that waits has said so in wait_begin; one that lost its processor is ready from now on.
  if (const Live* live = find(old); live != nullptr && live->phase == Phase::running) {
    enter(old, records_[live->record].ended_ns ? Phase::none : Phase::ready, event.time_ns);
  }
  if (const Live* live = find(next)) ++records_[live->record].switches;
  enter(next, Phase::running, event.time_ns);
}

void ThreadHistory::end_wait(const trace::Event& event) {
  const Live* live = find(event.arguments[1]);
  if (live == nullptr) return;
  ThreadRecord& record = records_[live->record];
  ++record.woken;
  ++record.wakers[span_.doer(event.thread_id)];
  enter(record.thread_id, Phase::ready, event.time_ns);
}

// Ends the thread's present span and begins the next. Clocks of processors differ by up to a window: a span is never
// negative.
void ThreadHistory::enter(u64 thread_id, Phase phase, u64 now_ns) {
  Live* live = find(thread_id);
  if (live == nullptr) return;
  ThreadRecord& record = records_[live->record];
  const u64 span = now_ns > live->since_ns ? now_ns - live->since_ns : 0;
  switch (live->phase) {
    case Phase::none:
      break;
    case Phase::running:
      record.running_ns += span;
      break;
    case Phase::ready:
      record.ready_ns += span;
      break;
    case Phase::waiting:
      record.waiting_ns += span;
      break;
  }
  live->phase = phase;
  live->since_ns = now_ns;
}

void ThreadHistory::finish(u64 now_ns) {
  for (const auto& [id, live] : live_) enter(id, Phase::none, now_ns);
}

ThreadHistory::Live* ThreadHistory::find(u64 thread_id) {
  const auto found = live_.find(thread_id);
  return found == live_.end() ? nullptr : &found->second;
}

}  // namespace vitrine
