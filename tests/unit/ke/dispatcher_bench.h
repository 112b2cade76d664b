// A small machine for tests of the dispatcher: threads are C++ coroutines, "user code" is time burnt. It follows the run-loop
// contract of ke/kernel.h, checks the invariants after every window, and ends every frame before it goes away.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ke/invariants.h"
#include "ke/kernel.h"

namespace vitrine::ke {

inline constexpr u64 kForever = ~u64{0};

struct TestThread {
  Thread thread;
  std::function<Task<Status>(TestThread&)> body;
  Task<Status> task;
  u64 burn_ns = 0;                    // user time still to burn
  std::coroutine_handle<> after_burn;
  std::optional<Status> result;
  std::vector<Va> user_apcs;          // normal routines of the user APCs that reached user mode
  bool exited_by_apc = false;
};

class Bench {
 public:
  explicit Bench(u32 processors = 1, const char* profile_name = "nt52-x86", u64 seed = 1)
      : Bench({.processor_count = processors, .seed = seed}, profile_name) {}
  // The clock interval is the profile's.
  explicit Bench(hal::MachineOptions options, const char* profile_name = "nt52-x86")
      : profile(*sim::find_profile(profile_name)),
        machine(with_interval(options, profile)),
        kernel(profile, machine, recorder, options.processor_count) {
    kernel.init_process(process, 8, kernel.active_processors());
  }

  ~Bench() { stop(); }

  // Ends every frame and lets every thread go. A test calls it while its objects still exist.
  void stop() {
    if (stopping) return;
    stopping = true;
    for (u32 round = 0; round < 10'000; ++round) {
      for (auto& t : threads) {
        t->burn_ns = 0;
        if (t->thread.state == ThreadState::terminated) continue;
        kernel.force_resume_thread(t->thread);
        kernel.abort_wait(t->thread, Status::thread_is_terminating);
      }
      if (!step()) break;
    }
    for (auto& t : threads) kernel.discard_thread(t->thread);
  }

  using Body = std::function<Task<Status>(TestThread&)>;
  // A thread that is started and, unless `hold`, ready.
  TestThread& spawn(Priority priority, Body body, ThreadParameters parameters = {}, bool hold = false) {
    auto& t = *threads.emplace_back(std::make_unique<TestThread>());
    t.body = std::move(body);
    parameters.base_priority = priority;
    parameters.thread_id = static_cast<u32>(threads.size());
    kernel.init_thread(t.thread, process, parameters);
    kernel.start_thread(t.thread);
    if (!hold) kernel.ready_thread(t.thread);
    return t;
  }
  // A thread that only burns user time.
  TestThread& spinner(Priority priority, u64 burn_ns = kForever, ThreadParameters parameters = {}) {
    TestThread& t = spawn(priority, nullptr, parameters, true);
    t.burn_ns = burn_ns;
    kernel.ready_thread(t.thread);
    return t;
  }

  // Awaited by a body: burns user time at the user-mode boundary, where APCs are delivered.
  struct Burn {
    TestThread& t;
    u64 nanoseconds;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> frame) const {
      t.burn_ns = nanoseconds;
      t.after_burn = frame;
    }
    void await_resume() const {}
  };
  Burn burn(TestThread& t, u64 nanoseconds = 1000) { return {t, nanoseconds}; }

  // One window. False: nothing will ever happen again.
  bool step() {
    if (between_windows) between_windows();
    const auto p = kernel.next_processor();
    if (!p) return false;
    kernel.enter(*p);
    kernel.dispatch(*p);
    if (!kernel.is_idle(*p)) run_window(*p, *threads[kernel.current(*p)->thread_id - 1]);
    kernel.end_window(*p);
    if (++windows % check_every == 0) check();
    return true;
  }
  void run_until(Nanoseconds time) {
    while (true) {
      const auto p = kernel.next_processor();
      if (!p || machine.clock(*p) >= time) return;
      step();
    }
  }
  void run_ms(u64 milliseconds) { run_until({machine.clock(0).value + milliseconds * 1'000'000}); }
  void run_all(u32 limit = 100'000) {
    while (limit-- > 0) {
      if (!step()) return;
    }
    FAIL() << "the bench does not come to rest";
  }
  void check() {
    std::vector<Thread*> all;
    for (auto& t : threads) all.push_back(&t->thread);
    ASSERT_THAT(check_invariants(kernel, all), testing::IsEmpty());
  }
  void say(const std::string& what) { log.push_back(what); }
  static WaitParameters forever(Mode mode = Mode::user, bool alertable = false) {
    return {WaitReason::user_request, mode, alertable, std::nullopt};
  }
  static WaitParameters timed(i64 ticks, Mode mode = Mode::user, bool alertable = false) {
    return {WaitReason::user_request, mode, alertable, Ticks{ticks}};
  }

  const sim::Profile& profile;
  hal::Machine machine;
  trace::Recorder recorder;
  Kernel kernel;
  Process process;
  std::vector<std::string> log;
  std::deque<std::unique_ptr<TestThread>> threads;
  u64 window_ns = 500'000;
  u64 check_every = 1;  // windows
  u64 windows = 0;
  std::function<void()> between_windows;
  bool stopping = false;

 private:
  static hal::MachineOptions with_interval(hal::MachineOptions options, const sim::Profile& profile) {
    options.clock_interval_100ns = profile.scheduler.clock_interval_100ns;
    return options;
  }
  void run_window(u32 p, TestThread& t) {
    Thread& thread = t.thread;
    if (thread.continuation) {
      kernel.resume(thread);
    } else if (kernel.deliver_kernel_apcs(thread) == ApcOutcome::blocked) {
      return;
    } else if (kernel.user_apc_pending(thread) && take_apc(t)) {
      return;
    } else if (t.burn_ns > 0) {
      const u64 part = std::min(t.burn_ns, window_ns);
      kernel.charge(p, {part}, Mode::user);
      if (t.burn_ns != kForever) t.burn_ns -= part;
      return;
    } else if (t.after_burn) {
      std::exchange(t.after_burn, {}).resume();
    } else if (t.body && !t.task.valid()) {
      t.task = t.body(t);
      t.task.start();
    }
    kernel.charge(p, {100}, Mode::kernel);
    if (t.body && !(t.task.valid() && t.task.done())) return;
    if (thread.state != ThreadState::running || t.burn_ns > 0) return;
    if (kernel.user_apc_pending(thread)) return;  // delivered at the boundary, which comes before the end
    if (t.body) t.result = t.task.result();
    end(t);
  }
  // True: the thread is gone.
  bool take_apc(TestThread& t) {
    const auto call = kernel.take_user_apc(t.thread);
    if (!call) return false;
    if (!call->exit_thread) {
      t.user_apcs.push_back(call->normal_routine);
      (void)kernel.test_alert(t.thread, Mode::user);  // NtContinue after the APC
      return false;
    }
    t.exited_by_apc = true;
    end(t);
    // A body that was in "user mode" sees that it has exited and returns.
    if (t.after_burn) std::exchange(t.after_burn, {}).resume();
    return true;
  }
  void end(TestThread& t) {
    kernel.flush_apcs(t.thread);
    kernel.rundown_thread(t.thread);
    kernel.terminate_thread(t.thread);
  }
};

// Each test names the rule and its source in a comment.
class KeTest : public testing::Test {};

}  // namespace vitrine::ke
