// What the dispatcher costs the host: an uncontended signal and wait, a wake-up with its switch, alone and among a
// million other threads, in nanoseconds and in instructions. The trace hash is on, as in every run.
#include <benchmark/benchmark.h>

#include <map>
#include <memory>
#include <vector>

#include "instructions.h"
#include "ke/kernel.h"

namespace vitrine::ke {
namespace {

constexpr WaitParameters kForever{WaitReason::user_request, Mode::user, false, std::nullopt};
constexpr u64 kCounted = 20;  // repetitions that instructions are counted over

// The library calls a benchmark several times to find its length; counting is slow, and the last call is the long one.
template <typename Work>
void count(benchmark::State& state, Work work) {
  if (state.iterations() < 100'000) return;
  state.counters["instructions"] = instructions_each(kCounted, work);
}

// A machine of one processor with so many sleepers. Made once for each number and kept: a million take seconds.
struct Bench {
  explicit Bench(u64 others) : profile(*sim::find_profile("nt61-x64")), kernel(profile, machine, recorder, 1) {
    kernel.init_process(process, 8, 1);
    kernel.enter(0);
    // They sleep, each with a time-out of its own, and fill wait list, timer table and process.
    crowd.reserve(others);
    for (u64 i = 0; i < others; ++i) {
      Sleeper& sleeper = *crowd.emplace_back(std::make_unique<Sleeper>());
      add(sleeper.thread, 12);
      const Ticks time_out{-10'000'000'000 - static_cast<i64>(i) * 1000};
      sleeper.task =
          kernel.wait_single(&sleeper.thread, &never.header, {WaitReason::user_request, Mode::user, false, time_out});
      kernel.dispatch(0);
      sleeper.task.start();
    }
  }
  ~Bench() {
    for (auto& sleeper : crowd) {
      kernel.abort_wait(sleeper->thread, Status::thread_is_terminating);
      kernel.dispatch(0);
      kernel.resume(sleeper->thread);
      kernel.discard_thread(sleeper->thread);
    }
  }
  static Bench& among(u64 others) {
    static std::map<u64, std::unique_ptr<Bench>> made;
    auto& bench = made[others];
    if (!bench) bench = std::make_unique<Bench>(others);
    return *bench;
  }
  void add(Thread& thread, Priority priority) {
    ThreadParameters parameters;
    parameters.base_priority = priority;
    parameters.thread_id = ++ids;
    kernel.init_thread(thread, process, parameters);
    kernel.start_thread(thread);
    kernel.ready_thread(thread);
  }
  struct Sleeper {
    Thread thread;
    Task<Status> task;
  };

  const sim::Profile& profile;
  hal::Machine machine{{.processor_count = 1, .clock_interval_100ns = 156'250}};
  trace::Recorder recorder;
  Kernel kernel;
  Process process;
  Event never{EventKind::notification};
  std::vector<std::unique_ptr<Sleeper>> crowd;
  u32 ids = 0;
};

// A running thread sets an event and takes it again: no wait, no frame.
void signal_and_wait(benchmark::State& state) {
  Bench& b = Bench::among(static_cast<u64>(state.range(0)));
  Thread thread;
  b.add(thread, 8);
  b.kernel.dispatch(0);
  Event event(EventKind::synchronization);
  const auto once = [&] {
    b.kernel.set_event(event);
    benchmark::DoNotOptimize(b.kernel.try_wait_single(thread, event.header, kForever));
  };
  for (auto _ : state) once();
  count(state, once);
  b.kernel.discard_thread(thread);
}
BENCHMARK(signal_and_wait)->Arg(10)->Arg(1'000'000);

struct Partner {
  Thread thread;
  Event event{EventKind::synchronization};
  Task<Status> task;
};

Task<Status> play(Kernel* kernel, Partner* self, Partner* other, const bool* over) {
  while (!*over) {
    kernel->set_event(other->event);
    const Status status = co_await kernel->wait_single(&self->thread, &self->event.header, kForever);
    if (status != Status::success) co_return status;
  }
  co_return Status::success;
}

// Two threads wake each other in turn: each iteration is one wait, one wake-up and one switch, as the run loop does
// them.
void wake_and_switch(benchmark::State& state) {
  Bench& b = Bench::among(static_cast<u64>(state.range(0)));
  bool over = false;
  Partner partners[2];
  for (u32 i : {0u, 1u}) {
    b.add(partners[i].thread, 8);
    partners[i].task = play(&b.kernel, &partners[i], &partners[1 - i], &over);
  }
  const auto window = [&] {
    b.kernel.dispatch(0);
    Thread* thread = b.kernel.current(0);
    if (thread->continuation) {
      b.kernel.resume(*thread);
    } else {
      (thread == &partners[0].thread ? partners[0] : partners[1]).task.start();
    }
  };
  for (int i = 0; i < 4; ++i) window();  // both have waited
  for (auto _ : state) window();
  count(state, window);
  over = true;
  for (int ended = 0; ended < 2;) {
    for (Partner& partner : partners) b.kernel.abort_wait(partner.thread, Status::thread_is_terminating);
    b.kernel.dispatch(0);
    Thread* thread = b.kernel.current(0);
    b.kernel.resume(*thread);
    if (!(thread == &partners[0].thread ? partners[0] : partners[1]).task.done()) continue;
    b.kernel.discard_thread(*thread);
    ++ended;
  }
}
BENCHMARK(wake_and_switch)->Arg(10)->Arg(1'000'000);

}  // namespace
}  // namespace vitrine::ke

BENCHMARK_MAIN();
