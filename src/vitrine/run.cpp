#include "vitrine/run.h"

#include <fmt/format.h>

#include "cm/registry_text.h"
#include "vitrine/debugger.h"
#include "vitrine/mounts.h"
#include "vitrine/program_file.h"
#include "vitrine/run_loop.h"
#include "vitrine/run_overlay.h"
#include "vitrine/start_program.h"
#include "vitrine/system_files.h"

namespace vitrine {
namespace {

constexpr int kCouldNotRun = 125;

std::string explain(RunEnd end, const RunOptions& options, const Machine& machine) {
  switch (end) {
    case RunEnd::exited:
      return {};
    case RunEnd::timed_out:
      return fmt::format("ended after {} s (--timeout)", options.timeout_seconds);
    case RunEnd::interrupted:
      return "interrupted";
    case RunEnd::host_limit:
      return fmt::format("ended: the run needs more than {} MiB of host memory (--host-limit)",
                         options.host_limit_bytes >> 20);
    case RunEnd::deadlocked:
      return fmt::format("ended: all {} threads wait and nothing can wake them (deadlock)",
                         machine.processes->counts().threads);
  }
  return {};
}

RunStatistics collect(const Machine& machine, const RunLoop& loop, u64 host_nanoseconds) {
  RunStatistics s;
  s.instructions = loop.instructions();
  s.windows = loop.windows();
  s.system_calls = loop.system_calls();
  s.page_faults = machine.trace.count(trace::EventType::page_fault);
  s.context_switches = machine.trace.count(trace::EventType::context_switch);
  s.events = machine.trace.total();
  const ps::ProcessCounts& counts = machine.processes->counts();
  s.threads_created = counts.threads_created;
  s.processes_created = counts.processes_created;
  s.peak_threads = counts.peak_threads;
  for (u32 p = 0; p < machine.hal.processor_count(); ++p) {
    s.virtual_nanoseconds = std::max(s.virtual_nanoseconds, machine.hal.clock(p).value - machine.start_time().value);
  }
  s.host_nanoseconds = host_nanoseconds;
  s.peak_host_bytes = host_peak_bytes();
  s.guest_frames_used = machine.physical.pfn().resident_bytes() / kPageSize;
  if (machine.translator != nullptr) s.translated_bytes = machine.translator->statistics().host_bytes;
  const auto calls = machine.dispatcher->counts();
  for (u32 number = 0; number < calls.size(); ++number) {
    if (calls[number] != 0) s.services.emplace(machine.services->name(number), calls[number]);
  }
  return s;
}

// Instructions that the virtual processor does not have, named so that a user knows why a program ended with an illegal
// instruction.
void report_unsupported(const Machine& machine, const RunOptions& options) {
  if (!options.on_notice || machine.translator == nullptr) return;
  for (const cpu::Translator::Unsupported& u : machine.translator->unsupported()) {
    options.on_notice(fmt::format(
        "the virtual processor has no {}; the program executed it at {:#x} and got an illegal-instruction exception",
        u.mnemonic, u.address));
  }
}

}  // namespace

namespace {

std::expected<std::shared_ptr<io::Overlay>, StartError> make_overlay(const TemporaryFolder& folder) {
  auto made = io::Overlay::create(folder.path().string());
  if (made) return std::move(*made);
  return std::unexpected(StartError{kCouldNotRun, fmt::format("--overlay: no room in {}: {}; set TMPDIR",
                                                              folder.path().string(), status_name(made.error()))});
}

Machine::Options machine_options(const RunOptions& options, const std::vector<io::Mount>& mounts,
                                 const std::shared_ptr<io::Overlay>& overlay) {
  return {.profile = options.profile,
          .processors = options.processors,
          .threads_per_core = options.threads_per_core,
          .nodes = options.nodes,
          .ram_bytes = options.ram_bytes,
          .system_pte_bytes = options.system_pte_bytes,
          .csrss = options.csrss,
          .seed = options.seed,
          .avx512 = options.avx512,
          .mounts = mounts,
          .registry = options.registry,
          .overlay = overlay,
          .streams = options.streams,
          .show_output = options.show_output,
          .processor_kind =
              options.backend == BackendChoice::kvm ? ProcessorKind::kvm : ProcessorKind::translator,
          .replay = options.replay.get(),
          .notice = options.on_notice};
}

}  // namespace

std::expected<RunResult, StartError> run_program(const RunOptions& options, const std::atomic<bool>* interrupt) {
  const auto system = find_system_files(options.system32);
  if (!system) return std::unexpected(StartError{kCouldNotRun, system.error()});
  if (auto checked = check_program_file(options.program, *system); !checked) return std::unexpected(checked.error());
  const auto folder = make_private_folder();
  if (!folder) return std::unexpected(StartError{kCouldNotRun, folder.error()});

  auto mounts = program_mounts(options, *system, *folder);
  if (!mounts) return std::unexpected(StartError{kCouldNotRun, mounts.error()});

  std::shared_ptr<io::Overlay> overlay;
  if (options.overlay) {
    auto made = make_overlay(*folder);
    if (!made) return std::unexpected(made.error());
    overlay = std::move(*made);
  }

  if (options.replay != nullptr) options.replay->rewind();
  auto made = Machine::create(machine_options(options, *mounts, overlay));
  if (!made) return std::unexpected(StartError{kCouldNotRun, made.error()});
  Machine& machine = **made;
  if (options.on_event) machine.trace.add_listener(options.on_event);
  ThreadHistory history(machine.start_time().value);
  if (options.record_threads) {
    machine.trace.add_listener([&history](const trace::Event& event) { history.observe(event); });
  }
  if (options.on_service) machine.dispatcher->set_trace(options.on_service);

  std::optional<Debugger> debugger;
  if (!options.debug.commands.empty()) debugger.emplace(machine, options.debug);
  const auto process = start_program(machine, options);
  if (!process) return std::unexpected(process.error());
  if (options.on_start) options.on_start(machine, **process);
  RunLoop::Limits limits{options.timeout_seconds, options.host_limit_bytes, interrupt, options.signals,
                         options.check_invariants, {}};
  CounterSampler sampler(machine);
  u64 next_sample_ns = options.sample_every_ns;
  if (debugger) debugger->watch(**process);
  if (debugger || options.sample_every_ns != 0) {
    limits.between_windows = [&] {
      if (debugger) debugger->between_windows();
      if (options.sample_every_ns == 0 || sampler.now_ns() < next_sample_ns) return;
      next_sample_ns = (sampler.now_ns() / options.sample_every_ns + 1) * options.sample_every_ns;
      options.on_sample(sampler.sample());
    };
  }
  RunLoop loop(machine, limits);
  RunResult result;
  if (overlay != nullptr) result.overlay = std::make_shared<RunOverlay>(overlay, *mounts);
  result.end = loop.run(**process);
  if (options.on_end) options.on_end(machine);
  if (debugger) debugger->run_ended(result.end);
  report_unsupported(machine, options);
  result.exit_code = static_cast<u32>((*process)->exit_status);
  if (result.end == RunEnd::exited) machine.trace.absorb(&result.exit_code, sizeof result.exit_code);
  result.trace_hash = machine.trace.hash();
  result.repeats = options.backend == BackendChoice::translator;
  result.registry = cm::to_text(machine.registry);
  result.explanation = explain(result.end, options, machine);
  result.input_log = std::make_shared<sim::InputLog>(std::move(machine.input_log));
  result.statistics = collect(machine, loop, loop.host_nanoseconds());
  history.finish(result.statistics.virtual_nanoseconds);
  result.threads = history.take();
  return result;
}

}  // namespace vitrine
