// CSRSS in a whole machine: what a creation costs under each way of finding threads, and how it hears of their end. The
// numbers are those that seed 001's experiment leads one to expect.
#include <gtest/gtest.h>

#include "base/status.h"
#include "tests/scenario/bare_machine.h"

namespace vitrine {
namespace {

using testing::BareMachine;

constexpr u64 kCurrentProcess = ~0ull;
constexpr u32 kCreateSuspended = 1;

struct Figures {
  u64 created = 0;
  Status failure = Status::success;
  csr::Statistics at_end;  // of the creations, before anything ended
  csr::TableShape shape;
  u64 csrss_handles = 0;
  u64 virtual_ns = 0;
};

// Creates `count` suspended threads, closes their handles, notes CSRSS's figures and ends the process.
cpu::Script creator(cpu::ScriptContext& context, Machine& machine, Figures& run, u64 count, Va sleeper) {
  const Va slot = context.initial(cpu::Gpr::rsp) - 0x100;
  const u32 create = BareMachine::number("NtCreateThreadEx"), close = BareMachine::number("NtClose");
  co_await context.store(slot, 0);
  const u64 start = machine.hal.clock(0).value;
  for (u64 i = 0; i < count; ++i) {
    const u64 status = co_await context.syscall(create, slot, 0x1FFFFFu, 0, kCurrentProcess, sleeper, 0,
                                                kCreateSuspended, 0, 4096, 0x10000, 0);
    if (status != 0) {
      run.failure = static_cast<Status>(status);
      break;
    }
    ++run.created;
    const u64 handle = co_await context.load(slot);
    (void)co_await context.syscall(close, handle);
  }
  run.virtual_ns = machine.hal.clock(0).value - start;
  run.at_end = machine.csrss->statistics();
  run.shape = machine.csrss->shape();
  run.csrss_handles = machine.csrss->handle_count();
  (void)co_await context.syscall(BareMachine::number("NtTerminateProcess"), kCurrentProcess, 0);
}

Figures create_threads(BareMachine& bare, u64 count) {
  Figures run;
  const Va sleeper = bare.machine->scripted->register_program(
      [](cpu::ScriptContext& context) -> cpu::Script { co_await context.compute(1); });
  bare.start([&](cpu::ScriptContext& context) { return creator(context, *bare.machine, run, count, sleeper); });
  RunLoop loop(*bare.machine, {});
  EXPECT_EQ(loop.run(*bare.process), RunEnd::exited);
  loop.settle();
  return run;
}

Figures create_threads(const char* strategy, u64 count, u32 processors = 1) {
  BareMachine bare({.processors = processors, .csrss = *csr::parse_strategy(strategy)});
  return create_threads(bare, count);
}

TEST(Csrss, ACreationLooksItsCallerUpTwiceThroughTheWholeChain) {
  constexpr u64 kCount = 500;
  const Figures run = create_threads("constant", kCount);
  ASSERT_EQ(run.created, kCount);
  EXPECT_EQ(run.at_end.thread_creates, kCount + 1) << "the first thread came with its process";
  EXPECT_EQ(run.at_end.lookups, 2 * kCount);
  // The k-th creation finds its caller behind k - 1 younger threads: k visits, twice.
  EXPECT_EQ(run.at_end.visits, kCount * (kCount + 1));
}

TEST(Csrss, UnderTheTableOf1024BucketsACreationVisitsTwiceTheThreadsOver1020) {
  constexpr u64 kCount = 20'400;
  const Figures run = create_threads("chained:1024", kCount);
  ASSERT_EQ(run.created, kCount);
  EXPECT_EQ(run.shape.used_buckets, 1020u) << "ids that are multiples of 0x400 are reserved";
  // The n-th creation visits 2n/1020, all of them n*n/1020; the caller itself is one visit more, each time.
  const double expected = double(kCount) * double(kCount) / 1020 + double(kCount);
  EXPECT_NEAR(double(run.at_end.visits), expected, expected / 50);
}

TEST(Csrss, CountedVisitsAreThoseOfTheWalk) {
  const Figures walked = create_threads("chained:64", 3000), counted = create_threads("chained:64,counted", 3000);
  EXPECT_EQ(walked.at_end.visits, counted.at_end.visits);
  EXPECT_EQ(walked.virtual_ns, counted.virtual_ns);
}

// What the experiment saw: ten times slower and more with a constant hash, flat with the mend and without the call.
TEST(Csrss, StrategiesDifferInVirtualTimeAsTheExperimentDid) {
  constexpr u64 kCount = 4000;
  const Figures constant = create_threads("constant,counted", kCount), chained = create_threads("chained:1024", kCount);
  const Figures resizing = create_threads("resizing", kCount), bypass = create_threads("bypass", kCount);
  EXPECT_LT(bypass.virtual_ns, resizing.virtual_ns);
  EXPECT_LT(resizing.virtual_ns, chained.virtual_ns);
  EXPECT_LT(chained.virtual_ns, constant.virtual_ns);
  const u64 visit_ps = sim::find_profile("nt61-x64")->costs.csrss_visit.picoseconds;
  // Clock interrupts take their share, too.
  const double more_ns = double((constant.at_end.visits - resizing.at_end.visits) * visit_ps) / 1000;
  EXPECT_NEAR(double(constant.virtual_ns - resizing.virtual_ns), more_ns, more_ns / 100);
  EXPECT_LE(resizing.at_end.visits, 2 * 4 * kCount);
  EXPECT_EQ(bypass.at_end.visits, 0u);
  EXPECT_EQ(bypass.csrss_handles, 2u) << "the process and its first thread only";
  EXPECT_EQ(chained.csrss_handles, kCount + 2);
}

TEST(Csrss, EverythingIsGivenBackAfterTheLastDeathIsHandled) {
  for (const char* strategy : {"chained:256", "constant", "resizing", "bypass"}) {
    BareMachine bare({.processors = 2, .csrss = *csr::parse_strategy(strategy)});
    Machine& machine = *bare.machine;
    const u64 nonpaged = machine.pool.usage(ex::PoolType::nonpaged).bytes;
    const u64 commit = machine.csrss->process().space->commit_charge();
    const Figures run = create_threads(bare, 3000);
    ASSERT_EQ(run.created, 3000u) << strategy;
    EXPECT_EQ(machine.csrss->threads(), 0u) << strategy;
    EXPECT_EQ(machine.csrss->handle_count(), 0u) << strategy;
    EXPECT_EQ(machine.csrss->queued_deaths(), 0u) << strategy;
    EXPECT_EQ(machine.csrss->shape().entries, 0u) << strategy;
    EXPECT_EQ(machine.csrss->process().space->commit_charge(), commit) << strategy;
    EXPECT_EQ(machine.csrss->statistics().deaths, 3001u) << strategy;
    EXPECT_EQ(machine.pool.usage(ex::PoolType::nonpaged).bytes, nonpaged) << strategy;
    EXPECT_EQ(machine.processes->ids().count(), 8u)
        << "System and its four threads (two for DPCs), CSRSS, its worker, the ended process: " << strategy;
  }
}

// Seed 001: the threads went at once, CSRSS's handles after them.
TEST(Csrss, DeathsAreHandledLaterThanTheyAreSent) {
  BareMachine bare({.processors = 2, .csrss = *csr::parse_strategy("constant,counted")});
  Machine& machine = *bare.machine;
  u64 handles_at_the_end = 0;
  machine.trace.add_listener([&](const trace::Event& event) {
    if (event.type == trace::EventType::process_exit) handles_at_the_end = machine.csrss->handle_count();
  });
  const Figures run = create_threads(bare, 2000);
  ASSERT_EQ(run.created, 2000u);
  EXPECT_GT(handles_at_the_end, 100u) << "all its threads had ended by then";
  const lpc::PortStatistics& port = machine.ports.statistics();
  EXPECT_GT(port.peak_queued, 100u);
  EXPECT_GT(port.peak_lag_ns, 1'000'000u);
  EXPECT_EQ(port.received, port.datagrams);
  EXPECT_EQ(machine.csrss->handle_count(), 0u);
}

TEST(Csrss, AThreadsIdIsTakenUntilCsrssLetsGoOfIt) {
  BareMachine bare({.csrss = *csr::parse_strategy("chained:1024")});
  Machine& machine = *bare.machine;
  bool alive_after_exit = false, known_after_exit = false;
  machine.trace.add_listener([&](const trace::Event& event) {
    if (event.type != trace::EventType::csrss_death) return;
    known_after_exit |= machine.csrss->peek(static_cast<u32>(event.arguments[0])) != nullptr;
  });
  machine.trace.add_listener([&](const trace::Event& event) {
    if (event.type != trace::EventType::thread_exit) return;
    alive_after_exit |= machine.csrss->peek(static_cast<u32>(event.arguments[0])) != nullptr;
  });
  (void)create_threads(bare, 10);
  EXPECT_TRUE(alive_after_exit);
  EXPECT_FALSE(known_after_exit);
}

TEST(Csrss, AFullHandleTableFailsTheCreationAndLeavesNothing) {
  sim::Profile scaled = *sim::find_profile("nt61-x64");
  scaled.handles = {.entries_per_leaf = 256, .pointers_per_mid = 4, .top_entries = 1, .maximum_handles = 1024};
  BareMachine bare({.scaled_profile = &scaled, .csrss = *csr::parse_strategy("chained:1024")});
  Machine& machine = *bare.machine;
  // Its table is filled up by hand: the id table is as large and would be full first.
  ob::ObjectHandles& handles = *machine.csrss->process().handles;
  const u32 capacity = ex::HandleTable::capacity(machine.profile.handles);
  constexpr u32 kRoom = 100;  // handles: a process and 99 threads
  while (handles.count() < capacity - kRoom) {
    ASSERT_TRUE(handles.insert(*bare.process, 0, 0).has_value());
  }
  const Figures run = create_threads(bare, 1000);
  EXPECT_EQ(run.created, kRoom - 2);
  EXPECT_EQ(run.failure, Status::insufficient_resources);
  EXPECT_EQ(handles.table().full_failures(), 1u);
  EXPECT_EQ(run.at_end.refused, 1u);
  EXPECT_EQ(machine.processes->counts().threads, 0u) << "system threads are not counted";
}

TEST(Csrss, ACallerThatItDoesNotKnowIsRefused) {
  BareMachine bare({.csrss = *csr::parse_strategy("chained:1024")});
  Machine& machine = *bare.machine;
  const auto known = machine.processes->create_thread(*bare.process, {});
  const auto unknown = machine.processes->create_thread(*bare.process, {});
  const auto created = machine.processes->create_thread(*bare.process, {});
  ASSERT_TRUE(is_success(machine.csrss->create_process(nullptr, *bare.process, **known)));
  EXPECT_EQ(machine.csrss->create_thread(unknown->get(), **created), Status::illegal_function);
  EXPECT_EQ(machine.csrss->create_thread(known->get(), **created), Status::success);
  EXPECT_EQ(machine.csrss->threads(), 2u);
}

// Processors share CSRSS's lock: what one holds, the others wait for.
TEST(Csrss, CreatorsOnSeveralProcessorsWaitForItsLock) {
  BareMachine bare({.processors = 4, .csrss = *csr::parse_strategy("constant,counted")});
  Machine& machine = *bare.machine;
  Figures runs[4];
  const Va sleeper = machine.scripted->register_program(
      [](cpu::ScriptContext& context) -> cpu::Script { co_await context.compute(1); });
  for (Figures& run : runs) {
    bare.start([&](cpu::ScriptContext& context) { return creator(context, machine, run, 1500, sleeper); });
  }
  RunLoop loop(machine, {});
  EXPECT_EQ(loop.run(*bare.process), RunEnd::exited);
  EXPECT_GT(machine.csrss->statistics().lock_waits, 1000u);
  EXPECT_GT(machine.csrss->statistics().lock_wait_ns, 1'000'000u);
}

TEST(Csrss, TheSameRunIsTheSameRunOnSeveralProcessors) {
  u64 hashes[2] = {};
  for (u64& hash : hashes) {
    BareMachine bare({.processors = 3, .csrss = *csr::parse_strategy("chained:256")});
    (void)create_threads(bare, 500);
    hash = bare.machine->trace.hash();
  }
  EXPECT_EQ(hashes[0], hashes[1]);
}

}  // namespace
}  // namespace vitrine
