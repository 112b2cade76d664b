// Every change of a thread's state that NT knows [facts 5.1], made by what makes it in NT; and that there is no other.
#include "ke/state_changes.h"

#include <optional>

#include "dispatcher_bench.h"

namespace vitrine::ke {
namespace {

using enum ThreadState;

// The objects outlive the bench, whose end wakes who waits for them.
struct Objects {
  Event event{EventKind::notification};
  Gate gate;
  Queue queue{1};
  UserApc apc;
};
struct Stage : Host, Objects {
  explicit Stage(u32 processors) : b(processors) { b.kernel.set_host(this); }
  ~Stage() override {
    b.between_windows = [this] { bring_in(); };
    b.stop();
    b.kernel.set_host(nullptr);
  }
  void bring_in() {
    if (b.process.state != ProcessState::in_memory) b.kernel.process_inswapped(b.process);
    while (Thread* t = b.kernel.first_inswap()) b.kernel.stack_inswapped(*t);
  }
  void request_stack_inswap(Thread&) override {}
  void request_process_inswap(Process&) override {}

  Thread& thread(std::size_t i) { return b.threads[i]->thread; }
  // A thread that is initialized only; `burns`, or waits for the event.
  Thread& born(Priority priority = 8, bool burns = true) {
    const ThreadParameters parameters{};
    TestThread& t = b.spawn(priority, burns ? Bench::Body{} : waiter(Bench::forever()), parameters, true);
    if (burns) t.burn_ns = kForever;
    return t.thread;
  }
  Bench::Body waiter(WaitParameters how) {
    return [this, how](TestThread& t) -> Task<Status> { return b.kernel.wait_single(&t.thread, &event.header, how); };
  }
  Thread& running(Bench::Body body = {}) {
    TestThread& t = b.spawn(8, body, {}, true);
    if (!body) t.burn_ns = kForever;
    b.kernel.ready_thread(t.thread);
    b.kernel.dispatch(t.thread.next_processor);
    return t.thread;
  }
  Thread& waiting(WaitParameters how) {
    Thread& t = running(waiter(how));
    b.step();
    return t;
  }
  // In a user-mode wait, its kernel stack out.
  Thread& stackless() {
    Thread& t = waiting(Bench::forever());
    b.machine.skip_ticks(0, {b.machine.clock(0).value + 20'000'000});
    VITRINE_CHECK(b.kernel.outswap_stacks(0, 1, [](void*, Thread&) {}, nullptr) == 1);
    return t;
  }
  // With that its process is out, and another thread is born in it.
  Thread& born_while_out() {
    b.kernel.outswap_process(*stackless().process);
    return born();
  }
  void step_while(const Thread& t, ThreadState state) {
    for (u32 i = 0; i < 1000 && t.state == state; ++i) b.step();
  }

  Bench b;
};

struct Row {
  ThreadState from, to;
  const char* why;
  std::function<void(Stage&)> before;  // puts the subject into `from`, unless that is only passed through
  std::function<void(Stage&)> act;
  std::optional<ThreadState> after = {};  // of the subject, where it goes on from `to` in the same step
  u32 processors = 1;
  std::size_t subject = 0;  // which thread
  bool first = true;        // nothing in `before` makes such a change
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.why; }

constexpr ApcOperations kNoOperations{nullptr, nullptr, nullptr};

void queue_apc(Stage& s, ApcKind kind) {
  Kernel::init_apc(s.apc, s.thread(0), kind, kNoOperations);
  s.apc.call.normal_routine = kind == ApcKind::user ? 0x1000 : 0;
  ASSERT_TRUE(s.b.kernel.insert_apc(s.apc));
}

std::vector<Row> births_and_choices() {
  return {
      {initialized, deferred_ready, "KeReadyThread at the end of creation", [](Stage& s) { s.born(); },
       [](Stage& s) { s.b.kernel.ready_thread(s.thread(0)); }, standby},
      {initialized, deferred_ready, "a suspended thread too: its suspend APC runs first thing",
       [](Stage& s) { (void)s.b.kernel.suspend_thread(s.born()); },
       [](Stage& s) { s.b.kernel.ready_thread(s.thread(0)); }, standby},
      {initialized,
       ready,
       "KeReadyThread finds its process out of memory",
       [](Stage& s) { s.born_while_out(); },
       [](Stage& s) { s.b.kernel.ready_thread(s.thread(1)); },
       {},
       1,
       1},
      {deferred_ready, standby, "an idle processor was found", [](Stage& s) { s.born(); },
       [](Stage& s) { s.b.kernel.ready_thread(s.thread(0)); }},
      {deferred_ready,
       standby,
       "a thread of lower priority runs on the chosen processor",
       [](Stage& s) {
         s.born(10);
         s.running();
       },
       [](Stage& s) { s.b.kernel.ready_thread(s.thread(0)); },
       {},
       1,
       0,
       false},
      {deferred_ready,
       standby,
       "a thread of lower priority is on standby there",
       [](Stage& s) {
         s.born(10);
         s.b.kernel.ready_thread(s.born(8));
       },
       [](Stage& s) { s.b.kernel.ready_thread(s.thread(0)); },
       {},
       1,
       0,
       false},
      {deferred_ready, ready, "otherwise: it queues on the chosen processor's list",
       [](Stage& s) {
         s.born();
         s.running();
       },
       [](Stage& s) { s.b.kernel.ready_thread(s.thread(0)); }},
  };
}

std::vector<Row> selections() {
  const auto behind_a_runner = [](Stage& s) {
    s.born();
    s.running();
    s.b.kernel.ready_thread(s.thread(0));
  };
  return {
      {ready, standby, "selected as the next thread at a quantum's end", behind_a_runner,
       [](Stage& s) { s.step_while(s.thread(0), ready); }, running},
      {ready, standby, "selected by a scan of the ready list: the running thread was lowered", behind_a_runner,
       [](Stage& s) { s.b.kernel.set_priority(s.thread(1), 4); }},
      {ready, running, "selected by the processor whose thread waits (KiSwapThread)",
       [](Stage& s) {
         s.born();
         s.running(s.waiter(Bench::forever()));
         s.b.kernel.ready_thread(s.thread(0));
       },
       [](Stage& s) { s.step_while(s.thread(0), ready); }},
      {ready, deferred_ready, "the starvation scan gives it 15 through the deferred list (facts 6.6)",
       [=](Stage& s) {
         behind_a_runner(s);
         s.b.machine.skip_ticks(0, {4'000'000'000});
       },
       [](Stage& s) { s.b.kernel.scan_ready_queues(); }, standby},
      {ready, deferred_ready, "an affinity change re-queues it (facts 6.7)",
       [](Stage& s) {
         s.running();
         s.running();
         s.b.kernel.ready_thread(s.born());
       },
       [](Stage& s) { (void)s.b.kernel.set_affinity(s.thread(2), 2 >> s.thread(2).next_processor); }, ready, 2, 2},
      {ready, deferred_ready, "its process is in memory again, its stack never left",
       [](Stage& s) { s.b.kernel.ready_thread(s.born_while_out()); },
       [](Stage& s) { s.b.kernel.process_inswapped(s.b.process); }, standby, 1, 1},
      {ready, transition, "its process is in memory again, its stack is not",
       [](Stage& s) {
         s.b.kernel.outswap_process(*s.stackless().process);
         s.b.kernel.set_event(s.event);
       },
       [](Stage& s) { s.b.kernel.process_inswapped(s.b.process); }},
      {standby, running, "the context switch", [](Stage& s) { s.b.kernel.ready_thread(s.born()); },
       [](Stage& s) { s.b.kernel.dispatch(0); }},
      {standby, deferred_ready, "displaced by a thread of higher priority before it ran",
       [](Stage& s) { s.b.kernel.ready_thread(s.born()); }, [](Stage& s) { s.b.kernel.ready_thread(s.born(10)); },
       ready},
  };
}

std::vector<Row> losses_of_the_processor() {
  return {
      {running, ready, "preempted: to the head of its list",
       [](Stage& s) {
         s.running();
         s.b.kernel.ready_thread(s.born(10));
       },
       [](Stage& s) { s.b.kernel.dispatch(0); }},
      {running, ready, "its quantum ends and a peer waits: to the tail",
       [](Stage& s) {
         s.running();
         s.b.kernel.ready_thread(s.born());
       },
       [](Stage& s) { s.step_while(s.thread(0), running); }},
      {running, deferred_ready, "it loses its processor while another idles, or may not stay",
       [](Stage& s) { s.running(); },
       [](Stage& s) {
         const u32 p = s.thread(0).next_processor;
         (void)s.b.kernel.set_affinity(s.thread(0), 2 >> p);
         s.b.kernel.dispatch(p);
       },
       standby, 2},
      {running, waiting, "KeWaitForSingleObject", [](Stage& s) { s.running(s.waiter(Bench::forever())); },
       [](Stage& s) { s.b.step(); }},
      {running, waiting, "KeWaitForMultipleObjects",
       [](Stage& s) {
         s.running([&s](TestThread& t) -> Task<Status> {
           DispatcherHeader* objects[]{&s.event.header, &s.thread(0).header};
           co_return co_await s.b.kernel.wait_multiple(&t.thread, objects, WaitType::all, Bench::forever());
         });
       },
       [](Stage& s) { s.b.step(); }},
      {running, waiting, "KeDelayExecution",
       [](Stage& s) {
         s.running([&s](TestThread& t) { return s.b.kernel.delay_execution(&t.thread, Bench::timed(-1'000'000)); });
       },
       [](Stage& s) { s.b.step(); }},
      {running, waiting, "KeRemoveQueue",
       [](Stage& s) {
         s.running([&s](TestThread& t) -> Task<Status> {
           co_return (co_await s.b.kernel.remove_queue(&t.thread, &s.queue, Bench::forever())).error();
         });
       },
       [](Stage& s) { s.b.step(); }},
      {running, gate_wait, "KeWaitForGate",
       [](Stage& s) { s.running([&s](TestThread& t) { return s.b.kernel.wait_gate(&t.thread, &s.gate); }); },
       [](Stage& s) { s.b.step(); }},
      {running, terminated, "KeTerminateThread",
       [](Stage& s) { s.running([](TestThread&) -> Task<Status> { co_return Status::success; }); },
       [](Stage& s) { s.b.step(); }},
  };
}

std::vector<Row> ends_of_waits() {
  return {
      {waiting, deferred_ready, "the wait is satisfied", [](Stage& s) { s.waiting(Bench::forever()); },
       [](Stage& s) { s.b.kernel.set_event(s.event); }, standby},
      {waiting, deferred_ready, "it times out", [](Stage& s) { s.waiting(Bench::timed(-1'000'000)); },
       [](Stage& s) { s.step_while(s.thread(0), waiting); }, terminated},
      {waiting, deferred_ready, "it is alerted", [](Stage& s) { s.waiting(Bench::forever(Mode::user, true)); },
       [](Stage& s) { (void)s.b.kernel.alert_thread(s.thread(0), Mode::user); }, standby},
      {waiting, deferred_ready, "a user APC ends an alertable wait",
       [](Stage& s) { s.waiting(Bench::forever(Mode::user, true)); }, [](Stage& s) { queue_apc(s, ApcKind::user); },
       standby},
      {waiting, deferred_ready, "a kernel APC ends it, and it begins anew",
       [](Stage& s) { s.waiting(Bench::forever(Mode::kernel)); },
       [](Stage& s) { queue_apc(s, ApcKind::special_kernel); }, standby},
      {gate_wait, deferred_ready, "the gate is signalled",
       [](Stage& s) {
         s.running([&s](TestThread& t) { return s.b.kernel.wait_gate(&t.thread, &s.gate); });
         s.b.step();
       },
       [](Stage& s) { s.b.kernel.signal_gate(s.gate); }, standby},
      {waiting, transition, "its kernel stack is out: to the stack in-swap list", [](Stage& s) { s.stackless(); },
       [](Stage& s) {
         s.b.kernel.set_event(s.event);
         EXPECT_EQ(s.b.kernel.first_inswap(), &s.thread(0));
       }},
      {waiting, ready, "its process is out: to the process's own list, and the process is wanted",
       [](Stage& s) { s.b.kernel.outswap_process(*s.stackless().process); },
       [](Stage& s) {
         s.b.kernel.set_event(s.event);
         EXPECT_TRUE(s.thread(0).process_ready_queue);
         EXPECT_EQ(s.thread(0).process->state, ProcessState::in_transition);
       }},
      {transition, deferred_ready, "the swapper has brought the stack in",
       [](Stage& s) {
         s.stackless();
         s.b.kernel.set_event(s.event);
       },
       [](Stage& s) { s.b.kernel.stack_inswapped(s.thread(0)); }, standby},
  };
}

std::vector<Row> all_rows() {
  std::vector<Row> rows;
  for (auto part : {births_and_choices, selections, losses_of_the_processor, ends_of_waits}) {
    std::ranges::move(part(), std::back_inserter(rows));
  }
  return rows;
}

class StateChangeTest : public testing::TestWithParam<Row> {};

TEST_P(StateChangeTest, IsMadeByWhatMakesItInNt) {
  const Row& row = GetParam();
  Stage s(row.processors);
  row.before(s);
  const StateChanges::Pair pair{row.from, row.to};
  const Thread& subject = s.thread(row.subject);
  if (row.from != deferred_ready) {
    EXPECT_EQ(subject.state, row.from);
  }
  EXPECT_NE(s.b.kernel.state_changes().contains(pair), row.first);
  row.act(s);
  EXPECT_TRUE(s.b.kernel.state_changes().contains(pair));
  EXPECT_EQ(subject.state, row.after.value_or(row.to));
}
INSTANTIATE_TEST_SUITE_P(Facts51, StateChangeTest, testing::ValuesIn(all_rows()), [](const auto& test) {
  return std::string(thread_state_name(test.param.from)) + "To" + std::string(thread_state_name(test.param.to)) +
         std::to_string(test.index);
});

TEST(StateChanges, TheKernelsTableHasThoseOfTheRulesAndNoOther) {
  StateChanges of_rules;
  for (const Row& row : all_rows()) of_rules.add({row.from, row.to});
  EXPECT_EQ(kStateChanges, of_rules);
}

TEST(StateChanges, AThreadBeginsAsInitializedAndIsNowhere) {
  Stage s(1);
  const Thread& t = s.born();
  EXPECT_EQ(t.state, initialized);
  EXPECT_FALSE(t.sched_link.is_linked());
  EXPECT_EQ(s.b.kernel.state_changes(), StateChanges{});
  s.b.kernel.discard_thread(s.thread(0));
}

}  // namespace
}  // namespace vitrine::ke
