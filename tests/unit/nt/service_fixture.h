// A machine without instructions: every manager that services work on, one process with one thread, and a stretch of
// its memory to pass arguments in. A test calls services by name, as the dispatcher does.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "cpu/scripted/scripted.h"
#include "io/host_volume.h"
#include "nt/executive.h"
#include "nt/io_completion_sink.h"
#include "nt/service_table.h"
#include "ob/standard_directories.h"

namespace vitrine::nt {

struct StillSnapshot final : io::HostSnapshot {
  void observe(io::HostMetadata&) override {}
  i64 system_time() override { return hal::kDefaultBootTime.value; }
};

class ServiceTest : public testing::Test {
 protected:
  static constexpr u64 kArenaBytes = 1 << 20;

  ServiceTest()
      : folder((std::filesystem::temp_directory_path() / "vitrine-nt-XXXXXX").string()),
        profile(*sim::find_profile(sim::kDefaultProfile)),
        random(1, "guest"),
        machine({.seed = 1, .clock_interval_100ns = profile.scheduler.clock_interval_100ns}),
        ram(std::move(*ram::GuestRam::create(64 << 20))),
        processor(cpu::make_scripted(ram)),
        kernel(profile, machine, trace, 1),
        physical(ram, profile, 0),
        pool(profile, &physical),
        objects(profile, pool),
        memory({profile, physical, pool, *processor, trace}),
        cache(memory, pool),
        io(kernel, objects),
        pipes(io),
        sockets(io),
        sync(objects, kernel),
        registry(objects, [this] { return kernel.system_time().value; }) {
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    EXPECT_EQ(ob::make_standard_directories(objects), Status::success);
    objects.register_type(mm::section_type_traits(profile.sizes.section_object));
    processes = std::move(*ps::ProcessManager::create({profile, kernel, machine, objects, memory, pool, trace, 1}));
    memory.set_page_initializer(processes.get());
    volume = std::move(*io::HostVolume::create({{u"", {folder}, io::MountAccess::read_write}}, {}, snapshot));
    volume->set_memory_manager(&memory);
    volume->set_cache_manager(&cache);
    volume->set_io_manager(&io);
    EXPECT_EQ(io.add_device(u"\\Device\\HarddiskVolume1", *volume), Status::success);
    EXPECT_EQ(io.add_device(u"\\Device\\NamedPipe", pipes), Status::success);
    EXPECT_EQ(objects.make_symbolic_link(u"\\??\\C:", u"\\Device\\HarddiskVolume1"), Status::success);
    executive = std::make_unique<Executive>(Executive{
        profile, machine, trace, random, *processor, kernel, pool, objects, sync, memory, cache, io, pipes, sockets,
        registry, *processes, nullptr, nullptr, [this](std::string_view line) { notices.emplace_back(line); }});
    sink = std::make_unique<IoCompletionSink>(*executive);
    io.set_completion_sink(sink.get());
    process = std::move(
        *processes->create_process({.parent = &processes->system_process(), .image_path = u"\\??\\C:\\test.exe"}));
    process->token->data = se::make_user_token(1, false);
    thread = std::move(*processes->create_thread(
        *process, {.start_address = 0x40'0000, .stack_reserve = 1 << 20, .stack_commit = 4096}));
    const auto arena =
        process->space->allocate({0, kArenaBytes, 0, mm::mem::kReserve | mm::mem::kCommit, mm::page::kReadWrite});
    next_ = arena_ = arena->base;
    kernel.enter(0);
    kernel.dispatch(0);
    EXPECT_EQ(kernel.current(0), &thread->tcb);
    EXPECT_EQ(processes->begin_user_mode(*thread), Status::success);
    processes->set_current(thread.get());
  }

  ~ServiceTest() override {
    // The thread is at the user-mode boundary: it takes its exit APC and ends, and the process with it.
    (void)processes->terminate_process(*process, Status::success, nullptr);
    (void)kernel.deliver_kernel_apcs(thread->tcb);
    if (kernel.user_apc_pending(thread->tcb)) (void)kernel.take_user_apc(thread->tcb);
    processes->exit_thread(*thread);
    thread.reset();
    process.reset();
    processes->reap();
    processes->set_current(nullptr);
    io.set_completion_sink(nullptr);
    executive.reset();
    processes.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  [[nodiscard]] Call call() { return {executive.get(), thread.get()}; }

  // Room in the process's memory, zero at first.
  Va room(u64 bytes) {
    const Va at = next_;
    next_ += align_up(bytes, 16);
    EXPECT_LE(next_, arena_ + kArenaBytes);
    return at;
  }
  template <typename T>
  Va place(const T& value) {
    const Va at = room(sizeof(T));
    EXPECT_EQ(process->space->write_value(at, value), Status::success);
    return at;
  }
  template <typename T>
  T value(Va at) {
    return process->space->read_value<T>(at).value_or(T{});
  }
  std::string bytes(Va at, u64 count) {
    std::string text(count, '\0');
    EXPECT_EQ(process->space->read(at, std::as_writable_bytes(std::span(text))), Status::success);
    return text;
  }
  Va place_bytes(std::string_view text) {
    const Va at = room(text.size());
    EXPECT_EQ(process->space->write(at, std::as_bytes(std::span(text))), Status::success);
    return at;
  }
  // A UNICODE_STRING with its text.
  Va text(std::u16string_view content) {
    const Va buffer = room(content.size() * 2 + 2);
    EXPECT_EQ(process->space->write(buffer, std::as_bytes(std::span(content.data(), content.size()))), Status::success);
    const u16 length = static_cast<u16>(content.size() * 2);
    return place(abi::UnicodeString{length, length, 0, buffer});
  }
  Va attributes(std::u16string_view name, u64 root = 0) {
    abi::ObjectAttributes record{};
    record.length = sizeof(record);
    record.root_directory = root;
    record.object_name = text(name);
    record.attributes = abi::obj::kCaseInsensitive;
    return place(record);
  }

  // Calls a service that must end at once.
  template <typename... Arguments>
  Status invoke(std::string_view name, Arguments... arguments) {
    const Service* service = find_service(name);
    if (service == nullptr) {
      ADD_FAILURE() << "no service " << name;
      return Status::not_implemented;
    }
    EXPECT_EQ(sizeof...(arguments), service->argument_count) << name;
    const std::array<u64, kMaximumArguments> raw{static_cast<u64>(arguments)...};
    Outcome outcome = service->invoke(call(), raw.data());
    if (!outcome.suspends()) return outcome.status();
    Task<Status> task = outcome.take_task();
    task.start();
    EXPECT_TRUE(task.done()) << name << " waits";
    return task.result();
  }

  void write_host_file(const std::string& name, std::string_view content) {
    std::ofstream(std::filesystem::path(folder) / name, std::ios::binary) << content;
  }

  std::string folder;
  const sim::Profile& profile;
  trace::Recorder trace;
  sim::Random random;
  hal::Machine machine;
  ram::GuestRam ram;
  std::unique_ptr<cpu::Scripted> processor;
  ke::Kernel kernel;
  mm::PhysicalMemory physical;
  ex::Pool pool;
  ob::ObjectManager objects;
  mm::MemoryManager memory;
  cc::CacheManager cache;
  std::unique_ptr<ps::ProcessManager> processes;
  StillSnapshot snapshot;
  io::IoManager io;
  std::unique_ptr<io::HostVolume> volume;
  io::NamedPipeDevice pipes;
  io::SocketDevice sockets;
  ob::SyncTypes sync;
  cm::Registry registry;
  std::unique_ptr<Executive> executive;
  std::unique_ptr<IoCompletionSink> sink;
  ob::Ref<ps::Process> process;
  ob::Ref<ps::Thread> thread;
  std::vector<std::string> notices;

 private:
  Va arena_ = 0, next_ = 0;
};

}  // namespace vitrine::nt
