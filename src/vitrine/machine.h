// Machine: the composition root. It owns every part of one virtual Windows machine and wires the interfaces that lower
// parts declare to the higher ones that implement them. Several machines may live in one process.
//
// Members are made in the order of the layers and destroyed in the opposite one; the order below is therefore part of
// the design.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "cc/cache_manager.h"
#include "cm/registry.h"
#include "cpu/kvm/kvm.h"
#include "cpu/scripted/scripted.h"
#include "cpu/translator/translator.h"
#include "csr/subsystem.h"
#include "ex/pool.h"
#include "hal/identity.h"
#include "hal/machine.h"
#include "io/console.h"
#include "io/host_volume.h"
#include "io/io_manager.h"
#include "io/named_pipe.h"
#include "io/null_device.h"
#include "io/overlay.h"
#include "io/socket_device.h"
#include "io/stream.h"
#include "ke/kernel.h"
#include "ldr/loader.h"
#include "lpc/port.h"
#include "mm/memory_manager.h"
#include "mm/physical_memory.h"
#include "nt/dispatch.h"
#include "nt/executive.h"
#include "nt/io_completion_sink.h"
#include "nt/service_table.h"
#include "ob/object_manager.h"
#include "ob/sync_objects.h"
#include "ps/balance_set.h"
#include "ps/process_manager.h"
#include "ram/guest_ram.h"
#include "trace/recorder.h"
#include "vitrine/execution.h"
#include "vitrine/host_snapshot.h"
#include "vitrine/host_streams.h"
#include "vitrine/host_terminal.h"
#include "vitrine/run.h"
#include "vitrine/system_files.h"

namespace vitrine {

// How long the machine has been up when its first program starts: a program may take a clock that reads 0 for a broken
// one (current Go does), and none that booted could show it.
inline constexpr Ticks kUptimeAtStart{600'000'000};  // a minute

// What runs guest instructions.
enum class ProcessorKind : u8 {
  translator,  // real x86-64 code; boots with Wine's user-mode half from the mounts
  kvm,         // the same, by the host's virtualisation
  scripted,    // C++ coroutines; boots bare: no ntdll, services numbered in the order of nt::all_services()
};

class Machine {
 public:
  struct Options {
    const sim::Profile* profile = nullptr;
    u32 processors = 1;
    u32 threads_per_core = 1;
    u32 nodes = 1;
    u64 ram_bytes = 0;
    u64 system_pte_bytes = 0;            // 0: the profile's region
    std::optional<csr::Strategy> csrss;  // absent: the profile's
    u64 seed = 0;
    bool avx512 = false;                   // x86-64-v4, with the host's own results
    std::vector<io::Mount> mounts;         // of C:, system32 included
    std::string registry;                  // text of an earlier run's registry; empty: a fresh one
    std::shared_ptr<io::Overlay> overlay;  // takes what is written below them; null: the host does
    std::array<int, 3> streams{0, 1, 2};
    bool show_output = true;
    ProcessorKind processor_kind = ProcessorKind::translator;
    sim::InputLog* replay = nullptr;  // not null: input comes from there, not from the host
    std::function<void(std::string_view)> notice;
  };
  // The error is one line for the user.
  [[nodiscard]] static std::expected<std::unique_ptr<Machine>, std::string> create(Options options);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  sim::Profile profile;  // laid out for this machine; options.profile is this
  Options options;
  trace::Recorder trace;
  sim::Random random;  // what programs draw
  hal::Machine hal;
  hal::Identity identity;
  ram::GuestRam ram;
  cpu::Translator* translator = nullptr;  // `processor`, when it is one
  cpu::Scripted* scripted = nullptr;      // `processor`, when it is one
  std::unique_ptr<cpu::Backend> processor;
  ke::Kernel kernel;
  mm::PhysicalMemory physical;
  ex::Pool pool;
  ob::ObjectManager objects;
  lpc::Ports ports;
  mm::MemoryManager memory;
  cc::CacheManager cache;
  std::unique_ptr<ps::ProcessManager> processes;
  std::unique_ptr<ps::BalanceSet> balance_set;
  Execution execution;  // who runs now
  HostSnapshot snapshot;
  sim::InputLog input_log;  // what this run learned
  HostStreams streams;
  io::IoManager io;
  std::unique_ptr<io::HostVolume> volume;
  io::HostStream stream_device;
  std::unique_ptr<HostTerminal> terminal;  // null: standard input is none, or this is a replay
  io::Console console;
  io::NullDevice null_device;
  io::NamedPipeDevice pipes;
  io::SocketDevice sockets;
  ob::SyncTypes sync;
  cm::Registry registry;
  std::unique_ptr<csr::Subsystem> csrss;
  std::unique_ptr<ldr::Loader> loader;  // null on a bare machine
  std::unique_ptr<nt::ServiceTable> services;
  std::unique_ptr<nt::Executive> executive;
  std::unique_ptr<nt::ServiceDispatcher> dispatcher;
  std::unique_ptr<nt::IoCompletionSink> completion_sink;

  // Every processor's clock when the machine was made.
  [[nodiscard]] Nanoseconds start_time() const { return start_time_; }
  // Bytes (or the end) of standard input are there: waiting readers get them.
  void input_arrived();
  // NT: a thread in each process on the console runs its handlers [Microsoft: SetConsoleCtrlHandler]. Group 0: every
  // process, else the one with that id. False: nobody could be told.
  bool control_event(abi::ConsoleEvent event, u64 group);

 private:
  Machine(Options options, const sim::Profile& profile, ram::GuestRam ram);
  [[nodiscard]] Status boot();
  [[nodiscard]] Status fill_registry();
  [[nodiscard]] Status make_devices();
  [[nodiscard]] Status make_executive();
  [[nodiscard]] std::unique_ptr<cpu::Backend> make_processor();
  [[nodiscard]] io::ConsoleOptions console_options();

  Nanoseconds start_time_;
  std::string problem_;  // why boot failed, when more can be said than its status
};

}  // namespace vitrine
