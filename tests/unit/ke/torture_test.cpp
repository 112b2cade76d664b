#include "dispatcher_bench.h"
#include "sim/random.h"

namespace vitrine::ke {
namespace {

// Everything at once, at random, with the invariant checker after every window. What it finds is a bug, whatever the
// numbers.
struct Torture {
  explicit Torture(u64 seed, const char* profile)
      : b(3, profile, seed), random(seed, "torture"), timer(TimerKind::synchronization), queue(2) {
    b.window_ns = 2'000'000;
    for (auto& e : events)
      e = std::make_unique<Event>(random.below(2) != 0 ? EventKind::notification : EventKind::synchronization);
  }

  DispatcherHeader* any_object() {
    switch (random.below(8)) {
      case 0:
        return &mutants[random.below(2)].header;
      case 1:
        return &semaphore.header;
      case 2:
        return &timer.header;
      default:
        return &events[random.below(4)]->header;
    }
  }
  Bench::Body body() {
    return [this](TestThread& t) -> Task<Status> {
      for (int round = 0; round < 40 && !b.stopping; ++round) {
        co_await b.burn(t, random.below(6'000'000));
        if (b.stopping || t.exited_by_apc) break;
        (void)co_await act(t);
        while (t.thread.mutants.front() != nullptr && random.below(2) != 0) {
          (void)b.kernel.release_mutant(*t.thread.mutants.front(), t.thread);
        }
      }
      co_return Status::success;
    };
  }
  WaitParameters parameters() {
    WaitParameters p{WaitReason::user_request, random.below(2) != 0 ? Mode::user : Mode::kernel, random.below(2) != 0,
                     std::nullopt};
    if (random.below(4) != 0) p.timeout = Ticks{-static_cast<i64>(random.below(600'000))};
    return p;
  }
  Task<Status> act(TestThread& t) {
    Kernel& k = b.kernel;
    Thread& other = b.threads[random.below(b.threads.size())]->thread;
    switch (random.below(21)) {
      case 16: {
        Apc& apc = *apcs.emplace_back(std::make_unique<UserApc>());
        static constexpr ApcOperations kNothing{nullptr, nullptr, nullptr};
        Kernel::init_apc(apc, other, static_cast<ApcKind>(random.below(3)), kNothing);
        static_cast<UserApc&>(apc).call.normal_routine = random.below(2) * 0x1000;
        k.insert_apc(apc);
        break;
      }
      case 17: {
        if (random.below(30) != 0 || other.terminating) break;
        Apc& apc = *apcs.emplace_back(std::make_unique<UserApc>());
        static constexpr ApcOperations kNothing{nullptr, nullptr, nullptr};
        Kernel::init_apc(apc, other, ApcKind::special_kernel, kNothing);
        k.insert_exit_apc(apc);
        break;
      }
      case 18:
        if (other.state != ThreadState::terminated) k.set_priority(other, static_cast<Priority>(1 + random.below(31)));
        break;
      case 19:
        k.freeze_thread(other);
        break;
      case 20:
        k.thaw_process(b.process);
        break;
      case 0:
        k.set_event(*events[random.below(4)]);
        break;
      case 1:
        k.pulse_event(*events[random.below(4)]);
        break;
      case 2:
        (void)k.release_semaphore(semaphore, 1);
        break;
      case 3:
        (void)k.suspend_thread(other);
        break;
      case 4:
      case 5:
        k.resume_thread(other);
        break;
      case 6:
        k.set_timer(timer, Ticks{-static_cast<i64>(random.below(300'000))}, random.below(2) != 0 ? 20 : 0);
        break;
      case 7:
        (void)k.set_affinity(other, 1 + random.below(7));
        break;
      case 8:
        if (other.state != ThreadState::terminated) k.set_base_priority(other, static_cast<i32>(random.below(7)) - 3);
        break;
      case 9:
        k.alert_thread(other, random.below(2) != 0 ? Mode::user : Mode::kernel);
        break;
      case 10:
        k.alert_thread_by_id(other);
        break;
      case 11: {
        DispatcherHeader* objects[5];
        const std::size_t count = 1 + random.below(5);
        for (std::size_t i = 0; i < count; ++i) objects[i] = any_object();
        co_return co_await k.wait_multiple(&t.thread, std::span(objects).first(count),
                                           random.below(2) != 0 ? WaitType::any : WaitType::all, parameters());
      }
      case 12:
        co_return co_await k.wait_for_alert_by_id(&t.thread, 0, Ticks{-200'000});
      case 13: {
        const u64 key = random.below(4) * 2;
        if (random.below(2) != 0) co_return co_await k.wait_keyed_event(&t.thread, &keyed, key, parameters());
        co_return co_await k.release_keyed_event(&t.thread, &keyed, key, parameters());
      }
      case 14: {
        if (random.below(2) != 0) {
          k.insert_queue(queue, *entries.emplace_back(std::make_unique<QueueEntry>()));
          break;
        }
        (void)co_await k.remove_queue(&t.thread, &queue, parameters());
        break;
      }
      default:
        co_return co_await k.wait_single(&t.thread, any_object(), parameters());
    }
    co_return Status::success;
  }
  u64 run() {
    for (u32 i = 0; i < 14; ++i) b.spawn(static_cast<Priority>(4 + random.below(22)), body());
    for (u32 i = 0; i < 1500 && !testing::Test::HasFailure(); ++i) {
      // Everybody may be suspended or waiting for ever: somebody outside stirs.
      if (!b.step()) {
        for (auto& t : b.threads) b.kernel.force_resume_thread(t->thread);
        for (auto& e : events) b.kernel.set_event(*e);
      }
    }
    b.kernel.cancel_timer(timer);
    b.stop();
    while (queue.entries.pop_front() != nullptr) {
    }
    return b.recorder.hash();
  }

  std::array<std::unique_ptr<Event>, 4> events;
  std::array<Mutant, 2> mutants;
  Semaphore semaphore{0, 1000};
  KeyedEvent keyed;
  Bench b;
  sim::Random random;
  Timer timer;
  Queue queue;
  std::vector<std::unique_ptr<QueueEntry>> entries;
  std::vector<std::unique_ptr<UserApc>> apcs;
};

class TortureTest : public testing::TestWithParam<u64> {};
TEST_P(TortureTest, TheBooksStayWholeAndTheRunRepeats) {
  const char* profile = GetParam() % 2 == 0 ? "nt52-x64" : "nt61-x64";
  const u64 first = Torture(GetParam(), profile).run();
  EXPECT_EQ(first, Torture(GetParam(), profile).run());
}
INSTANTIATE_TEST_SUITE_P(Seeds, TortureTest, testing::Range<u64>(1, 13));

}  // namespace
}  // namespace vitrine::ke
