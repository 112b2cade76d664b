#include "torture.h"

#include <utility>

namespace vitrine::ke {
namespace {
constexpr ApcOperations kNothing{nullptr, nullptr, nullptr};
constexpr u64 kStirEvery = 4096;  // windows
constexpr u64 kStirAfter = 256;   // windows without an operation: timers tick, nobody acts
constexpr u32 kPatience = 30;  // ticks; the longest time-out is 60 ms
}  // namespace

Torture::Torture(const Options& options)
    : options_(options),
      bench_(options.machine, options.profile),
      random_(options.machine.seed, "torture"),
      dpc_([](Kernel& kernel, Dpc&, void* context) { kernel.signal_gate(static_cast<Torture*>(context)->gate_); },
           this) {
  bench_.window_ns = 2'000'000;
  bench_.check_every = options.check_every;
  bench_.kernel.set_host(this);
  bench_.between_windows = [this] { swap_in(); };
  for (auto& e : events_)
    e = std::make_unique<Event>(random_.below(2) != 0 ? EventKind::notification : EventKind::synchronization);
  bench_.recorder.add_listener([this](const trace::Event& event) {
    if (event.type == trace::EventType::thread_ready) check_placement(event);
  });
}

// facts 6.7, said another way than the scheduler says it: the best of all processors by an order of wishes.
void Torture::check_placement(const trace::Event& event) {
  ++placements_;
  const Thread& t = bench_.threads[event.arguments[0] - 1]->thread;
  const Kernel& kernel = bench_.kernel;
  const hal::Topology& topology = bench_.machine.topology();
  const AffinityMask idle = kernel.idle_summary();
  const auto wish = [&](u32 p) {
    const AffinityMask core = topology.core_mask(topology.core_of(p));
    const bool near_ideal = topology.core_of(p) == topology.core_of(t.ideal_processor);
    const bool near_last = topology.core_of(p) == topology.core_of(t.next_processor);
    return std::tuple{topology.node_of(p) != topology.node_of(t.ideal_processor),
                      (core & ~idle) != 0,
                      p != t.ideal_processor,
                      p != t.next_processor,
                      p != kernel.executing_processor(),
                      !near_ideal,
                      !near_last,
                      64 - p};
  };
  std::optional<u32> best;
  for (u32 p = 0; p < kernel.processor_count(); ++p) {
    if ((t.affinity & idle) >> p & 1 && (!best || wish(p) < wish(*best))) best = p;
  }
  if (!best) {
    for (u32 p = 0; p < kernel.processor_count(); ++p) {
      const auto busy_wish = [&](u32 q) { return std::tuple{q != t.ideal_processor, q != t.next_processor, 64 - q}; };
      if ((t.affinity >> p & 1) != 0 && (!best || busy_wish(p) < busy_wish(*best))) best = p;
    }
  }
  ASSERT_EQ(event.arguments[2], best) << "thread " << t.thread_id << " was placed against the rule";
}

DispatcherHeader* Torture::any_object() {
  switch (random_.below(10)) {
    case 0:
      return &mutants_[random_.below(kMutants)].header;
    case 1:
      return &semaphore_.header;
    case 2:
      return &timer_.header;
    case 3:
      return &any_thread().header;
    default:
      return &events_[random_.below(kEvents)]->header;
  }
}

WaitParameters Torture::parameters() {
  WaitParameters p{WaitReason::user_request, random_.below(2) != 0 ? Mode::user : Mode::kernel, random_.below(2) != 0,
                   std::nullopt};
  if (random_.below(8) != 0) p.timeout = Ticks{-static_cast<i64>(random_.below(600'000))};
  return p;
}

void Torture::queue_apc(Thread& other, bool exit) {
  if (exit && other.terminating) return;
  UserApc& apc = *apcs_.emplace_back(std::make_unique<UserApc>());
  Kernel::init_apc(apc, other, exit ? ApcKind::special_kernel : static_cast<ApcKind>(random_.below(3)), kNothing);
  apc.call.normal_routine = random_.below(2) * 0x1000;
  if (exit) {
    bench_.kernel.insert_exit_apc(apc);
  } else {
    bench_.kernel.insert_apc(apc);
  }
}

void Torture::change(Thread& other) {
  Kernel& k = bench_.kernel;
  const bool lives = other.state != ThreadState::terminated;
  const u32 processors = k.processor_count();
  switch (random_.below(26)) {
    case 0:
      k.set_event(*events_[random_.below(kEvents)]);
      break;
    case 1:
      k.reset_event(*events_[random_.below(kEvents)]);
      break;
    case 2:
      k.pulse_event(*events_[random_.below(kEvents)]);
      break;
    case 3:
      k.set_event_boost_priority(*events_[random_.below(kEvents)]);
      break;
    case 4:
      (void)k.release_semaphore(semaphore_, 1 + static_cast<i32>(random_.below(3)));
      break;
    case 5:
      (void)k.suspend_thread(other);
      break;
    case 6:
    case 7:
      k.resume_thread(other);
      break;
    case 8:
      k.set_timer(timer_, Ticks{-static_cast<i64>(random_.below(300'000))}, random_.below(2) != 0 ? 20 : 0);
      break;
    case 9:
      k.cancel_timer(timer_);
      break;
    case 10:
      (void)k.set_affinity(other, (random_.next() & k.active_processors()) | u64{1} << random_.below(processors));
      break;
    case 11:
      (void)k.set_ideal_processor(other, static_cast<u8>(random_.below(processors)));
      break;
    case 12:
      if (lives) k.set_base_priority(other, static_cast<i32>(random_.below(7)) - 3);
      break;
    case 13:
      if (lives) k.set_priority(other, static_cast<Priority>(1 + random_.below(31)));
      break;
    case 14:
      if (lives) k.boost_priority(other, static_cast<i8>(random_.below(9)));
      break;
    case 15:
      k.alert_thread(other, random_.below(2) != 0 ? Mode::user : Mode::kernel);
      break;
    case 16:
      k.alert_thread_by_id(other);
      break;
    case 17:
      k.freeze_thread(other);
      break;
    case 18:
      k.thaw_process(bench_.process);
      break;
    case 19:
      k.insert_queue(queue_, *entries_.emplace_back(std::make_unique<QueueEntry>()));
      break;
    case 20:
      k.insert_queue_head(queue_, *entries_.emplace_back(std::make_unique<QueueEntry>()));
      break;
    case 21:
      dpc_.target = static_cast<u8>(random_.below(processors));
      k.queue_dpc(dpc_);
      break;
    case 22:
      queue_apc(other, random_.below(20) == 0);
      break;
    case 23:
      k.set_process_foreground(bench_.process, random_.below(2) != 0);
      break;
    case 24:
      k.set_disable_boost(other, random_.below(2) != 0);
      break;
    default:
      queue_apc(other, false);
      break;
  }
}

// Holds a lock over a kernel-mode wait, where nothing can end the thread.
Task<Status> Torture::lock_something(Thread* thread) {
  Kernel* const k = &bench_.kernel;
  const WaitParameters pause{WaitReason::delay_execution, Mode::kernel, false,
                             Ticks{-static_cast<i64>(random_.below(100'000))}};
  if (random_.below(2) != 0) {
    if (const Status status = co_await acquire_fast_mutex(k, thread, &fast_); status != Status::success)
      co_return status;
    (void)co_await k->delay_execution(thread, pause);
    release_fast_mutex(*k, *thread, fast_);
  } else {
    if (const Status status = co_await acquire_guarded_mutex(k, thread, &guarded_); status != Status::success)
      co_return status;
    (void)co_await k->delay_execution(thread, pause);
    release_guarded_mutex(*k, *thread, guarded_);
  }
  co_return Status::success;
}

Task<Status> Torture::wait_somehow(Thread* thread) {
  Kernel* const k = &bench_.kernel;
  switch (random_.below(11)) {
    case 0: {
      DispatcherHeader* objects[12];
      const std::size_t count = 1 + random_.below(12);
      for (std::size_t i = 0; i < count; ++i) objects[i] = any_object();
      const WaitType type = random_.below(2) != 0 ? WaitType::any : WaitType::all;
      co_return co_await k->wait_multiple(thread, std::span(objects).first(count), type, parameters());
    }
    case 1:
      co_return co_await k->wait_for_alert_by_id(thread, 0, Ticks{-200'000});
    case 2:
      co_return co_await k->wait_keyed_event(thread, &keyed_, random_.below(4) * 2, parameters());
    case 3:
      co_return co_await k->release_keyed_event(thread, &keyed_, random_.below(4) * 2, parameters());
    case 4: {
      const auto entry = co_await k->remove_queue(thread, &queue_, parameters());
      co_return entry ? Status::success : entry.error();
    }
    case 5:
      co_return co_await k->signal_and_wait(thread, &events_[random_.below(kEvents)]->header, any_object(),
                                            parameters());
    case 6:
      co_return co_await k->delay_execution(thread, parameters());
    case 7:
      co_return k->yield_execution(*thread);
    case 8:
      co_return co_await lock_something(thread);
    case 9:
      co_return co_await k->wait_gate(thread, &gate_);
    default:
      co_return co_await k->wait_single(thread, any_object(), parameters());
  }
}

Task<Status> Torture::act(TestThread* t) {
  ++operations_;
  if (random_.below(3) == 0) co_return co_await wait_somehow(&t->thread);
  change(any_thread());
  co_return Status::success;
}

Task<Status> Torture::life(TestThread* t) {
  while (!bench_.stopping && !t->exited_by_apc && operations_ < options_.operations) {
    co_await bench_.burn(*t, random_.below(16) == 0 ? random_.below(20'000'000) : random_.below(300'000));
    if (bench_.stopping || t->exited_by_apc) break;
    for (u64 i = 1 + random_.below(4); i > 0 && !bench_.stopping && t->thread.state == ThreadState::running; --i)
      (void)co_await act(t);
    while (t->thread.mutants.front() != nullptr && random_.below(2) != 0) {
      (void)bench_.kernel.release_mutant(*t->thread.mutants.front(), t->thread);
    }
  }
  --alive_;
  co_return Status::success;
}

void Torture::spawn() {
  ++alive_;
  bench_.spawn(static_cast<Priority>(4 + random_.below(22)),
               [this](TestThread& t) -> Task<Status> { return life(&t); });
}

void Torture::swap_out() {
  const auto nothing = [](void*, Thread&) {};
  (void)bench_.kernel.outswap_stacks(2, 50, nothing, nullptr);
  if (bench_.process.stack_count == 0 && bench_.process.state == ProcessState::in_memory) {
    bench_.kernel.outswap_process(bench_.process);
  }
}

void Torture::swap_in() {
  while (!processes_wanted_.empty()) {
    Process* process = processes_wanted_.back();
    processes_wanted_.pop_back();
    bench_.kernel.process_inswapped(*process);
  }
  while (Thread* thread = bench_.kernel.first_inswap()) bench_.kernel.stack_inswapped(*thread);
}

// Suspension, waits for threads that never end and deadlocks over mutants would leave fewer and fewer that act.
void Torture::stir(bool at_rest) {
  Kernel& k = bench_.kernel;
  const auto now = static_cast<u32>(k.tick_count());
  for (auto& t : bench_.threads) {
    if (t->thread.state == ThreadState::terminated) continue;
    k.force_resume_thread(t->thread);
    if (at_rest || now - t->thread.wait_time > kPatience) k.abort_wait(t->thread, Status::cancelled);
  }
  for (auto& e : events_) k.set_event(*e);
}

void Torture::act_all() {
  for (u32 i = 0; i < options_.threads; ++i) spawn();
  u64 done = 0, acted = 0;  // operations, and the last window in which there was one
  for (u64 window = 1; operations_ < options_.operations && !testing::Test::HasFatalFailure(); ++window) {
    const bool rest = !bench_.step();
    ASSERT_THAT(check_processors(bench_.kernel), testing::IsEmpty());
    if (std::exchange(done, operations_) != operations_) acted = window;
    if (rest || window % kStirEvery == 0 || (window - acted) % kStirAfter == kStirAfter - 1) stir(rest);
    if (window % options_.swap_every == 0) swap_out();
    // Those that were made to exit are replaced.
    while (alive_ < options_.threads && operations_ < options_.operations) spawn();
  }
}

u64 Torture::run() {
  act_all();
  bench_.stop();
  bench_.kernel.cancel_timer(timer_);
  bench_.kernel.set_host(nullptr);
  Kernel::remove_dpc(dpc_);
  while (queue_.entries.pop_front() != nullptr) {
  }
  return bench_.recorder.hash();
}

}  // namespace vitrine::ke
