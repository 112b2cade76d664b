// A machine without ntdll and without a run loop: one process with one running thread, whose services are called by
// name. Guest memory is real; user code does not run.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "abi/memory_information.h"
#include "cm/registry.h"
#include "cpu/scripted/scripted.h"
#include "io/named_pipe.h"
#include "io/socket_device.h"
#include "mm/address_space.h"
#include "nt/executive.h"
#include "nt/service_table.h"
#include "ob/standard_directories.h"

namespace vitrine::nt::test {

class ServiceMachine {
 public:
  explicit ServiceMachine(const hal::MachineOptions& options = {.seed = 1})
      : hal(with_interval(options)), kernel(profile, hal, trace, options.processor_count) {
    EXPECT_EQ(ob::make_standard_directories(objects), Status::success);
    objects.register_type(mm::section_type_traits(profile.sizes.section_object));
    auto made = ps::ProcessManager::create({profile, kernel, hal, objects, memory, pool, trace, 1});
    VITRINE_CHECK(made.has_value());
    processes = std::move(*made);
    memory.set_page_initializer(processes.get());
    executive = std::make_unique<Executive>(Executive{
        profile, hal, trace, random, *backend, kernel, pool, objects, sync, memory, cache, io, pipes, sockets, registry,
        *processes, nullptr, nullptr, [this](std::string_view line) { notices += std::string(line) + "\n"; }});
    processes->on_thread_rundown = [this](ps::Thread& ended) { sync.rundown_thread(ended.tcb); };
    process = *processes->create_process({.parent = &processes->system_process(), .image_path = u"\\??\\C:\\test.exe"});
    process->token->data = se::make_user_token(1, false);
    thread = new_thread();
    const u32 number = thread->tcb.next_processor;
    kernel.enter(number);
    kernel.dispatch(number);
    VITRINE_CHECK(kernel.current(number) == &thread->tcb);
    VITRINE_CHECK(is_success(processes->begin_user_mode(*thread)));
    processes->set_current(thread.get());
    scratch =
        process->space->allocate({0, 0x1'0000, 0, mm::mem::kReserve | mm::mem::kCommit, mm::page::kReadWrite})->base;
  }
  ~ServiceMachine() {
    // Everything that still waits is told to go, then all threads end.
    (void)processes->terminate_process(*process, Status::success, nullptr);
    for (u32 i = 0; i < 1000 && process->active_threads > 0; ++i) step();
    thread.reset();
    process.reset();
    processes->reap();
    processes->set_current(nullptr);
  }

  ob::Ref<ps::Thread> new_thread(bool suspended = false) {
    auto made =
        processes->create_thread(*process, {.start_address = 0x1000, .argument = 0x2000, .suspended = suspended});
    VITRINE_CHECK(made.has_value());
    return *made;
  }

  // Calls a service as `who`; a suspended one stays in who->user->service.
  Outcome begin(ps::Thread& who, std::string_view name, std::initializer_list<u64> arguments) {
    const Service* service = find_service(name);
    VITRINE_CHECK(service != nullptr && arguments.size() == service->argument_count);
    std::array<u64, kMaximumArguments> raw{};
    std::copy(arguments.begin(), arguments.end(), raw.begin());
    return service->invoke({executive.get(), &who}, raw.data());
  }
  // For services that end at once.
  Status call(std::string_view name, std::initializer_list<u64> arguments) {
    Outcome outcome = begin(*thread, name, arguments);
    VITRINE_CHECK(!outcome.suspends());
    return outcome.status();
  }
  // For services that may suspend: runs every thread until this one's service has ended.
  Status run(std::string_view name, std::initializer_list<u64> arguments) {
    Outcome outcome = begin(*thread, name, arguments);
    if (!outcome.suspends()) return outcome.status();
    thread->user->service = outcome.take_task();
    thread->user->service.start();
    for (u32 i = 0; i < 1000 && !thread->user->service.done(); ++i) step();
    VITRINE_CHECK(thread->user->service.done());
    const Status status = thread->user->service.result();
    thread->user->service.reset();
    return status;
  }
  // One turn of whoever is to run: ends of waits, APCs, thread exits.
  void step() {
    const auto number = kernel.next_processor();
    if (!number) return;
    kernel.enter(*number);
    kernel.dispatch(*number);
    if (!kernel.is_idle(*number)) turn(*ps::Thread::from(kernel.current(*number)));
    kernel.charge(*number, Nanoseconds{100'000}, ke::Mode::kernel);
    kernel.end_window(*number);
    processes->reap();
  }

  template <typename T>
  T read(Va va) {
    return *process->space->read_value<T>(va);
  }
  template <typename T>
  void write(Va va, const T& value) {
    ASSERT_EQ(process->space->write_value(va, value), Status::success);
  }
  // OBJECT_ATTRIBUTES at scratch + 0x8000 with a name behind it.
  Va named(std::u16string_view name) {
    const Va at = scratch + 0x8000;
    write(at, abi::ObjectAttributes{sizeof(abi::ObjectAttributes), 0, 0, at + 0x40, 0x40, 0, 0, 0});
    write(at + 0x40,
          abi::UnicodeString{static_cast<u16>(name.size() * 2), static_cast<u16>(name.size() * 2), 0, at + 0x60});
    (void)process->space->write(at + 0x60, std::as_bytes(std::span(name.data(), name.size())));
    return at;
  }
  // A handle that a service wrote at the start of the scratch memory.
  u64 handle() { return read<u64>(scratch); }

  static constexpr u64 kSelf = ~u64{0}, kThisThread = ~u64{0} - 1;

  const sim::Profile& profile = *sim::find_profile("nt61-x64");
  trace::Recorder trace;
  sim::Random random{1, "guest"};
  hal::Machine hal;
  ram::GuestRam ram = std::move(*ram::GuestRam::create(64 << 20));
  std::unique_ptr<cpu::Scripted> backend = cpu::make_scripted(ram);
  ke::Kernel kernel;
  mm::PhysicalMemory physical{ram, profile, 0};
  ex::Pool pool{profile, &physical};
  ob::ObjectManager objects{profile, pool};
  mm::MemoryManager memory{{profile, physical, pool, *backend, trace}};
  cc::CacheManager cache{memory, pool};
  io::IoManager io{kernel, objects};
  io::NamedPipeDevice pipes{io};
  io::SocketDevice sockets{io};
  ob::SyncTypes sync{objects, kernel};
  cm::Registry registry{objects, [this] { return kernel.system_time().value; }};
  std::unique_ptr<ps::ProcessManager> processes;
  std::unique_ptr<Executive> executive;
  ob::Ref<ps::Process> process;
  ob::Ref<ps::Thread> thread;
  Va scratch = 0;
  std::string notices;

 private:
  hal::MachineOptions with_interval(hal::MachineOptions options) const {
    options.clock_interval_100ns = profile.scheduler.clock_interval_100ns;
    return options;
  }
  void turn(ps::Thread& running) {
    processes->set_current(&running);
    if (running.tcb.continuation) {
      kernel.resume(running.tcb);
    } else if (kernel.deliver_kernel_apcs(running.tcb) == ke::ApcOutcome::continues &&
               kernel.user_apc_pending(running.tcb)) {
      const auto apc = kernel.take_user_apc(running.tcb);
      if (apc && apc->exit_thread) {
        finish_service(running);
        processes->exit_thread(running);
      } else if (apc) {
        delivered.push_back(apc->normal_routine);
      }
    }
    processes->set_current(thread.get());
  }
  void finish_service(ps::Thread& ending) {
    if (ending.user != nullptr && ending.user->service.valid() && ending.user->service.done())
      ending.user->service.reset();
  }

 public:
  std::vector<Va> delivered;  // user APC routines, in order
};

}  // namespace vitrine::nt::test
