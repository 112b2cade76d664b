// Everything at once, at random: threads that wait, signal, suspend, alert, exit, change priorities and affinities,
// with the invariant checker and a second opinion on every placement. What it finds is a bug, whatever the numbers.
#pragma once

#include <array>
#include <bit>
#include <memory>
#include <tuple>
#include <vector>

#include "dispatcher_bench.h"
#include "ke/event_pair.h"
#include "ke/kernel_locks.h"
#include "sim/random.h"

namespace vitrine::ke {

class Torture : Host {
 public:
  struct Options {
    hal::MachineOptions machine;
    const char* profile = "nt61-x64";
    u32 threads = 14;
    u64 operations = 500;
    u64 swap_every = 512;  // windows
    u64 check_every = 1;  // windows from one check of all books to the next; processors are checked after each
  };
  explicit Torture(const Options& options);
  // Runs until the operations are done, ends every thread, and returns the trace hash.
  u64 run();
  [[nodiscard]] u64 placements() const { return placements_; }
  [[nodiscard]] const StateChanges& state_changes() const { return bench_.kernel.state_changes(); }

 private:
  static constexpr u32 kEvents = 6, kMutants = 3;

  void request_stack_inswap(Thread&) override {}
  void request_process_inswap(Process& process) override { processes_wanted_.push_back(&process); }
  void act_all();
  void swap_out();  // what the swapper does, between windows
  void swap_in();
  void spawn();
  Task<Status> life(TestThread* t);
  Task<Status> act(TestThread* t);
  Task<Status> wait_somehow(Thread* thread);
  Task<Status> lock_something(Thread* thread);
  void change(Thread& other);  // what needs no waiting
  void queue_apc(Thread& other, bool exit);
  void stir(bool at_rest);  // everybody may be suspended or wait for ever, and at rest no time passes
  void check_placement(const trace::Event& event);
  DispatcherHeader* any_object();
  WaitParameters parameters();
  Thread& any_thread() { return bench_.threads[random_.below(bench_.threads.size())]->thread; }

  Options options_;
  // What threads wait for outlives the bench, whose end wakes them.
  std::array<std::unique_ptr<Event>, kEvents> events_;
  std::array<Mutant, kMutants> mutants_;
  Semaphore semaphore_{0, 1000};
  KeyedEvent keyed_;
  Gate gate_;
  FastMutex fast_;
  GuardedMutex guarded_;
  EventPair pair_;
  Bench bench_;
  sim::Random random_;
  Timer timer_{TimerKind::synchronization};
  Queue queue_{2};
  Dpc dpc_;
  std::vector<std::unique_ptr<QueueEntry>> entries_;
  std::vector<std::unique_ptr<UserApc>> apcs_;
  std::vector<Process*> processes_wanted_;
  u64 operations_ = 0;
  u64 placements_ = 0;
  u32 alive_ = 0;
};

}  // namespace vitrine::ke
