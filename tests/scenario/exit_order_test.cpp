// The order in which a thread and, with its last one, a process end [facts 5.14], seen by those who are told: notify
// routines, who waits, and the trace.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scenario/bare_machine.h"

namespace vitrine {
namespace {

using testing::BareMachine;

constexpr u64 kCurrentThread = ~0ull - 1;
constexpr u64 kMutantAll = 0x1F0001;

struct Watch {
  // The machine's end is told as well: a watch has to outlive the machine that it is attached to.
  void attach(Machine& machine) {
    (void)machine.processes->thread_notify.add([this](ps::Thread& thread, bool created) {
      if (created) return;
      lines.push_back(fmt::format("notify: {} exits, {} active, exit time {}, owns {}", name(thread.id),
                                  thread.process->active_threads, thread.exit_time.value == 0 ? "unset" : "set",
                                  thread.tcb.mutants.front() != nullptr ? "a mutant" : "nothing"));
    });
    (void)machine.processes->process_notify.add([this](ps::Process& process, bool created) {
      if (created) return;
      lines.push_back(fmt::format("notify: the process exits with {:#x}, its handles are {}",
                                  static_cast<u32>(process.exit_status),
                                  process.handles->count() != 0 ? "open" : "closed"));
    });
    machine.trace.add_listener([this](const trace::Event& event) { observe(event); });
  }
  void observe(const trace::Event& event) {
    switch (event.type) {
      case trace::EventType::wait_end:
        if (name(static_cast<u32>(event.arguments[1])) == "another") break;  // the kernel's and CSRSS's own threads
        lines.push_back(fmt::format("{}'s wait ends: {}", name(static_cast<u32>(event.arguments[1])),
                                    status_name(static_cast<Status>(event.arguments[0]))));
        break;
      case trace::EventType::thread_exit:
        lines.push_back(
            fmt::format("{} has exited with {:#x}", name(static_cast<u32>(event.arguments[0])), event.arguments[1]));
        break;
      case trace::EventType::process_exit:
        lines.push_back("the process has exited");
        break;
      default:
        break;
    }
  }
  std::string name(u32 id) {
    const auto found = std::find(ids.begin(), ids.end(), id);
    return found == ids.end() ? "another" : std::string(1, static_cast<char>('A' + (found - ids.begin())));
  }
  std::vector<u32> ids;
  std::vector<std::string> lines;
};

// Owns a mutant and ends itself with it.
cpu::Script owner(cpu::ScriptContext& context, u64& mutant) {
  const Va slot = context.initial(cpu::Gpr::rsp) - 0x100;
  co_await context.store(slot, 0);
  (void)co_await context.syscall(BareMachine::number("NtCreateMutant"), slot, kMutantAll, 0, 1);
  mutant = co_await context.load(slot);
  co_await context.compute(200'000'000);  // the others wait meanwhile
  (void)co_await context.syscall(BareMachine::number("NtTerminateThread"), kCurrentThread, 0x11);
}

cpu::Script inheritor(cpu::ScriptContext& context, u64& mutant, u64& status) {
  while (mutant == 0) co_await context.compute(1000);
  status = co_await context.syscall(BareMachine::number("NtWaitForSingleObject"), mutant, 0, 0);
  (void)co_await context.syscall(BareMachine::number("NtTerminateThread"), kCurrentThread, 0x22);
}

TEST(ExitOrder, AThreadAndThenTheProcessEndStepByStep) {
  Watch watch;
  BareMachine bare({});
  Machine& machine = *bare.machine;
  u64 mutant = 0, waited = 0;
  watch.attach(machine);
  bare.start([&](cpu::ScriptContext& context) { return owner(context, mutant); });
  bare.start([&](cpu::ScriptContext& context) { return inheritor(context, mutant, waited); });
  for (ps::Thread& thread : bare.process->threads) watch.ids.push_back(thread.id);
  const ob::Ref<ps::Thread> kept = machine.processes->find_thread(watch.ids[0]);
  EXPECT_EQ(bare.run(), RunEnd::exited);

  // 2 notify; 7 mutants abandoned; 9 exit time; B is the last: 9 process notify, handles; 11 the process is signalled.
  EXPECT_THAT(watch.lines, ::testing::ElementsAre(
                               "notify: A exits, 2 active, exit time unset, owns a mutant",
                               "B's wait ends: STATUS_ABANDONED_WAIT_0", "A has exited with 0x11",
                               "notify: B exits, 1 active, exit time unset, owns a mutant", "B has exited with 0x22",
                               "notify: the process exits with 0x22, its handles are open", "the process has exited"));
  EXPECT_EQ(static_cast<Status>(waited), Status::abandoned_wait_0);
  EXPECT_EQ(bare.process->handles->count(), 0u);

  // The reaper freed the kernel stack; the id stays taken until the last reference goes.
  EXPECT_EQ(kept->kernel_stack, mm::KernelStack{});
  EXPECT_FALSE(kept->reaper_link.is_linked());
  EXPECT_TRUE(machine.processes->find_thread(watch.ids[0]));
  EXPECT_FALSE(machine.processes->find_thread(watch.ids[1]));
}

// facts 5.14: what a thread that was told to end still has to do it does by itself: its status is the one it was given
// first.
TEST(ExitOrder, TheFirstTerminationDecidesTheStatus) {
  BareMachine bare({});
  Machine& machine = *bare.machine;
  bare.start([](cpu::ScriptContext& context) -> cpu::Script {
    for (;;) co_await context.compute(1000);
  });
  ps::Thread& thread = *bare.process->threads.front();
  machine.processes->terminate_thread(thread, Status::access_violation);
  machine.processes->terminate_thread(thread, Status::success);
  EXPECT_EQ(bare.run(), RunEnd::exited);
  EXPECT_EQ(bare.process->exit_status, Status::access_violation);
}

}  // namespace
}  // namespace vitrine
