// `vitrine top [options] PROGRAM [ARGUMENTS]`: runs a program and shows what its threads are at: on a terminal as a
// live view, else as snapshots in text on standard error.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>

#include "tools/commands.h"
#include "tools/duration.h"
#include "tools/interrupt.h"
#include "tools/size.h"
#include "tools/top_view.h"
#include "vitrine/run.h"

namespace vitrine::tools {
namespace {

struct Settings {
  u32 processors = 1;
  u64 seed = 0;
  std::string ram = "4G";  // as `run` gives: the same program is then the same run
  std::string every = "100ms";
  double timeout = 0;
  std::vector<std::string> command;
};

constexpr auto kFrame = std::chrono::milliseconds(50);  // a view that changes faster cannot be read
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l", kLeave = "\x1b[?25h\x1b[?1049l", kHome = "\x1b[H",
                           kEndOfLine = "\x1b[K\r\n", kClearRest = "\x1b[J";

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(descriptor, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

// The terminal's other screen, for as long as this lives. What the program writes meanwhile is kept, and shown
// afterwards.
class LiveView {
 public:
  LiveView() : output_(memfd_create("vitrine-top", MFD_CLOEXEC)) { write_all(STDOUT_FILENO, kEnter); }
  LiveView(const LiveView&) = delete;
  LiveView& operator=(const LiveView&) = delete;
  ~LiveView() {
    write_all(STDOUT_FILENO, kLeave);
    char buffer[4096];
    (void)lseek(output_, 0, SEEK_SET);
    for (ssize_t size; (size = read(output_, buffer, sizeof buffer)) > 0;) {
      write_all(STDOUT_FILENO, {buffer, static_cast<std::size_t>(size)});
    }
    close(output_);
  }
  [[nodiscard]] int output() const { return output_; }

  void show(const CounterSample& sample) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < kFrame) return;
    last_ = now;
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) size = {24, 80, 0, 0};
    std::string frame(kHome);
    for (const std::string& line : top_lines(sample, size.ws_row - 1u, size.ws_col))
      frame += line + std::string(kEndOfLine);
    write_all(STDOUT_FILENO, frame + std::string(kClearRest));
  }

 private:
  int output_;
  std::chrono::steady_clock::time_point last_{};
};

void print_snapshot(const CounterSample& sample) {
  for (const std::string& line : top_lines(sample, 0, 0)) fmt::print(stderr, "{}\n", line);
  fmt::print(stderr, "\n");
}

int top(const Settings& settings) {
  const auto every = parse_duration(settings.every);
  if (!every || *every == 0)
    return fail(kExitUsage, fmt::format("--every {}: expected a time such as 20ms or 1.5s", settings.every));
  const auto ram = parse_size(settings.ram);
  if (!ram) return fail(kExitUsage, fmt::format("--ram {}: {}", settings.ram, ram.error()));
  RunOptions options;
  options.ram_bytes = *ram;
  options.processors = settings.processors;
  options.seed = settings.seed;
  options.timeout_seconds = settings.timeout;
  options.program = settings.command.front();
  options.arguments.assign(settings.command.begin() + 1, settings.command.end());
  options.on_notice = [](std::string_view line) { fmt::print(stderr, "vitrine: {}\n", line); };
  options.sample_every_ns = *every;
  const std::atomic<bool>& stop = watch_for_interrupt(SecondInterrupt::waits);  // the terminal has to come back first
  std::expected<RunResult, StartError> result = std::unexpected(StartError{});
  if (isatty(STDOUT_FILENO) != 0) {
    const int no_input = open("/dev/null", O_RDONLY | O_CLOEXEC);  // the keys are not the program's
    {
      LiveView view;
      options.streams = {no_input, view.output(), view.output()};
      options.on_notice = {};
      options.on_sample = [&view](const CounterSample& sample) { view.show(sample); };
      result = run_program(options, &stop);
    }
    close(no_input);
  } else {
    options.on_sample = &print_snapshot;
    result = run_program(options, &stop);
  }
  if (!result) return fail(result.error().exit_code, result.error().message);
  if (!result->explanation.empty()) fmt::print(stderr, "vitrine: {}\n", result->explanation);
  fmt::print(stderr, "vitrine: top: {:.3f} s of virtual time, exit code {:#x}, trace {:016x}\n",
             static_cast<double>(result->statistics.virtual_nanoseconds) / 1e9, result->exit_code, result->trace_hash);
  switch (result->end) {
    case RunEnd::exited:
      return static_cast<int>(result->exit_code & 0xFF);
    case RunEnd::timed_out:
      return kExitTimeout;
    case RunEnd::interrupted:
      return kExitInterrupted;
    default:
      return kExitUsage;
  }
}

}  // namespace

void add_top_command(CLI::App& app, int& exit_code) {
  auto settings = std::make_shared<Settings>();
  CLI::App* command = app.add_subcommand("top", "Run a program and watch its processes and threads");
  command->footer("PROGRAM [ARGUMENTS...] come last. Without a terminal it prints snapshots on standard error.");
  command->add_option("--cpus", settings->processors, "Virtual processors")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_option("--seed", settings->seed, "Varies address layout, processor phase and random numbers")
      ->capture_default_str();
  command->add_option("--ram", settings->ram, "Guest memory, e.g. 512M or 4G")->capture_default_str();
  command->add_option("--every", settings->every, "Virtual time between two looks")->capture_default_str();
  command->add_option("--timeout", settings->timeout, "Seconds of host time after which the run is ended")
      ->check(CLI::NonNegativeNumber);
  command->prefix_command();
  command->callback([command, settings, &exit_code] {
    settings->command = command->remaining();
    if (settings->command.empty() || settings->command.front().starts_with("-")) {
      exit_code =
          fail(kExitUsage,
               "which program? Say `vitrine top PROGRAM.exe [ARGUMENTS]`; `vitrine top --help` lists the options");
      return;
    }
    exit_code = top(*settings);
  });
}

}  // namespace vitrine::tools
