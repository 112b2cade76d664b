#include "ke/invariants.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vitrine::ke {

// Walks every list once and every thread once. That each thread is in exactly the place that its state names follows
// from three facts, without a table of who was seen where: a whole list (each link is its neighbours' neighbour) that
// ends at its own head shares no element with another one; each element is in the state that its list stands for; and
// there are as many threads in that state as elements in those lists. So a check costs no memory and may be made after
// every window.
class InvariantChecker {
 public:
  explicit InvariantChecker(const Kernel& kernel) : kernel_(kernel) {}

  std::vector<std::string> run_processors() {
    for (const auto& processor : kernel_.processors_) check_processor(*processor);
    check_changes();
    return std::move(problems_);
  }

  std::vector<std::string> run(std::span<Thread* const> threads) {
    for (const Thread* thread : threads) note_process(*thread);
    for (const auto& processor : kernel_.processors_) check_processor(*processor);
    walk(kernel_.inswap_list_, ThreadState::transition, "the in-swap list");
    for (const Process* process : processes_) check_process(*process);
    check_changes();
    check_timers();
    for (const Thread* thread : threads) check_thread(*thread);
    check_counts();
    return std::move(problems_);
  }

 private:
  template <typename... Args>
  void complain(fmt::format_string<Args...> text, Args&&... args) {
    problems_.push_back(fmt::format(text, std::forward<Args>(args)...));
  }

  static bool whole(const ListLink& link) { return link.next->previous == &link && link.previous->next == &link; }

  void found(const Thread& thread, ThreadState state, std::string_view where) {
    ++found_[static_cast<u8>(state)];
    if (thread.state != state)
      complain("thread {} is {} but in {}", thread.thread_id, thread_state_name(thread.state), where);
  }

  // A list of threads in one state. A broken link ends the walk: what follows it is nobody's.
  bool walk(const Processor::ThreadList& list, ThreadState state, std::string_view where) {
    for (const Thread& thread : list) {
      if (!whole(thread.sched_link)) {
        complain("{} is broken at thread {}", where, thread.thread_id);
        return false;
      }
      found(thread, state, where);
    }
    return true;
  }

  void check_processor(const Processor& p) {
    const AffinityMask own = AffinityMask{1} << p.number;
    if (!p.is_idle()) {
      found(*p.current, ThreadState::running, "current");
      if (p.current->next_processor != p.number)
        complain("running thread {} names another processor", p.current->thread_id);
    }
    if (p.next != nullptr) {
      found(*p.next, ThreadState::standby, "standby");
      if ((p.next->affinity & own) == 0) complain("standby thread {} may not run on {}", p.next->thread_id, p.number);
    }
    const bool idle = p.is_idle() && p.next == nullptr;
    if (((kernel_.idle_summary_ & own) != 0) != idle) complain("idle summary is wrong for processor {}", p.number);
    for (u32 level = 0; level < kPriorityLevels; ++level) {
      if (((p.ready_summary >> level & 1) != 0) == p.ready[level].empty()) {
        complain("ready summary of processor {} is wrong at priority {}", p.number, level);
      }
      if (!walk(p.ready[level], ThreadState::ready, "a ready list")) continue;
      for (const Thread& thread : p.ready[level]) {
        if (thread.priority != level)
          complain("thread {} of priority {} is in list {}", thread.thread_id, thread.priority, level);
        if (thread.next_processor != p.number) complain("ready thread {} names another processor", thread.thread_id);
        if ((thread.affinity & kernel_.idle_summary_) != 0)
          complain("thread {} is ready while a processor it may use idles", thread.thread_id);
        if ((thread.affinity & own) == 0) complain("ready thread {} may not run on {}", thread.thread_id, p.number);
        if (p.next == nullptr && p.current->state == ThreadState::running && !p.quantum_end && !p.is_idle() &&
            level > p.current->priority && thread.wait_reason != WaitReason::wr_yield_execution) {
          complain("ready thread {} has a higher priority than the one that runs on {}", thread.thread_id, p.number);
        }
      }
    }
    walk(p.deferred_ready, ThreadState::deferred_ready, "a deferred list");
    for (const Thread& thread : p.wait_list) {
      if (thread.state != ThreadState::waiting || thread.wait_mode != Mode::user) {
        complain("thread {} is in a wait list without a user-mode wait", thread.thread_id);
      }
    }
  }

  void check_changes() {
    for (u8 from = 0; from < kThreadStates; ++from) {
      for (u8 to = 0; to < kThreadStates; ++to) {
        const StateChanges::Pair pair{static_cast<ThreadState>(from), static_cast<ThreadState>(to)};
        if (kernel_.state_changes_.contains(pair) && !kStateChanges.contains(pair))
          complain("a thread went from {} to {}, which NT's threads do not", thread_state_name(pair.from),
                   thread_state_name(pair.to));
      }
    }
  }

  void note_process(const Thread& thread) {
    if (std::find(processes_.begin(), processes_.end(), thread.process) == processes_.end())
      processes_.push_back(thread.process);
  }

  void check_process(const Process& process) {
    u32 resident = 0;
    for (const Thread& thread : process.threads) {
      if (thread.process != &process) complain("thread {} is linked in another's process", thread.thread_id);
      if (thread.state == ThreadState::terminated) complain("terminated thread {} is still linked", thread.thread_id);
      if (thread.kernel_stack_resident || thread.state == ThreadState::transition) ++resident;
    }
    if (resident != process.stack_count)
      complain("process {} counts {} stacks, has {}", process.process_id, process.stack_count, resident);
    walk(process.ready_list, ThreadState::ready, "a process ready list");
  }

  void check_timers() {
    for (u32 i = 0; i < kernel_.timers_.size(); ++i) check_timer_table(kernel_.timers_[i], i + 1);
  }

  void check_timer_table(const TimerTable& table, u32 mark) {
    u64 count = 0;
    const auto& lists = table.lists();
    std::optional<Ticks> earliest;
    for (u32 i = 0; i < lists.size(); ++i) {
      const TimerCore* before = nullptr;
      for (const TimerCore& timer : lists[i]) {
        ++count;
        if (timer.header.inserted != mark)
          complain("a timer in list {} says that it is in table {}", i, timer.header.inserted);
        if (table.index_of(timer.due) != i) complain("a timer due at {} is in list {}", timer.due.value, i);
        if (before != nullptr && before->due > timer.due) complain("timer list {} is not sorted", i);
        if (!earliest || timer.due < *earliest) earliest = timer.due;
        before = &timer;
      }
    }
    if (count != table.count()) complain("timer table {} counts {}, has {}", mark, table.count(), count);
    if (earliest != table.earliest()) complain("the earliest timer is not what the table says");
  }

  void check_thread(const Thread& thread) {
    ++said_[static_cast<u8>(thread.state)];
    const bool waiting = thread.state == ThreadState::waiting || thread.state == ThreadState::gate_wait;
    const bool listed = thread.state == ThreadState::ready || thread.state == ThreadState::deferred_ready ||
                        thread.state == ThreadState::transition;
    const bool in_wait_list = thread.state == ThreadState::waiting && thread.wait_mode == Mode::user;
    if (thread.sched_link.is_linked() ? !listed && !in_wait_list : listed) {
      complain("thread {} is {} but {}", thread.thread_id, thread_state_name(thread.state),
               listed ? "in no list" : "in a list");
    }
    if (waiting) {
      check_wait(thread);
    } else {
      if (thread.timer.header.inserted != 0) complain("thread {} has a wait timer and does not wait", thread.thread_id);
      for (const WaitBlock& block : thread.wait_blocks) {
        if (block.link.is_linked()) complain("thread {} does not wait but has a linked wait block", thread.thread_id);
      }
    }
    check_numbers(thread);
    for (const Mutant& mutant : thread.mutants) {
      if (mutant.owner != &thread || mutant.header.signal_state > 0)
        complain("thread {} lists a mutant it does not own", thread.thread_id);
    }
    for (const Apc& apc : thread.apc_queues.kernel) {
      if (!apc.inserted || apc.kind == ApcKind::user) complain("thread {} has a wrong kernel APC", thread.thread_id);
    }
    for (const Apc& apc : thread.apc_queues.user) {
      if (!apc.inserted || apc.kind != ApcKind::user) complain("thread {} has a wrong user APC", thread.thread_id);
    }
  }

  void check_wait(const Thread& thread) {
    for (u32 i = 0; i < thread.wait_count; ++i) {
      const WaitBlock& block = thread.wait_block_list[i];
      if (block.thread != &thread || !block.link.is_linked() || !whole(block.link)) {
        complain("wait block {} of thread {} is loose", i, thread.thread_id);
        continue;
      }
      if (thread.wait_reason == WaitReason::wr_keyed_event) continue;
      ++blocks_said_;
      if (first_thread(*block.object) == &block) walk_waiters(*block.object);
      // A wait for any never sleeps on a signalled object; a queue's threads may (the concurrency limit).
      if (thread.wait_type == WaitType::any && thread.wait_reason != WaitReason::wr_queue &&
          block.object->signal_state > 0) {
        complain("thread {} waits for an object that is signalled", thread.thread_id);
      }
    }
    const WaitBlock& timer = thread.wait_blocks[kTimerWaitBlock];
    if ((thread.timer.header.inserted != 0) != timer.link.is_linked() ||
        thread.timer.header.waiters.front() != (timer.link.is_linked() ? &timer : nullptr)) {
      complain("the timeout of thread {} and its wait block disagree", thread.thread_id);
    }
  }

  // The first block of a thread; notifications belong to none.
  static const WaitBlock* first_thread(const DispatcherHeader& object) {
    for (const WaitBlock& block : object.waiters) {
      if (block.thread != nullptr) return &block;
    }
    return nullptr;
  }

  // The object that the first thread's block in its list names: so each list is walked once.
  void walk_waiters(const DispatcherHeader& object) {
    for (const WaitBlock& block : object.waiters) {
      if (!whole(block.link))
        return complain("the waiters of an object of type {} are broken", static_cast<u32>(object.type));
      if (block.thread == nullptr) continue;  // a notification: no thread says that it waits
      ++blocks_found_;
      if (block.object != &object)
        complain("thread {} waits in the list of an object that it does not name", block.thread->thread_id);
    }
  }

  void check_counts() {
    for (const ThreadState state : {ThreadState::ready, ThreadState::running, ThreadState::standby,
                                    ThreadState::transition, ThreadState::deferred_ready}) {
      const auto i = static_cast<u8>(state);
      if (said_[i] != found_[i])
        complain("{} threads are {}, but {} are where such threads belong", said_[i], thread_state_name(state),
                 found_[i]);
    }
    if (blocks_said_ != blocks_found_)
      complain("{} wait blocks name an object, but {} hang on the object that they name", blocks_said_, blocks_found_);
  }

  void check_numbers(const Thread& thread) {
    if (thread.state == ThreadState::terminated || thread.state == ThreadState::initialized) return;
    // KeSetPriorityThread may put a thread below its base, and a lock's boost may lift it from there by less than to
    // its base [facts 6.5]; the next wait or quantum end restores it. Nothing decays to below where it was lifted from.
    if (thread.priority_decrement > thread.priority) complain("thread {} decays below 0", thread.thread_id);
    if (thread.affinity == 0 || (thread.affinity & ~thread.process->affinity) != 0)
      complain("thread {} has a wrong affinity", thread.thread_id);
    if (thread.suspend_count > kMaximumSuspendCount)
      complain("thread {} has a suspend count over the limit", thread.thread_id);
  }

  const Kernel& kernel_;
  std::vector<std::string> problems_;
  std::array<u64, kThreadStates> said_{}, found_{};  // threads by state: as they say, and in the places for that state
  u64 blocks_said_ = 0, blocks_found_ = 0;
  std::vector<const Process*> processes_;  // in the order of the threads given
};

std::vector<std::string> check_processors(const Kernel& kernel) { return InvariantChecker(kernel).run_processors(); }

std::vector<std::string> check_invariants(const Kernel& kernel, std::span<Thread* const> threads) {
  return InvariantChecker(kernel).run(threads);
}

}  // namespace vitrine::ke
