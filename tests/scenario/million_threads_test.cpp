// A million suspended threads, created through NtCreateThreadEx with their handles closed: what each costs the host, and that
// everything comes back. The first step towards the 16.7 million of the id table.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/status.h"
#include "mm/books.h"
#include "mm/vad.h"
#include "sim/host_clock.h"
#include "tests/scenario/bare_machine.h"
#include "vitrine/host_watch.h"

namespace vitrine {
namespace {

constexpr u64 kThreads = 1'000'000;
constexpr u64 kHostBytes = 1'250'000'000;  // DESIGN 3.2
constexpr u64 kStackBytes = 64 * 1024;
constexpr u64 kCommitBytes = 4096;
constexpr u32 kCreateSuspended = 1;
constexpr u64 kCurrentProcess = ~0ull;

struct Progress {
  u64 created = 0;
  Status failure = Status::success;
  u64 baseline_bytes = 0;
  u64 full_bytes = 0;
  mm::HeldBooks held;
  std::vector<u64> host_ns;  // at each tenth
};

cpu::Script creator(cpu::ScriptContext& context, Machine& machine, Progress& progress, u32 create, u32 close, u32 terminate, Va sleeper) {
  const Va handle_slot = context.initial(cpu::Gpr::rsp) - 0x100;
  co_await context.store(handle_slot, 0);
  for (u64 i = 0; i < kThreads; ++i) {
    if (i % (kThreads / 10) == 0) progress.host_ns.push_back(sim::host_nanoseconds());
    const u64 status = co_await context.syscall(create, handle_slot, 0x1FFFFFu, 0, kCurrentProcess, sleeper, 0, kCreateSuspended, 0,
                                                kCommitBytes, kStackBytes, 0);
    if (status != 0) {
      progress.failure = static_cast<Status>(status);
      break;
    }
    ++progress.created;
    const u64 handle = co_await context.load(handle_slot);
    (void)co_await context.syscall(close, handle);
  }
  progress.host_ns.push_back(sim::host_nanoseconds());
  // Let every new thread run far enough to reach its suspension.
  for (u32 i = 0; i < 4; ++i) (void)co_await context.syscall(testing::BareMachine::number("NtYieldExecution"));
  progress.full_bytes = host_resident_bytes();
  progress.held = machine.memory.books().held;
  (void)co_await context.syscall(terminate, kCurrentProcess, 7);
}

// The lines of the sum, per thread.
void print_sum(const Progress& progress, u64 used) {
  const u64 record = sizeof(ps::Thread);
  const u64 vads = progress.held.vads * sizeof(mm::Vad) / kThreads;
  const u64 tables = progress.held.page_table_pages * kPageSize / kThreads;
  const u64 id = sizeof(ex::HandleEntry);
  fmt::print("host bytes per suspended thread, 64 KB stack\n");
  fmt::print("{:>6}  thread record (ob {}, ke {})\n", record, sizeof(ob::Object), sizeof(ke::Thread));
  fmt::print("{:>6}  VADs of stack and TEB\n{:>6}  page-table entries\n{:>6}  entry of the id table\n", vads, tables, id);
  fmt::print("{:>6}  pool, frame and system PTE books, heap headers\n", used / kThreads - record - vads - tables - id);
  fmt::print("{:>6}  sum (limit {})\n", used / kThreads, kHostBytes / kThreads);
}

TEST(MillionThreads, FitIn1250BytesEachAndGiveEverythingBack) {
  testing::BareMachine bare({.ram_bytes = 96ull << 30});
  Machine& machine = *bare.machine;
  const u64 nonpaged_before = machine.pool.usage(ex::PoolType::nonpaged).bytes;
  const mm::HeldBooks before = machine.memory.books().held;  // the System process's threads
  Progress progress;
  progress.baseline_bytes = host_resident_bytes();

  const Va sleeper = machine.scripted->register_program([](cpu::ScriptContext& context) -> cpu::Script {
    co_await context.compute(1);
  });
  const u32 create = testing::BareMachine::number("NtCreateThreadEx");
  const u32 close = testing::BareMachine::number("NtClose");
  const u32 terminate = testing::BareMachine::number("NtTerminateProcess");
  bare.start([&](cpu::ScriptContext& context) { return creator(context, machine, progress, create, close, terminate, sleeper); });
  EXPECT_EQ(bare.run(), RunEnd::exited);

  ASSERT_EQ(progress.failure, Status::success) << status_name(progress.failure) << " after " << progress.created;
  ASSERT_EQ(progress.created, kThreads);
  const u64 used = progress.full_bytes - progress.baseline_bytes;
  print_sum(progress, used);
  for (std::size_t i = 1; i < progress.host_ns.size(); ++i) {
    fmt::print("{:>8} threads: {} ns each\n", i * (kThreads / 10), (progress.host_ns[i] - progress.host_ns[i - 1]) / (kThreads / 10));
  }
#if !__has_feature(address_sanitizer)  // which pads every record
  EXPECT_LE(used, kHostBytes);
#endif
  EXPECT_EQ(static_cast<u32>(bare.process->exit_status), 7u);

  // Only the process itself is left, as before.
  EXPECT_EQ(machine.processes->counts().threads, 0u);
  EXPECT_EQ(machine.pool.usage(ex::PoolType::nonpaged).bytes, nonpaged_before);
  const mm::HeldBooks held = machine.memory.books().held;
  EXPECT_EQ(held.kernel_stacks, before.kernel_stacks);
  EXPECT_EQ(held.kernel_stack_pages, before.kernel_stack_pages);
  EXPECT_EQ(held.system_ptes, before.system_ptes);
  EXPECT_EQ(held.shadow_pages, 0u);
  EXPECT_EQ(held.private_pages, 0u);
  EXPECT_EQ(held.vads, 0u);
}

}  // namespace
}  // namespace vitrine
