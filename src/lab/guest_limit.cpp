#include "lab/guest_limit.h"

#include <fmt/format.h>

#include "vitrine/host_watch.h"
#include "vitrine/system_files.h"

namespace vitrine::lab {
namespace {

// Looks at the machine as its threads are born. The growth is over when the first of the creators gives up. `stop`
// becomes true when the run is to be cut short.
class GuestWatch {
 public:
  GuestWatch(Machine& machine, ps::Process& process, const GuestLimitOptions& options,
             const std::function<void(const ThreadLimitReport&)>& on_growth_end, std::atomic<bool>& stop)
      : machine_(machine),
        process_(process),
        options_(options),
        on_growth_end_(on_growth_end),
        clock_(0, 0),
        stop_(stop) {
    start_ns_ = now();
    host_bytes_ = host_resident_bytes();
    before_ = resource_uses(machine_, process_);
    threads_before_ = machine_.processes->counts().threads_created + options.population.creators;
    copies_before_ = machine_.memory.books().copy_on_write_faults;
    csrss_before_ = machine_.csrss->statistics();
    machine_.trace.add_listener([this](const trace::Event& event) { observe(event); });
  }
  GuestWatch(const GuestWatch&) = delete;
  GuestWatch& operator=(const GuestWatch&) = delete;

  void finish(GuestLimitReport& report) {
    if (!done_) growth_ended(GrowthEnd::enough);
    report.limit = std::move(report_);
    report.limit.end_host_ns = clock_.elapsed_ns() - report.limit.grow_host_ns;
    report.limit.peak_host_bytes = host_peak_bytes();
    report.csrss_threads = machine_.csrss->statistics().thread_creates - csrss_before_.thread_creates;
    report.csrss_refused = machine_.csrss->statistics().refused - csrss_before_.refused;
    report.copied_pages = machine_.memory.books().copy_on_write_faults - copies_before_;
  }

 private:
  [[nodiscard]] u64 now() const { return machine_.hal.clock(machine_.kernel.executing_processor()).value; }
  [[nodiscard]] u64 threads() const {
    const u64 created = machine_.processes->counts().threads_created;
    return created > threads_before_ ? created - threads_before_ : 0;
  }

  [[nodiscard]] Sample sample() const {
    const csr::Statistics& csrss = machine_.csrss->statistics();
    return {.threads = threads(),
            .virtual_ns = now() - start_ns_,
            .host_ns = clock_.elapsed_ns(),
            .lookups = csrss.lookups - csrss_before_.lookups,
            .visits = csrss.visits - csrss_before_.visits,
            .lock_wait_ns = csrss.lock_wait_ns - csrss_before_.lock_wait_ns};
  }

  void observe(const trace::Event& event) {
    if (done_) return;
    const std::atomic<bool>* interrupt = options_.population.interrupt;
    if (interrupt != nullptr && interrupt->load(std::memory_order_relaxed)) return cut_short(GrowthEnd::interrupted);
    if (event.type == trace::EventType::service_exit) note_failure(event);
    const u64 count = threads();
    if (event.type == trace::EventType::thread_exit && count > 0) {
      const bool enough = count >= options_.population.threads;
      growth_ended(enough ? GrowthEnd::enough : GrowthEnd::refused);
    }
    if (event.type != trace::EventType::thread_create || count == 0 || count % Samples::kFinest != 0) return;
    const Sample at = sample();
    samples_.add(at);
    if (options_.population.on_sample) options_.population.on_sample(at);
    const u64 limit = options_.population.host_limit_bytes;
    if (limit != 0 && host_resident_bytes() > limit) cut_short(GrowthEnd::host_limit);
  }

  void note_failure(const trace::Event& event) {
    const Status status{static_cast<u32>(event.arguments[1])};
    if (is_success(status)) return;
    const std::string_view service = machine_.services->name(static_cast<u32>(event.arguments[0]));
    if (service == "NtCreateThreadEx") report_.status = status;
  }

  void cut_short(GrowthEnd end) {
    stop_ = true;
    growth_ended(end);
  }

  void growth_ended(GrowthEnd end) {
    done_ = true;
    const std::vector<ResourceUse> after = resource_uses(machine_, process_);
    const ResourceUse* by = end == GrowthEnd::refused ? what_refused(before_, after) : nullptr;
    const Sample last = sample();
    samples_.finish(last);
    report_.end = end;
    report_.threads = last.threads;
    report_.processes = 1;
    report_.creators = options_.population.creators;
    report_.largest_process = last.threads;
    report_.virtual_ns = last.virtual_ns;
    report_.grow_host_ns = last.host_ns;
    report_.intervals = samples_.intervals();
    report_.host_bytes = host_resident_bytes() - std::min(host_bytes_, host_resident_bytes());
    report_.peak_host_bytes = host_peak_bytes();
    report_.rows = limit_rows(before_, after, last.threads, last.threads);
    for (const LimitRow& row : report_.rows) {
      if (by != nullptr && by->resource == row.use.resource) report_.bound = row;
    }
    report_.next = next_limit(report_.rows, by == nullptr ? std::nullopt : std::optional(by->resource));
    if (on_growth_end_) on_growth_end_(report_);
  }

  Machine& machine_;
  ps::Process& process_;
  const GuestLimitOptions& options_;
  const std::function<void(const ThreadLimitReport&)>& on_growth_end_;
  HostWatch clock_;
  std::atomic<bool>& stop_;
  u64 start_ns_ = 0, host_bytes_ = 0, threads_before_ = 0, copies_before_ = 0;
  csr::Statistics csrss_before_;
  std::vector<ResourceUse> before_;
  Samples samples_;
  ThreadLimitReport report_;
  bool done_ = false;
};

std::vector<std::string> arguments_of(const GuestLimitOptions& options) {
  std::vector<std::string> arguments{"--creators", std::to_string(options.population.creators), "--stack",
                                     std::to_string(options.population.stack_bytes >> 10)};
  if (options.population.threads != ~0ull) {
    arguments.insert(arguments.end(), {"--threads", std::to_string(options.population.threads)});
  }
  if (options.call == GuestCall::library) arguments.emplace_back("--call");
  if (options.call == GuestCall::patched) arguments.emplace_back("--patch");
  return arguments;
}

}  // namespace

std::expected<GuestLimitReport, std::string> measure_guest_limit(
    const GuestLimitOptions& options, const std::function<void(const ThreadLimitReport&)>& on_growth_end) {
  const auto system = find_system_files(options.run.system32);
  if (!system) return std::unexpected(system.error());
  if (system->own.empty()) {
    return std::unexpected(
        "thread_creator.exe is not beside the tool; build with MinGW installed (tools/install-packages)");
  }
  RunOptions run = options.run;
  run.program = system->own / "thread_creator.exe";
  run.arguments = arguments_of(options);
  GuestLimitReport report;
  std::unique_ptr<GuestWatch> watch;
  std::atomic<bool> stop = false;
  run.on_start = [&](Machine& machine, ps::Process& process) {
    watch = std::make_unique<GuestWatch>(machine, process, options, on_growth_end, stop);
  };
  run.on_end = [&](Machine&) { watch->finish(report); };
  const auto result = run_program(run, &stop);
  if (!result) return std::unexpected(result.error().message);
  report.exit_code = result->exit_code;
  if (result->end != RunEnd::exited && !stop) return std::unexpected("thread_creator.exe: " + result->explanation);
  return report;
}

}  // namespace vitrine::lab
