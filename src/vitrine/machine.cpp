#include "vitrine/machine.h"

#include <fmt/format.h>

#include "cm/initial_keys.h"
#include "cm/multimedia_keys.h"
#include "cm/registry_read.h"
#include "cm/registry_text.h"
#include "mm/section.h"
#include "nt/executive_state.h"
#include "ob/standard_directories.h"
#include "ps/dpc_threads.h"
#include "ps/job.h"
#include "ram/shared_ram.h"
#include "vitrine/tear_down.h"
#include "win32k/subsystem.h"

namespace vitrine {
namespace {

// What ldr found in ntdll. Without ntdll: every service, by name.
std::vector<ldr::Stub> exported_stubs(const ldr::Loader* loader) {
  if (loader != nullptr) return loader->stubs();
  std::vector<ldr::Stub> stubs;
  for (const nt::Service* service : nt::all_services())
    stubs.push_back({static_cast<u32>(stubs.size()), std::string(service->name)});
  return stubs;
}

std::vector<std::string_view> service_names() {
  std::vector<std::string_view> names;
  for (const nt::Service* service : nt::all_services()) names.push_back(service->name);
  return names;
}

// Less lets some program start, but Wine's DLLs fail in the middle of their initialisation with words that explain
// nothing.
constexpr u64 kLeastRamBytes = 16ull << 20;
Machine::Options with_profile(Machine::Options options, const sim::Profile& profile) {
  options.profile = &profile;
  return options;
}

// NT: threaded DPCs are on unless this value is 0 [WDK "Introduction to Threaded DPCs"].
bool wants_dpc_threads(const cm::Registry& registry, const sim::Profile& profile) {
  constexpr std::u16string_view kKey = u"\\Registry\\Machine\\System\\ControlSet001\\Control\\Session Manager\\Kernel";
  return ps::has_dpc_threads(profile) && cm::read_dword(registry, kKey, u"ThreadDpcEnable").value_or(1) != 0;
}

// NT: the multimedia class scheduler came with 6.0, as threaded DPCs did. Its thread begins with the first registration.
Status make_multimedia(Machine& machine) {
  if (!ps::has_dpc_threads(machine.profile)) return Status::success;
  nt::ExecutiveState& state = *machine.executive->state;
  state.multimedia = std::make_unique<ke::MultimediaScheduler>(machine.kernel, machine.profile.scheduler.clock_interval_100ns);
  const auto start = [&machine, &scheduler = *state.multimedia] {
    scheduler.set_responsiveness(cm::multimedia_responsiveness(machine.registry));
    const auto thread = machine.processes->create_system_thread(ke::MultimediaScheduler::kOwnPriority,
                                                                [&scheduler](ke::Thread* self) { return scheduler.run(self); });
    if (!thread) return thread.error();
    // On one processor, or its timers would count the ticks of several, whose clocks do not tick at the same moment.
    const auto bound = machine.kernel.set_affinity((*thread)->tcb, 1);
    return bound ? Status::success : bound.error();
  };
  const auto find = [&machine](std::u16string_view name) { return cm::multimedia_task(machine.registry, name); };
  state.multimedia_device = std::make_unique<io::MultimediaDevice>(
      io::MultimediaDevice::Dependencies{machine.io, *state.multimedia, find, start});
  return machine.io.add_device(u"\\Device\\MMCSS", *state.multimedia_device);
}

constexpr const char* kTooLittleRam = "--ram is too small to start a program; give it at least 16M";

}  // namespace

Machine::Machine(Options options_, const sim::Profile& profile_, ram::GuestRam ram_)
    : profile(profile_),
      options(with_profile(std::move(options_), profile)),
      random(options.seed, "guest"),
      hal({.processor_count = options.processors,
           .threads_per_core = options.threads_per_core,
           .nodes = options.nodes,
           .seed = options.seed,
           .clock_interval_100ns = options.profile->scheduler.clock_interval_100ns,
           .uptime = kUptimeAtStart}),
      identity(hal, options.profile->costs.instruction.picoseconds, options.avx512),
      ram(std::move(ram_)),
      processor(make_processor()),
      kernel(*options.profile, hal, trace, options.processors),
      physical(ram, *options.profile, 0),
      pool(*options.profile, &physical),
      objects(*options.profile, pool),
      ports(objects, kernel, hal),
      memory({*options.profile, physical, pool, *processor, trace}),
      cache(memory, pool),
      execution(kernel, hal),
      snapshot(hal),
      streams(trace, options.streams, options.show_output,
              options.replay != nullptr ? HostStreams::Source::replay : HostStreams::Source::host,
              options.replay != nullptr ? *options.replay : input_log),
      io(kernel, objects),
      stream_device(io, streams, streams, streams.kinds()),
      terminal(options.replay != nullptr ? nullptr : HostTerminal::open(options.streams[0])),
      console(io, streams, streams, console_options()),
      pipes(io),
      sockets(io),
      sync(objects, kernel),
      registry(objects, [this] { return kernel.system_time().value; }) {}

std::unique_ptr<cpu::Backend> Machine::make_processor() {
  if (options.processor_kind == ProcessorKind::scripted) {
    auto made = cpu::make_scripted(ram);
    scripted = made.get();
    return made;
  }
  if (options.processor_kind == ProcessorKind::kvm) {
    auto made = cpu::make_kvm(ram, identity, options.processors,
                              {.instruction_picoseconds = std::max<u64>(profile.costs.instruction.picoseconds, 1)});
    VITRINE_CHECK(made.has_value());  // `create` has asked
    return std::move(*made);
  }
  auto made = cpu::make_translator(ram, identity, options.processors, {.avx512 = options.avx512});
  translator = made.get();
  return made;
}

io::ConsoleOptions Machine::console_options() {
  io::ConsoleOptions console_options;
  // It writes to whichever stream is the terminal: with output redirected, standard error still is.
  const bool output = streams.kinds().output == io::StreamKind::terminal;
  console_options.sink = output ? io::HostOutput::Sink::standard_output : io::HostOutput::Sink::standard_error;
  console_options.terminal = terminal.get();
  const io::ConsoleSize size = terminal_size(options.streams);
  input_log.terminal_columns = static_cast<u16>(size.width);
  input_log.terminal_rows = static_cast<u16>(size.height);
  const sim::InputLog& source = options.replay != nullptr ? *options.replay : input_log;
  if (source.terminal_columns != 0) {
    console_options.size = {static_cast<i16>(source.terminal_columns), static_cast<i16>(source.terminal_rows)};
  }
  return console_options;
}

// In an order that the members' own does not give: programs and files before what they stand on.
Machine::~Machine() {
  tear_down(*this);
  executive.reset();
  loader.reset();
  csrss.reset();
  objects.empty_directories();
  processes.reset();
}

std::expected<std::unique_ptr<Machine>, std::string> Machine::create(Options options) {
  const bool real_code = options.processor_kind != ProcessorKind::scripted, kvm = options.processor_kind == ProcessorKind::kvm;
  if (real_code && !cpu::host_supports_translator()) {
    return std::unexpected("this processor lacks AVX2, BMI2 or FMA (x86-64-v3), which the virtual processor has");
  }
  if (real_code && options.ram_bytes < kLeastRamBytes) return std::unexpected(kTooLittleRam);
  if (kvm) {
    if (std::string problem = cpu::kvm_problem(options.ram_bytes); !problem.empty()) return std::unexpected(std::move(problem));
  }
  auto ram = kvm ? ram::create_shared_ram(options.ram_bytes) : ram::GuestRam::create(options.ram_bytes);
  if (!ram) return std::unexpected(fmt::format("--ram: {}", ram.error()));
  const auto profile = sim::lay_out(*options.profile, {options.ram_bytes, options.system_pte_bytes});
  if (!profile) return std::unexpected(fmt::format("--system-ptes: {}", profile.error()));
  std::unique_ptr<Machine> machine(new Machine(std::move(options), *profile, std::move(*ram)));
  if (const Status status = machine->boot(); !is_success(status)) {
    if (!machine->problem_.empty()) return std::unexpected(machine->problem_);
    const bool memory =
        status == Status::no_memory || status == Status::commitment_limit || status == Status::insufficient_resources;
    if (memory) return std::unexpected(kTooLittleRam);
    return std::unexpected(fmt::format("the machine did not start: {}", status_name(status)));
  }
  return machine;
}

Status Machine::boot() {
  start_time_ = hal.clock(0);
  VITRINE_TRY(ob::make_standard_directories(objects));
  objects.register_type(mm::section_type_traits(options.profile->sizes.section_object));
  ps::ProcessManager::Dependencies dependencies{*options.profile, kernel, hal,   objects,
                                                memory,           pool,   trace, options.seed};
  // Wine's DLLs need the range that current Windows gives them (decision 0011); without them the profile's is right.
  dependencies.profile_user_range = options.processor_kind == ProcessorKind::scripted;
  auto manager = ps::ProcessManager::create(dependencies);
  if (!manager) return manager.error();
  processes = std::move(*manager);
  execution.set_processes(processes.get());
  memory.set_execution_source(&execution);
  memory.set_page_initializer(processes.get());
  balance_set = std::make_unique<ps::BalanceSet>(kernel, *options.profile);
  balance_set->working_set_manager = [this, seconds = 0u]() mutable {
    if (++seconds % ps::kTimeLimitSeconds == 0) processes->jobs().check_time_limits();
  };
  VITRINE_TRY(balance_set->start(*processes));
  VITRINE_TRY(make_devices());
  VITRINE_TRY(fill_registry());
  if (wants_dpc_threads(registry, profile)) VITRINE_TRY(ps::start_dpc_threads(kernel, *processes));
  auto subsystem = csr::Subsystem::create({*options.profile, kernel, hal, objects, *processes, ports, trace},
                                          options.csrss.value_or(csr::default_strategy(*options.profile)));
  if (!subsystem) return subsystem.error();
  csrss = std::move(*subsystem);
  if (options.processor_kind == ProcessorKind::scripted) return make_executive();
  const std::vector<std::string_view> names = service_names();
  auto made = ldr::Loader::create({kernel, hal, memory, io, objects, *processes, ram, options.seed, names, options.avx512});
  if (!made) return made.error();
  loader = std::move(*made);
  return make_executive();
}

Status Machine::fill_registry() {
  if (options.registry.empty()) {
    return cm::fill_initial_keys(
        registry,
        {.user = se::make_user_token(1, false).user, .user_name = u"vitrine", .processors = options.processors});
  }
  const auto added = cm::add_from_text(registry, options.registry);
  if (added) return Status::success;
  problem_ = fmt::format("--registry: the file is damaged at line {}: {}; mend it, or delete it to begin anew",
                         added.error().line, added.error().message);
  return Status::registry_corrupt;
}

Status Machine::make_devices() {
  const io::VolumeOptions drive_c{.overlay = options.overlay};
  auto host_volume = io::HostVolume::create(options.mounts, drive_c, snapshot);
  if (!host_volume) return host_volume.error();
  volume = std::move(*host_volume);
  volume->set_memory_manager(&memory);
  volume->set_cache_manager(&cache);
  volume->set_io_manager(&io);
  VITRINE_TRY(io.add_device(drive_c.device_name, *volume, u"\\??\\C:"));
  VITRINE_TRY(io.add_device(u"\\Device\\Stream", stream_device));
  VITRINE_TRY(io.add_device(u"\\Device\\ConDrv", console));
  console.set_event_handler([this](abi::ConsoleEvent event, u32 group) { (void)control_event(event, group); });
  VITRINE_TRY(io.add_device(u"\\Device\\Null", null_device));
  VITRINE_TRY(io.add_device(u"\\Device\\NamedPipe", pipes));
  VITRINE_TRY(io.add_device(u"\\Device\\Afd", sockets));
  VITRINE_TRY(objects.make_symbolic_link(u"\\??\\C:", drive_c.device_name));
  VITRINE_TRY(objects.make_symbolic_link(u"\\??\\NUL", u"\\Device\\Null"));
  VITRINE_TRY(objects.make_symbolic_link(u"\\??\\PIPE", u"\\Device\\NamedPipe"));
  VITRINE_TRY(objects.make_symbolic_link(u"\\??\\CON", u"\\Device\\ConDrv\\Console"));
  VITRINE_TRY(objects.make_symbolic_link(u"\\??\\CONIN$", u"\\Device\\ConDrv\\CurrentIn"));
  return objects.make_symbolic_link(u"\\??\\CONOUT$", u"\\Device\\ConDrv\\CurrentOut");
}

Status Machine::make_executive() {
  services = std::make_unique<nt::ServiceTable>(exported_stubs(loader.get()));
  executive = std::make_unique<nt::Executive>(nt::Executive{
      *options.profile, hal, trace, random, *processor, kernel, pool, objects, sync, memory, cache, io, pipes, sockets,
      registry, *processes, loader.get(), csrss.get(), options.notice ? options.notice : [](std::string_view) {}});
  executive->state->wait_packets = std::make_unique<io::WaitPackets>(objects, kernel);
  executive->state->worker_factories =
      std::make_unique<ps::WorkerFactories>(ps::WorkerFactories::Dependencies{kernel, objects, io, *processes});
  auto win32k = win32k::Subsystem::create({kernel, objects, *processes});
  if (!win32k) return win32k.error();
  executive->state->win32.subsystem = std::move(*win32k);
  VITRINE_TRY(make_multimedia(*this));
  dispatcher = std::make_unique<nt::ServiceDispatcher>(*executive, *services);
  completion_sink = std::make_unique<nt::IoCompletionSink>(*executive);
  io.set_completion_sink(completion_sink.get());
  processes->on_thread_rundown = [this](ps::Thread& thread) {
    // In NT's order: win32k's callout, requests, executive timers [facts 5.14 steps 6 and 7].
    executive->state->win32.thread_ends(thread);
    io.cancel_thread(thread.tcb);
    sync.rundown_thread(thread.tcb);
    if (executive->state->multimedia_device != nullptr) executive->state->multimedia_device->thread_ends(thread.tcb);
  };
  return Status::success;
}

bool Machine::control_event(abi::ConsoleEvent event, u64 group) {
  std::vector<ob::Ref<ps::Process>> told;
  for (ps::Process& process : processes->active_processes()) {
    if (process.entry_points.control_routine != 0 && (group == 0 || process.id == group)) told.emplace_back(process);
  }
  bool any = false;
  for (const auto& process : told) {
    const auto thread = processes->create_thread(
        *process, {.start_address = process->entry_points.control_routine, .argument = static_cast<u64>(event)});
    any |= thread.has_value();
  }
  return any;
}

void Machine::input_arrived() {
  stream_device.input_arrived();
  console.input_arrived();
}

}  // namespace vitrine
