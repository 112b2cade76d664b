#include "ke/invariants.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace vitrine::ke {

// Collects where every thread is found and compares with what it says of itself.
class InvariantChecker {
 public:
  explicit InvariantChecker(const Kernel& kernel) : kernel_(kernel) {}

  std::vector<std::string> run(std::span<Thread* const> threads) {
    for (const auto& processor : kernel_.processors_) check_processor(*processor);
    for (const Thread& thread : kernel_.inswap_list_) place(thread, ThreadState::transition, "the in-swap list");
    for (const Thread* thread : threads) note_process(*thread);
    for (const Process* process : processes_) check_process(*process);
    check_timers();
    for (const Thread* thread : threads) check_thread(*thread);
    check_work_conservation();
    return std::move(problems_);
  }

 private:
  template <typename... Args>
  void complain(fmt::format_string<Args...> text, Args&&... args) {
    problems_.push_back(fmt::format(text, std::forward<Args>(args)...));
  }

  void place(const Thread& thread, ThreadState state, std::string_view where) {
    if (++places_[&thread] > 1) complain("thread {} is in several places, also {}", thread.thread_id, where);
    if (thread.state != state) {
      complain("thread {} is {} but in {}", thread.thread_id, thread_state_name(thread.state), where);
    }
  }

  void check_processor(const Processor& p) {
    const AffinityMask own = AffinityMask{1} << p.number;
    if (!p.is_idle()) {
      place(*p.current, ThreadState::running, "current");
      if (p.current->next_processor != p.number)
        complain("running thread {} names another processor", p.current->thread_id);
    }
    if (p.next != nullptr) {
      place(*p.next, ThreadState::standby, "standby");
      if ((p.next->affinity & own) == 0) complain("standby thread {} may not run on {}", p.next->thread_id, p.number);
    }
    const bool idle = p.is_idle() && p.next == nullptr;
    if (((kernel_.idle_summary_ & own) != 0) != idle) complain("idle summary is wrong for processor {}", p.number);
    for (u32 level = 0; level < kPriorityLevels; ++level) {
      if (((p.ready_summary >> level & 1) != 0) == p.ready[level].empty()) {
        complain("ready summary of processor {} is wrong at priority {}", p.number, level);
      }
      for (const Thread& thread : p.ready[level]) {
        place(thread, ThreadState::ready, "a ready list");
        if (thread.priority != level)
          complain("thread {} of priority {} is in list {}", thread.thread_id, thread.priority, level);
        if (thread.next_processor != p.number) complain("ready thread {} names another processor", thread.thread_id);
        if ((thread.affinity & own) == 0) complain("ready thread {} may not run on {}", thread.thread_id, p.number);
        if (p.next == nullptr && p.current->state == ThreadState::running && !p.quantum_end && !p.is_idle() &&
            level > p.current->priority && thread.wait_reason != WaitReason::wr_yield_execution) {
          complain("ready thread {} has a higher priority than the one that runs on {}", thread.thread_id, p.number);
        }
      }
    }
    for (const Thread& thread : p.deferred_ready) place(thread, ThreadState::deferred_ready, "a deferred list");
    for (const Thread& thread : p.wait_list) {
      if (thread.state != ThreadState::waiting || thread.wait_mode != Mode::user) {
        complain("thread {} is in a wait list without a user-mode wait", thread.thread_id);
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
      if (thread.kernel_stack_resident) ++resident;
    }
    if (resident != process.stack_count)
      complain("process {} counts {} stacks, has {}", process.process_id, process.stack_count, resident);
    for (const Thread& thread : process.ready_list) place(thread, ThreadState::ready, "a process ready list");
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
        if (timer.header.inserted != mark) complain("a timer in list {} says that it is in table {}", i, timer.header.inserted);
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
    const bool waiting = thread.state == ThreadState::waiting || thread.state == ThreadState::gate_wait;
    const bool nowhere = waiting || thread.state == ThreadState::initialized || thread.state == ThreadState::terminated;
    const auto found = places_.find(&thread);
    if ((found == places_.end()) != nowhere) {
      complain("thread {} is {} but in {} places", thread.thread_id, thread_state_name(thread.state), nowhere ? 1 : 0);
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
      if (block.thread != &thread || !block.link.is_linked())
        complain("wait block {} of thread {} is loose", i, thread.thread_id);
      if (thread.wait_reason == WaitReason::wr_keyed_event) continue;
      bool hangs = false;
      for (const WaitBlock& other : block.object->waiters) hangs |= &other == &block;
      if (!hangs) complain("wait block {} of thread {} does not hang on its object", i, thread.thread_id);
      // A wait for any never sleeps on a signalled object; a queue's threads may (the concurrency limit).
      if (thread.wait_type == WaitType::any && thread.wait_reason != WaitReason::wr_queue &&
          block.object->signal_state > 0) {
        complain("thread {} waits for an object that is signalled", thread.thread_id);
      }
    }
    if ((thread.timer.header.inserted != 0) != thread.wait_blocks[kTimerWaitBlock].link.is_linked()) {
      complain("the timeout of thread {} and its wait block disagree", thread.thread_id);
    }
  }

  void check_numbers(const Thread& thread) {
    if (thread.state == ThreadState::terminated || thread.state == ThreadState::initialized) return;
    // KeSetPriorityThread may put a thread below its base, and a lock's boost may lift it from there by less than to its
    // base [facts 6.5]; the next wait or quantum end restores it. Nothing decays to below where it was lifted from.
    if (thread.priority_decrement > thread.priority) complain("thread {} decays below 0", thread.thread_id);
    if (thread.affinity == 0 || (thread.affinity & ~thread.process->affinity) != 0)
      complain("thread {} has a wrong affinity", thread.thread_id);
    if (thread.suspend_count > kMaximumSuspendCount)
      complain("thread {} has a suspend count over the limit", thread.thread_id);
  }

  void check_work_conservation() {
    for (const auto& processor : kernel_.processors_) {
      for (const auto& list : processor->ready) {
        for (const Thread& thread : list) {
          if ((thread.affinity & kernel_.idle_summary_) != 0)
            complain("thread {} is ready while a processor it may use idles", thread.thread_id);
        }
      }
    }
  }

  const Kernel& kernel_;
  std::vector<std::string> problems_;
  std::map<const Thread*, u32> places_;    // looked up only, never walked: addresses decide nothing
  std::vector<const Process*> processes_;  // in the order of the threads given
};

std::vector<std::string> check_invariants(const Kernel& kernel, std::span<Thread* const> threads) {
  return InvariantChecker(kernel).run(threads);
}

}  // namespace vitrine::ke
