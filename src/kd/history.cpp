#include "kd/history.h"

#include <algorithm>

namespace vitrine::kd {

using trace::EventType;

History::History(const nt::Executive& executive, const nt::ServiceTable& services, Nanoseconds start)
    : executive_(executive), start_ns_(start.value) {
  const std::map<std::string_view, Watched> names{
      {"NtSetEvent", {Subject::object, SignalKind::set}},
      {"NtSetEventBoostPriority", {Subject::object, SignalKind::set}},
      {"NtPulseEvent", {Subject::object, SignalKind::pulse}},
      {"NtResetEvent", {Subject::object, SignalKind::reset}},
      {"NtClearEvent", {Subject::object, SignalKind::reset}},
      {"NtReleaseSemaphore", {Subject::object, SignalKind::release}},
      {"NtReleaseMutant", {Subject::object, SignalKind::release}},
      {"NtSignalAndWaitForSingleObject", {Subject::object, SignalKind::set}},
      {"NtAlertThreadByThreadId", {Subject::thread, SignalKind::alert}},
      {"NtClose", {Subject::close, SignalKind::set}}};
  for (u32 number = 0; number < services.size(); ++number) {
    const auto found = names.find(services.name(number));
    if (found != names.end()) services_.emplace(number, found->second);
  }
}

void History::observe(const trace::Event& event) {
  const u64 now = event.time_ns - std::min(event.time_ns, start_ns_);
  ++sequence_;
  switch (event.type) {
    case EventType::wait_begin: {
      ThreadPast& past = threads_[event.thread_id];
      past.wait_began_ns = now;
      past.begun_sequence = sequence_;
      break;
    }
    case EventType::wait_end:
      threads_[static_cast<u32>(event.arguments[1])].woken_by = span_.doer(event.thread_id);
      break;
    case EventType::thread_ready:
      threads_[static_cast<u32>(event.arguments[0])].ready_since_ns = now;
      break;
    case EventType::context_switch:
      threads_[static_cast<u32>(event.arguments[0])].ready_since_ns = now;
      threads_[static_cast<u32>(event.arguments[1])].running_since_ns = now;
      break;
    case EventType::thread_create:
      threads_[static_cast<u32>(event.arguments[0])] = {};
      break;
    case EventType::process_exit:
      forget_handles_of(event.arguments[0]);
      break;
    case EventType::service_enter:
      service(event);
      break;
    default:
      break;
  }
  span_.observe(event.type);
}

void History::service(const trace::Event& event) {
  const auto watched = services_.find(event.arguments[0]);
  if (watched == services_.end()) return;
  const ps::Thread* caller = executive_.processes.current();
  if (caller == nullptr || caller->process->handles == nullptr) return;
  switch (watched->second.subject) {
    case Subject::object:
      return signal_object(event, *caller->process, watched->second.kind);
    case Subject::thread: {
      const auto target = static_cast<u32>(event.arguments[1]);
      const ob::Ref<ps::Thread> thread = executive_.processes.find_thread(target);
      if (!thread) return;
      const bool waited = thread->tcb.state == ke::ThreadState::waiting &&
                          thread->tcb.wait_reason == ke::WaitReason::wr_alert_by_thread_id;
      push(threads_[target].alerts,
           {SignalKind::alert, event.time_ns - start_ns_, event.thread_id, waited, thread->tcb.alert_by_id, sequence_});
      return;
    }
    case Subject::close: {
      const ob::Object* object = caller->process->handles->peek(ex::Handle{event.arguments[1]});
      if (object != nullptr && object->handle_count() == 1) objects_.erase(object);
      return;
    }
  }
}

void History::signal_object(const trace::Event& event, const ps::Process& process, SignalKind kind) {
  ob::Object* object = process.handles->peek(ex::Handle{event.arguments[1]});
  const ke::DispatcherHeader* header = object == nullptr ? nullptr : ob::dispatcher_header(*object);
  if (header == nullptr) return;
  ObjectPast& past = objects_[object];
  past.last_sequence = sequence_;
  push(past.signals,
       {kind, event.time_ns - start_ns_, event.thread_id, !header->waiters.empty(), header->signal_state, sequence_});
  bound_objects();
}

void History::push(std::deque<Signal>& signals, const Signal& signal) {
  signals.push_back(signal);
  if (signals.size() > kSignalsPerObject) signals.pop_front();
}

void History::bound_objects() {
  if (objects_.size() <= kObjects) return;
  // The half that was touched longest ago goes at once, so that this is rare.
  std::vector<u64> touched;
  for (const auto& [object, past] : objects_) touched.push_back(past.last_sequence);
  std::ranges::nth_element(touched, touched.begin() + kObjects / 2);
  std::erase_if(objects_,
                [limit = touched[kObjects / 2]](const auto& entry) { return entry.second.last_sequence < limit; });
}

void History::forget_handles_of(u64 process_id) {
  for (const ps::Process& process : executive_.processes.active_processes()) {
    if (process.id != process_id || process.handles == nullptr) continue;
    for (ex::Handle h = process.handles->next({0}); h; h = process.handles->next(h)) {
      const ob::Object* object = process.handles->peek(h);
      if (object != nullptr) objects_.erase(object);
    }
  }
}

const std::deque<Signal>& History::signals(const ob::Object& object) const {
  static const std::deque<Signal> kNone;
  const auto found = objects_.find(&object);
  return found == objects_.end() ? kNone : found->second.signals;
}

const ThreadPast* History::thread(u32 id) const {
  const auto found = threads_.find(id);
  return found == threads_.end() ? nullptr : &found->second;
}

}  // namespace vitrine::kd
