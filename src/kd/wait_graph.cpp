#include "kd/wait_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "io/file_object.h"
#include "io/io_completion.h"

namespace vitrine::kd {
namespace {

using ke::ThreadState;
using ke::WaitReason;

bool is_waiting(const ps::Thread& thread) {
  return thread.tcb.state == ThreadState::waiting || thread.tcb.state == ThreadState::gate_wait;
}

bool is_alive(const ps::Thread& thread) { return thread.tcb.state != ThreadState::terminated; }

bool contains(const std::vector<const ps::Thread*>& list, const ps::Thread* thread) {
  return std::ranges::find(list, thread) != list.end();
}

bool is_lock(const WaitEdge& edge) { return edge.relation == "held by"; }

std::string service_name(const Target& target, const ps::Thread& thread) {
  const std::string_view name = thread.user == nullptr ? "" : target.services().name(thread.user->service_number);
  return name.empty() ? "a service" : std::string(name);
}

bool has_handle(const ps::Process& process, const ob::Object& object) {
  if (process.handles == nullptr) return false;
  for (ex::Handle h = process.handles->next({0}); h; h = process.handles->next(h)) {
    if (process.handles->peek(h) == &object) return true;
  }
  return false;
}

}  // namespace

WaitGraph::WaitGraph(const Target& target) : target_(target) {
  for (const ps::Thread* thread : target.threads()) {
    if (is_waiting(*thread)) add(*thread);
  }
  find_stuck();
  find_deadlocks();
  find_inversions();
}

const Wait* WaitGraph::of(const ps::Thread& thread) const {
  const auto found = std::ranges::find(waits_, &thread, &Wait::thread);
  return found == waits_.end() ? nullptr : &*found;
}

void WaitGraph::add(const ps::Thread& thread) {
  const ke::Thread& tcb = thread.tcb;
  Wait& wait = waits_.emplace_back();
  wait.thread = &thread;
  wait.act = "waits for";
  wait.timed = wait.ends_by_itself = tcb.timer.header.inserted != 0;
  switch (tcb.wait_reason) {
    case WaitReason::suspended:
    case WaitReason::wr_suspended:
      wait.act = "is suspended";
      return;
    case WaitReason::delay_execution:
    case WaitReason::wr_delay_execution:
      wait.act = "sleeps";
      return;
    case WaitReason::wr_alert_by_thread_id:
      return add_user_wait(wait);
    case WaitReason::wr_keyed_event: {
      const u64 key = tcb.wait_blocks[1].key;
      wait.edges.emplace_back().what =
          fmt::format("{} of a keyed event with key {:#x}", (key & 1) != 0 ? "a waiter" : "a release", key & ~u64{1});
      return;
    }
    default:
      add_objects(wait);
  }
}

void WaitGraph::add_objects(Wait& wait) const {
  const ke::Thread& tcb = wait.thread->tcb;
  wait.all = tcb.wait_type == ke::WaitType::all;
  for (u32 i = 0; i < tcb.wait_count; ++i) {
    WaitEdge edge = edge_to(*tcb.wait_block_list[i].object);
    if (edge.object == nullptr) {
      // Part of a request or of a device: it ends when the request does.
      edge.what = fmt::format("a request in {}", service_name(target_, *wait.thread));
      wait.ends_by_itself = true;
    } else if (&edge.object->type() == &target_.executive().sync.timer()) {
      wait.ends_by_itself |= static_cast<const ob::TimerObject*>(edge.object)->timer.header.inserted != 0;
    } else if (&edge.object->type() == &target_.executive().io.file_type()) {
      wait.ends_by_itself |= !static_cast<const io::FileObject*>(edge.object)->pending.empty();
    }
    wait.edges.push_back(std::move(edge));
  }
  // A lock of ntdll on a semaphore of its own.
  if (wait.edges.size() != 1 || wait.edges[0].object == nullptr) return;
  const UserWait user = find_user_wait(target_, *wait.thread);
  if (!user.section) return;
  wait.edges[0].what = fmt::format("critical section {:#x}", user.section->address);
  wait.edges[0].holders = {user.section->owner};
  wait.edges[0].relation = "held by";
  wait.ends_by_itself = false;  // ntdll tries again for ever
}

void WaitGraph::add_user_wait(Wait& wait) const {
  const UserWait user = find_user_wait(target_, *wait.thread);
  WaitEdge edge;
  if (user.section) {
    edge.what = fmt::format("critical section {:#x}", user.section->address);
    edge.holders = {user.section->owner};
    edge.relation = "held by";
    wait.ends_by_itself = false;
  } else if (user.address) {
    edge.what =
        fmt::format("a wake-up of address {:#x} (WaitOnAddress, SRW lock or condition variable)", *user.address);
  } else {
    edge.what = "an alert by its thread id";
  }
  wait.edges.push_back(std::move(edge));
}

WaitEdge WaitGraph::edge_to(const ke::DispatcherHeader& header) const {
  WaitEdge edge;
  edge.header = &header;
  edge.object = target_.object_of(header);
  if (edge.object == nullptr) return edge;
  const auto& executive = target_.executive();
  edge.what = name_of(target_, *edge.object);
  const ob::ObjectType* type = &edge.object->type();
  if (type == &executive.sync.mutant()) {
    const ke::Thread* owner = static_cast<const ob::MutantObject*>(edge.object)->mutant.owner;
    if (owner != nullptr) edge.holders = {ps::Thread::from(const_cast<ke::Thread*>(owner))};
    edge.relation = "held by";
  } else if (type == &executive.processes.thread_type()) {
    edge.what = "the end of " + edge.what;
    edge.holders = {static_cast<const ps::Thread*>(edge.object)};
    edge.relation = "which is up to";
  } else if (type == &executive.processes.process_type()) {
    edge.what = "the end of " + edge.what;
    for (const ps::Thread& thread : static_cast<const ps::Process*>(edge.object)->threads) {
      if (is_alive(thread)) edge.holders.push_back(&thread);
    }
    edge.relation = "which is up to";
  }
  return edge;
}

// Whether one of `live` could make this edge's object signalled.
bool WaitGraph::may_end(const Wait& wait, const WaitEdge& edge, const std::vector<const ps::Thread*>& live) const {
  if (!edge.holders.empty()) {
    return std::ranges::any_of(edge.holders, [&](const ps::Thread* holder) { return contains(live, holder); });
  }
  if (edge.object == nullptr) {
    return std::ranges::any_of(live, [&](const ps::Thread* t) { return t->process == wait.thread->process; });
  }
  std::set<const ps::Process*> asked;
  return std::ranges::any_of(live, [&](const ps::Thread* t) {
    return asked.insert(t->process).second && has_handle(*t->process, *edge.object);
  });
}

void WaitGraph::find_stuck() {
  std::vector<const ps::Thread*> live;
  for (const ps::Thread* thread : target_.threads()) {
    if (is_alive(*thread) && !is_waiting(*thread)) live.push_back(thread);
  }
  for (Wait& wait : waits_) {
    wait.stuck = !wait.ends_by_itself;
    if (!wait.stuck) live.push_back(wait.thread);
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (Wait& wait : waits_) {
      if (!wait.stuck) continue;
      const auto can = [&](const WaitEdge& edge) { return may_end(wait, edge, live); };
      const bool may = wait.edges.empty() ? !live.empty()  // suspended: anybody may resume it
                       : wait.all         ? std::ranges::all_of(wait.edges, can)
                                          : std::ranges::any_of(wait.edges, can);
      if (!may) continue;
      wait.stuck = false;
      live.push_back(wait.thread);
      changed = true;
    }
  }
}

// Walks from every stuck thread to who holds what it waits for, and cuts out each ring that it closes.
void WaitGraph::find_deadlocks() {
  std::set<const ps::Thread*> done;
  for (const Wait& start : waits_) {
    std::vector<const Wait*> path;
    const Wait* wait = &start;
    while (wait != nullptr && wait->stuck && !done.contains(wait->thread)) {
      done.insert(wait->thread);
      path.push_back(wait);
      const Wait* next = nullptr;
      for (const WaitEdge& edge : wait->edges) {
        for (const ps::Thread* holder : edge.holders) {
          const Wait* candidate = of(*holder);
          if (next == nullptr && candidate != nullptr && candidate->stuck) next = candidate;
        }
      }
      wait = next;
    }
    const auto closed = std::ranges::find(path, wait);
    if (wait == nullptr || closed == path.end()) continue;
    Deadlock deadlock;
    deadlock.cycle.assign(closed, path.end());
    std::ranges::rotate(deadlock.cycle, std::ranges::min_element(deadlock.cycle, {},
                                                                 [this](const Wait* w) { return w - waits_.data(); }));
    deadlocks_.push_back(std::move(deadlock));
  }
}

const ps::Thread* WaitGraph::last_holder(const Wait& wait, const WaitEdge& edge) const {
  const ps::Thread* holder = edge.holders.empty() ? nullptr : edge.holders.front();
  std::set<const ps::Thread*> seen{wait.thread};
  while (holder != nullptr && seen.insert(holder).second) {
    const Wait* further = of(*holder);
    if (further == nullptr) return holder;
    if (further->edges.size() != 1 || !is_lock(further->edges[0]) || further->edges[0].holders.empty()) return nullptr;
    holder = further->edges[0].holders.front();
  }
  return nullptr;
}

void WaitGraph::find_inversions() {
  const ke::Kernel& kernel = target_.kernel();
  for (const Wait& wait : waits_) {
    for (const WaitEdge& edge : wait.edges) {
      const ps::Thread* low = is_lock(edge) ? last_holder(wait, edge) : nullptr;
      if (low == nullptr || low->tcb.priority >= wait.thread->tcb.priority) continue;
      if (low->tcb.state == ThreadState::running || !is_alive(*low)) continue;
      Inversion inversion{wait.thread, low, &edge, {}};
      for (u32 p = 0; p < kernel.processor_count(); ++p) {
        if ((low->tcb.affinity >> p & 1) == 0 || kernel.is_idle(p)) continue;
        const ps::Thread* running = ps::Thread::from(kernel.current(p));
        const ke::Priority priority = running->tcb.priority;
        if (priority >= low->tcb.priority && priority < wait.thread->tcb.priority) inversion.middle.push_back(running);
      }
      if (!inversion.middle.empty()) inversions_.push_back(std::move(inversion));
    }
  }
}

std::string WaitGraph::describe(const Wait& wait) const {
  std::string text = wait.act;
  if (wait.edges.size() > 1) text += wait.all ? " all of:" : " any of:";
  for (std::size_t i = 0; i < wait.edges.size(); ++i) {
    const WaitEdge& edge = wait.edges[i];
    text += fmt::format("{} {}", i == 0 ? "" : ";", edge.what);
    if (edge.relation.empty() || edge.relation == "which is up to") continue;
    for (const ps::Thread* holder : edge.holders) text += fmt::format(", {} {}", edge.relation, name_of(*holder));
    if (edge.holders.empty()) text += ", which nobody holds now";
  }
  if (wait.timed) {
    const i64 left = wait.thread->tcb.timer.due.value - target_.kernel().interrupt_time().value;
    text += fmt::format(" (for {} more at most)", milliseconds(static_cast<u64>(std::max<i64>(left, 0)) * 100));
  } else if (wait.act == "sleeps") {
    text += " for ever";
  }
  return text;
}

}  // namespace vitrine::kd
