// The birth of threads and processes by real programs on real DLLs, watched from the kernel: the seven steps of
// CreateThread, and what the notify routines are told of a process and its images.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "abi/strings.h"
#include "abi/teb.h"
#include "abi/thread_information.h"
#include "csr/subsystem.h"
#include "vitrine/machine.h"
#include "vitrine/run.h"
#include "vitrine/system_files.h"
#include "vitrine/temporary_folder.h"

namespace vitrine {
namespace {

using testing::ElementsAre;

// A run of a program of tests/guest/programs in a folder of its own.
class BirthTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!find_system_files({})) GTEST_SKIP() << "Wine's DLLs are not installed (tools/install-packages)";
    folder = TemporaryFolder::create("vitrine.births.");
    ASSERT_TRUE(folder.has_value());
    options.program = std::filesystem::path(VITRINE_GUEST_PROGRAMS) / program;
    options.current_folder = folder->path();
    options.show_output = false;
    options.timeout_seconds = 60;
    options.on_start = [this](Machine& started, ps::Process& main) {
      machine = &started;
      begin(main);
    };
    options.on_event = [this](const trace::Event& event) {
      if (machine != nullptr) observe(event);
    };
    options.on_end = [this](Machine&) { machine = nullptr; };
  }
  void run() {
    const auto result = run_program(options);
    ASSERT_TRUE(result.has_value()) << result.error().message;
    EXPECT_EQ(result->end, RunEnd::exited);
    EXPECT_EQ(result->exit_code, 0u);
  }
  virtual void begin(ps::Process& main) = 0;
  virtual void observe(const trace::Event&) {}

  const char* program = "births.exe";
  RunOptions options;
  std::expected<TemporaryFolder, std::string> folder = std::unexpected(std::string());
  Machine* machine = nullptr;  // while the program runs
};

// ---- the seven steps [seed 002, "Flow of CreateThread"; facts 5.10]

struct CreateCall {
  ps::Thread* caller = nullptr;
  Va handle = 0, attributes = 0, list = 0;
  u64 process = 0, start = 0, parameter = 0, flags = 0, commit = 0, reserve = 0;
};

class ThreadBirth : public BirthTest {
 protected:
  void begin(ps::Process& main) override {
    process = &main;
    (void)machine->processes->thread_notify.add([this](ps::Thread& thread, bool created) {
      if (created && call.caller != nullptr) thread_created(thread);
    });
  }

  void observe(const trace::Event& event) override {
    const std::string_view service = machine->services->name(static_cast<u32>(event.arguments[0]));
    if (event.type == trace::EventType::service_enter && service == "NtCreateThreadEx") create_called();
    if (event.type == trace::EventType::csrss_call && born != nullptr && event.arguments[0] == born->id) {
      say("5. CSRSS is told: status {}, it has a record: {}", event.arguments[2],
          machine->csrss->peek(born->id) != nullptr);
    }
    if (event.type == trace::EventType::service_exit && service == "NtCreateThreadEx" && born != nullptr)
      create_returned();
    if (event.type == trace::EventType::service_enter && service == "NtResumeThread" && born != nullptr) {
      resume_called(event.arguments[1]);
    }
    if (event.type == trace::EventType::service_enter && service.starts_with("NtWaitFor") && born != nullptr)
      waited = true;
    if (event.type == trace::EventType::context_switch && born != nullptr && event.arguments[1] == born->id) runs();
  }

  // 1 and 2: what CreateThread has made of its parameters when it calls the service.
  void create_called() {
    ps::Thread& caller = *machine->processes->current();
    const cpu::GuestContext& r = caller.registers();
    call = {.caller = &caller, .handle = r[cpu::Gpr::r10], .attributes = r[cpu::Gpr::r8], .process = r[cpu::Gpr::r9]};
    const Va stack = r[cpu::Gpr::rsp] + 0x28;
    u64* const rest[]{&call.start, &call.parameter, &call.flags, nullptr, &call.commit, &call.reserve, &call.list};
    for (u32 i = 0; i < std::size(rest); ++i) {
      if (rest[i] != nullptr) *rest[i] = read<u64>(stack + 8 * i);
    }
    say("1. flags {:#x}, a stack of {:#x} reserved and {:#x} committed, {}", call.flags, call.reserve, call.commit,
        call.attributes == 0                                                                   ? "no attributes"
        : read<abi::ObjectAttributes>(call.attributes).length == sizeof(abi::ObjectAttributes) ? "OBJECT_ATTRIBUTES"
                                                                                               : "bad attributes");
    const u64 entries = (read<u64>(call.list) - sizeof(u64)) / sizeof(abi::PsAttribute);
    std::string names;
    for (u64 i = 0; i < entries; ++i) {
      const u64 attribute = read<abi::PsAttribute>(call.list + sizeof(u64) + i * sizeof(abi::PsAttribute)).attribute;
      names += attribute == abi::ps_attribute::kClientId     ? " client id"
               : attribute == abi::ps_attribute::kTebAddress ? " TEB address"
                                                             : " another";
    }
    say("2. an attribute list of {}:{}", entries, names);
  }

  // 3: the executive's thread, before anybody may run it.
  void thread_created(ps::Thread& thread) {
    born = ob::Ref<ps::Thread>(&thread);
    say("3. a thread object: {}, start and parameter {}, user stack and TEB {}, registers {}",
        ke::thread_state_name(thread.tcb.state),
        thread.start_address == call.start && thread.argument == call.parameter ? "as asked for" : "wrong",
        thread.stack_base != 0 && thread.teb != 0 ? "made" : "missing", thread.user == nullptr ? "not yet" : "made");
  }

  void create_returned() {
    const auto handle = read<u64>(call.handle);
    const auto object = process->handles->reference({handle}, &machine->processes->thread_type(), 0, se::Mode::kernel);
    say("3. the service ends: suspended {} time, the handle is {}, CreateThread's caller knows the id: {}",
        born->tcb.suspend_count, object && object->get() == born.get() ? "the thread's" : "wrong", caller_knows_id());
    returned_handle = handle;
  }

  // 4 and 6: what CreateThread did between the two services.
  void resume_called(u64 handle) {
    if (handle != returned_handle || resumed) return;
    resumed = true;
    const auto teb = read<abi::Teb>(born->teb);
    say("4. the TEB has its activation stack: {}, activated: {}",
        teb.activation_context_stack == born->teb + offsetof(abi::Teb, active_frame), teb.active_frame != 0);
    say("6. CreateThread's caller knows the id: {}", caller_knows_id());
    say("7. resumed {}, it has run: {}", waited ? "by its creator later" : "by CreateThread", has_run);
  }

  void runs() {
    if (born->user == nullptr && !has_run && born->tcb.suspend_count == 0) {
      has_run = true;
      say("7. it runs, to begin in {}",
          born->process->entry_points.ldr_initialize_thunk != 0 ? "LdrInitializeThunk" : "nothing");
      finished.push_back(std::exchange(lines, {}));
      born.reset();
      call = {};
      resumed = has_run = waited = false;
    }
  }

  bool caller_knows_id() { return read<u32>(call.parameter) == born->id; }
  template <typename T>
  T read(Va va) {
    return process->space->read_value<T>(va).value_or(T{});
  }
  template <typename... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    lines.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  ps::Process* process = nullptr;
  CreateCall call;
  ob::Ref<ps::Thread> born;
  u64 returned_handle = 0;
  bool resumed = false, has_run = false, waited = false;
  std::vector<std::string> lines;
  std::vector<std::vector<std::string>> finished;  // births, by their steps
};

// The order is the seed's but for 5: Wine's kernel32 does not tell CSRSS, so the service of step 3 does
// (csr/README.md); and 3 is seen twice, as the thread is made and as its service ends. The program checks what it is
// told itself, and that its TLS callback ran in the new thread before the start routine.
TEST_F(ThreadBirth, TheSevenStepsOfCreateThreadInTheirOrder) {
  run();
  const auto steps = [](const char* stack, bool activated, const char* resumed) {
    return ElementsAre(
        fmt::format("1. flags 0x1, a stack of {} reserved and 0x0 committed, OBJECT_ATTRIBUTES", stack),
        "2. an attribute list of 2: client id TEB address",
        "3. a thread object: Initialized, start and parameter as asked for, user stack and TEB made, registers not yet",
        "5. CSRSS is told: status 0, it has a record: true",
        "3. the service ends: suspended 1 time, the handle is the thread's, CreateThread's caller knows the id: false",
        fmt::format("4. the TEB has its activation stack: true, activated: {}", activated),
        "6. CreateThread's caller knows the id: true", fmt::format("7. resumed {}, it has run: false", resumed),
        "7. it runs, to begin in LdrInitializeThunk");
  };
  ASSERT_EQ(finished.size(), 2u);
  EXPECT_THAT(finished[0], steps("0x60000", true, "by CreateThread"));
  EXPECT_THAT(finished[1], steps("0x0", false, "by its creator later"));
}

// ---- processes and images

class ImagesOfABirth : public BirthTest {
 protected:
  ImagesOfABirth() { program = "child_processes.exe"; }
  void begin(ps::Process&) override {
    ps::ProcessManager& processes = *machine->processes;
    (void)processes.process_notify.add([this](ps::Process& process, bool created) {
      if (created) told[process.id].push_back("process");
    });
    (void)processes.thread_notify.add([this](ps::Thread& thread, bool created) {
      if (created) told[thread.process->id].push_back("thread");
    });
    (void)processes.image_notify.add([this](ps::Process& process, std::u16string_view name, Va base, u64 size) {
      image(process, name, base, size);
    });
  }
  void image(ps::Process& process, std::u16string_view name, Va base, u64 size) {
    EXPECT_EQ(machine->processes->current()->process, &process) << "told by a thread of the process itself";
    const Va thunk = process.entry_points.ldr_initialize_thunk;
    const std::string file = base == process.image.base             ? "program"
                             : base <= thunk && thunk < base + size ? "ntdll"
                                                                    : "DLL";
    if (file == "program")
      EXPECT_EQ(name, process.image_path);
    else
      EXPECT_TRUE(name.starts_with(u"\\Device\\HarddiskVolume1\\") && name.ends_with(u".dll")) << file;
    EXPECT_EQ(name.ends_with(u"\\ntdll.dll"), file == "ntdll");
    const auto header = process.space->read_value<u16>(base);
    EXPECT_EQ(header.value_or(0), 0x5A4D) << file << " lies there";
    const auto nt_headers = base + process.space->read_value<u32>(base + 0x3C).value_or(0);
    EXPECT_EQ(process.space->read_value<u32>(nt_headers + 24 + 56).value_or(0), size) << "SizeOfImage of " << file;
    told[process.id].push_back(file);
  }
  std::map<u32, std::vector<std::string>> told;  // by process id, in order
};

TEST_F(ImagesOfABirth, TheProgramAndNtdllAreToldAfterProcessAndThreadAndBeforeOtherDlls) {
  run();
  ASSERT_GE(told.size(), 8u) << "the program and its children";
  const u32 first = told.begin()->first;
  for (auto& [id, what] : told) {
    SCOPED_TRACE(id);
    // The first process is there before anybody can listen, and one of the children is ended before it begins.
    if (id == first) what.insert(what.begin(), {"process", "thread"});
    if (what.size() == 2) continue;
    ASSERT_GE(what.size(), 5u);
    what.resize(5);
    EXPECT_THAT(what, ElementsAre("process", "thread", "program", "ntdll", "DLL"));
  }
}

}  // namespace
}  // namespace vitrine
