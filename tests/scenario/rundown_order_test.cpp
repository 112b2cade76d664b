// All steps of a GUI thread's death in their order [facts 5.14], each seen by what it changes: win32k's callout comes
// after the process's port has heard, and before requests, timers and mutants go.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nt/executive_state.h"
#include "ps/access.h"
#include "tests/scenario/bare_machine.h"
#include "tests/scenario/gui_service.h"

namespace vitrine {
namespace {

using testing::BareMachine;
using testing::gui;

constexpr u64 kCurrentThread = ~0ull - 1;
constexpr u64 kAll = 0x1F'FFFF;
constexpr u32 kPipeListen = 0x11'0008;  // FSCTL_PIPE_LISTEN

// In the place of win32k while the thread ends.
struct Win32Ear final : nt::Win32Subsystem {
  std::span<const nt::Service> services() const override { return win32k->services(); }
  Status thread_begins(ps::Thread& thread, bool first) override { return win32k->thread_begins(thread, first); }
  void thread_ends(const ps::Thread& thread, bool last) override {
    heard(thread, last);
    win32k->thread_ends(thread, last);
  }
  bool post_quit_message(const ps::Thread& thread, i32 exit_code) override {
    return win32k->post_quit_message(thread, exit_code);
  }
  std::unique_ptr<nt::Win32Subsystem> win32k;
  std::function<void(const ps::Thread&, bool)> heard;
};

struct PortOwner final : lpc::Server {
  Status connect(lpc::PortObject&, lpc::ClientId) override { return Status::success; }
  Status request(lpc::PortObject&, const lpc::Request&) override { return Status::success; }
};

// A thread A that has everything that a death takes away, and threads that wait for what its death gives.
struct Death {
  PortOwner server;
  ke::UserApc apc;
  std::vector<std::string> lines;
  u64 mutant = 0, event = 0, thread_handle = 0;
  u32 dying = 0;
  std::map<u32, std::string> names;
  BareMachine bare{{}};  // ends before what it is told of
  ob::Ref<lpc::PortObject> port;
  Win32Ear* ear = nullptr;

  template <typename... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    lines.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  ps::Thread* thread_a() {
    for (ps::Thread& thread : bare.process->threads) {
      if (thread.id == dying) return &thread;
    }
    return nullptr;
  }

  void start(const std::string& name, cpu::Scripted::Program program) {
    bare.start(std::move(program));
    for (ps::Thread& thread : bare.process->threads) {
      if (!names.contains(thread.id)) names[thread.id] = name;
    }
  }

  void watch() {
    Machine& machine = *bare.machine;
    port = *machine.ports.create(u"\\DeathPort", server);
    bare.process->exception_port = port;
    (void)machine.processes->thread_notify.add([this](ps::Thread& thread, bool created) {
      if (!created && thread.id == dying) notified(thread);
    });
    const auto take_down = machine.processes->on_thread_rundown;
    machine.processes->on_thread_rundown = [this, take_down](ps::Thread& thread) {
      if (thread.id == dying)
        say("3, 5. {} are active, the port has {} message", thread.process->active_threads, port->queue.size());
      take_down(thread);
      if (thread.id == dying) say("7. its timer is {}, its mutant {}", timer_set() ? "set" : "cancelled", owns(thread));
    };
    machine.trace.add_listener([this](const trace::Event& event) { observe(event); });
  }

  // From here on, until the thread has exited, win32k is heard. An APC that it will not take any more is queued.
  void notified(ps::Thread& thread) {
    say("2. notify: {} are active, no exit time: {}", thread.process->active_threads, thread.exit_time.value == 0);
    auto& subsystem = bare.machine->executive->state->win32.subsystem;
    auto made = std::make_unique<Win32Ear>();
    ear = made.get();
    ear->win32k = std::move(subsystem);
    ear->heard = [this](const ps::Thread& ending, bool last) {
      say("6. win32k: {}, its mutant {}, its timer {}, its TEB {}", last ? "last" : "not the last", owns(ending),
          timer_set() ? "set" : "cancelled", ending.teb != 0 ? "there" : "gone");
    };
    subsystem = std::move(made);
    static constexpr ke::ApcOperations kOperations{
        nullptr, [](ke::Kernel&, ke::Apc& queued) { static_cast<Rundown&>(static_cast<ke::UserApc&>(queued)).hears(); },
        nullptr};
    rundown.death = this;
    ke::Kernel::init_apc(rundown, thread.tcb, ke::ApcKind::user, kOperations);
    EXPECT_TRUE(bare.machine->kernel.insert_apc(rundown));
  }
  struct Rundown : ke::UserApc {
    void hears() {
      const ps::Thread& thread = *death->thread_a();
      death->say("10. its APC is run down, others are {}, it is {}", thread.tcb.apc_queueable ? "taken" : "refused",
                 ke::thread_state_name(thread.tcb.state));
    }
    Death* death = nullptr;
  } rundown;

  void observe(const trace::Event& event) {
    if (event.type == trace::EventType::wait_end) {
      const u32 id = static_cast<u32>(event.arguments[1]);
      if (!names.contains(id) || !ear) return;
      const auto status = static_cast<Status>(event.arguments[0]);
      say("{}'s wait ends: {}", names[id], status_name(status));
      if (names[id] == "11. the mourner") {
        const ps::Thread* thread = thread_a();
        say("11. it is {}, its kernel stack {}", ke::thread_state_name(thread->tcb.state),
            thread->kernel_stack == mm::KernelStack{} ? "gone" : "there");
      }
    }
    if (event.type == trace::EventType::thread_exit && event.arguments[0] == dying) {
      const ps::Thread& thread = *thread_a();
      say("8, 9. it has exited with {:#x}, its TEB and stack {}, its exit time {}", event.arguments[1],
          thread.teb == 0 && thread.stack_base == 0 ? "gone" : "there", thread.exit_time.value != 0 ? "set" : "unset");
      bare.machine->executive->state->win32.subsystem = std::move(ear->win32k);
    }
  }

  static std::string_view owns(const ps::Thread& thread) {
    return thread.tcb.mutants.front() != nullptr ? "owned" : "abandoned";
  }
  bool timer_set() {
    const auto object = bare.process->handles->reference({timer}, nullptr, 0, se::Mode::kernel);
    return ob::dispatcher_header(**object)->inserted != 0;
  }
  u64 timer = 0;
};

// A mutant, a timer with an APC, a request that waits at a pipe, a message queue.
cpu::Script dying(cpu::ScriptContext& context, Death& death) {
  const Va slot = context.initial(cpu::Gpr::rsp) - 0x400;
  for (u64 i = 0; i < 0x80; ++i) co_await context.store(slot + 8 * i, 0);
  EXPECT_EQ(co_await context.syscall(gui("NtUserKillTimer"), 0, 77), 0u);
  EXPECT_EQ(co_await context.syscall(BareMachine::number("NtCreateMutant"), slot, kAll & 0x1F0001, 0, 1), 0u);
  death.mutant = co_await context.load(slot);
  EXPECT_EQ(co_await context.syscall(BareMachine::number("NtCreateTimer"), slot, 0x1F0003, 0, 0), 0u);
  death.timer = co_await context.load(slot);
  co_await context.store(slot + 0x10, static_cast<u64>(-1'000'000'000));
  EXPECT_EQ(co_await context.syscall(BareMachine::number("NtSetTimer"), death.timer, slot + 0x10, 0x1000, 0, 0, 0, 0),
            0u);

  constexpr std::u16string_view kName = u"\\Device\\NamedPipe\\death";
  for (u64 i = 0; i < kName.size(); ++i) co_await context.store(slot + 0x100 + 2 * i, kName[i], 2);
  co_await context.store(slot + 0x80, kName.size() * 2 | kName.size() * 2 << 16);
  co_await context.store(slot + 0x88, slot + 0x100);
  co_await context.store(slot + 0x40, 0x30);
  co_await context.store(slot + 0x50, slot + 0x80);
  co_await context.store(slot + 0x10, static_cast<u64>(-500'000));
  EXPECT_EQ(co_await context.syscall(BareMachine::number("NtCreateNamedPipeFile"), slot, 0xC010'0000, slot + 0x40,
                                     slot + 0x20, 3, 2, 0, 0, 0, 0, 1, 4096, 4096, slot + 0x10),
            0u);
  const u64 pipe = co_await context.load(slot);
  EXPECT_EQ(co_await context.syscall(BareMachine::number("NtCreateEvent"), slot, 0x1F0003, 0, 0, 0), 0u);
  const u64 event = co_await context.load(slot);
  EXPECT_EQ(co_await context.syscall(BareMachine::number("NtFsControlFile"), pipe, event, 0, 0, slot + 0x20,
                                     kPipeListen, 0, 0, 0, 0),
            static_cast<u64>(Status::pending));
  death.event = event;
  co_await context.compute(200'000'000);  // the others wait meanwhile
  (void)co_await context.syscall(BareMachine::number("NtTerminateThread"), kCurrentThread, 0x11);
}

cpu::Script waiter(cpu::ScriptContext& context, u64& handle) {
  while (handle == 0) co_await context.compute(1000);
  (void)co_await context.syscall(BareMachine::number("NtWaitForSingleObject"), handle, 0, 0);
  co_await context.compute(1'000'000);
  (void)co_await context.syscall(BareMachine::number("NtTerminateThread"), kCurrentThread, 0);
}

TEST(RundownOrder, AGuiThreadsDeathStepByStepWithWin32ksCalloutAtItsPlace) {
  Death death;
  BareMachine& bare = death.bare;
  death.watch();
  death.start("A", [&](cpu::ScriptContext& context) { return dying(context, death); });
  ps::Thread& a = *bare.process->threads.front();
  death.dying = a.id;
  const ob::Ref<ps::Thread> kept(&a);
  death.thread_handle = bare.process->handles->insert(a, ps::thread_access::kAll, 0)->value;
  death.start("7. the heir", [&](cpu::ScriptContext& context) { return waiter(context, death.mutant); });
  death.start("7. who waits for its request",
              [&](cpu::ScriptContext& context) { return waiter(context, death.event); });
  death.start("11. the mourner", [&](cpu::ScriptContext& context) { return waiter(context, death.thread_handle); });
  EXPECT_EQ(bare.run(), RunEnd::exited);
  EXPECT_THAT(death.lines,
              ::testing::ElementsAre(
                  "2. notify: 4 are active, no exit time: true", "3, 5. 3 are active, the port has 1 message",
                  "6. win32k: not the last, its mutant owned, its timer set, its TEB there",
                  "7. who waits for its request's wait ends: STATUS_SUCCESS",
                  "7. its timer is cancelled, its mutant owned", "7. the heir's wait ends: STATUS_ABANDONED_WAIT_0",
                  "8, 9. it has exited with 0x11, its TEB and stack gone, its exit time set",
                  "10. its APC is run down, others are refused, it is Running",
                  "11. the mourner's wait ends: STATUS_SUCCESS", "11. it is Terminated, its kernel stack there"));
  EXPECT_EQ(kept->kernel_stack, mm::KernelStack{}) << "the reaper's work";
}

}  // namespace
}  // namespace vitrine
