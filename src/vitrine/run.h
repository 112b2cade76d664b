// The embedding API: describe a run, run it, read what came of it. `vitrine run` is a thin shell over this.
#pragma once

#include <array>
#include <atomic>
#include <expected>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "csr/strategy.h"
#include "sim/input_log.h"
#include "sim/profile.h"
#include "trace/event.h"
#include "vitrine/counters.h"
#include "vitrine/thread_history.h"

namespace vitrine::kd {
struct Report;
}
namespace vitrine::ps {
struct Process;
}

namespace vitrine {

class Machine;
class RunOverlay;

// A host folder that the guest sees.
struct Mount {
  std::string guest_path;  // `C:\work`
  std::filesystem::path host_folder;
  bool read_only = false;
};

// When and what kd looks at. A run that does not exit (time-out, deadlock, interruption) is looked at when it ends, too.
struct DebugOptions {
  std::string commands;         // separated by semicolons; empty: no kd. Valid: kd::check_commands
  std::optional<u64> at_ns;     // virtual time since the start
  std::string when;             // `thread_exit`, `exception`, `deadlock`, `service:NtX`, each with `:THREAD` behind it if
                                // wanted (id or name); the first time only. Empty, and no at_ns: when the program exits
  // `moment` says in words when it looked. Called at each look.
  std::function<void(std::string_view moment, const std::vector<kd::Report>& reports)> show;
};

// Counted by signal handlers, seen by the run loop between windows.
struct HostSignals {
  std::atomic<u32> control_c{0};  // Ctrl-C's that are the program's own to handle
  std::atomic<u32> resized{0};    // the terminal has, or may have, another size
};

// What runs guest code (docs/decisions/0031).
enum class BackendChoice : u8 {
  translator,  // deterministic
  kvm,         // native speed; no run is like the other, and trace hashes mean nothing
};

struct RunOptions {
  std::filesystem::path program;        // host path of the .exe
  std::vector<std::string> arguments;   // UTF-8, without the program's name
  const sim::Profile* profile = sim::find_profile(sim::kDefaultProfile);
  u32 processors = 1;                   // 1..64
  u32 threads_per_core = 1;             // SMT siblings and NUMA nodes among them (hal::Topology)
  u32 nodes = 1;
  u64 ram_bytes = 1ull << 30;
  u64 system_pte_bytes = 0;             // 0: the profile's region of system PTEs
  std::optional<csr::Strategy> csrss;   // how CSRSS finds threads; absent: as the profile's Windows does
  u64 seed = 0;
  BackendChoice backend = BackendChoice::translator;
  bool avx512 = false;                  // the program sees AVX-512; needs cpu::host_supports_avx512
  double timeout_seconds = 0;           // host time; 0: none
  u64 host_limit_bytes = 0;             // 0: none
  std::filesystem::path system32;       // empty: found
  std::filesystem::path current_folder;  // becomes C:\work; empty: the host process's own
  std::vector<Mount> mounts;            // besides the defaults (vitrine/mounts.h), or in place of one
  std::string guest_current_folder = "C:\\work";  // where the program starts
  std::map<std::string, std::string> environment;  // added to the fixed default environment
  std::string registry;                            // RunResult::registry of an earlier run; empty: a fresh one
  bool overlay = false;     // nothing that the program writes below mounts reaches the host; see RunResult::overlay
  bool show_output = true;  // false: guest output goes nowhere (second run of --verify)
  bool check_invariants = false;
  bool record_threads = false;            // fill RunResult::threads
  DebugOptions debug;
  std::array<int, 3> streams{0, 1, 2};    // host descriptors of standard input, output, error
  std::shared_ptr<sim::InputLog> replay;  // not null: standard input comes from an earlier run's log
  const HostSignals* signals = nullptr;   // null: none of them will come
  std::function<void(const trace::Event&)> on_event;  // may be empty
  u64 sample_every_ns = 0;                            // virtual time between calls of on_sample; 0: none
  std::function<void(const CounterSample&)> on_sample;
  // For whoever watches the machine itself: the program is about to start, and the run has ended. May be empty.
  std::function<void(Machine&, ps::Process&)> on_start;
  std::function<void(Machine&)> on_end;
  std::function<void(std::string_view)> on_service;   // --strace lines, may be empty
  std::function<void(std::string_view)> on_notice;    // one line for the user: a missing service, a guest diagnostic
};

enum class RunEnd : u8 {
  exited,          // the program ended; exit_code is its own
  timed_out,       // --timeout
  interrupted,     // SIGINT or SIGTERM
  host_limit,      // --host-limit
  deadlocked,      // every thread waits for ever and nothing outside can wake one
};

struct RunStatistics {
  u64 instructions = 0, windows = 0, system_calls = 0, page_faults = 0, context_switches = 0, events = 0;
  u64 threads_created = 0, processes_created = 0, peak_threads = 0;
  u64 virtual_nanoseconds = 0, host_nanoseconds = 0;
  u64 peak_host_bytes = 0, guest_frames_used = 0, translated_bytes = 0;
  std::map<std::string, u64> services;  // calls by name
};

struct RunResult {
  RunEnd end = RunEnd::exited;
  u32 exit_code = 0;
  u64 trace_hash = 0;
  bool repeats = true;  // false: another run has another trace (BackendChoice::kvm)
  RunStatistics statistics;
  std::vector<ThreadRecord> threads;  // every thread that existed, by birth; empty unless record_threads
  std::shared_ptr<sim::InputLog> input_log;  // what the run learned from outside, for a replay
  std::string registry;                      // as the run left it, as text, without volatile keys
  std::shared_ptr<RunOverlay> overlay;       // what the program would have changed; null without RunOptions::overlay
  std::string explanation;                   // one line where `end` is not exited
};

// What kept a run from starting. `exit_code` is the tool's documented one (docs/running.md).
struct StartError {
  int exit_code;
  std::string message;  // one line: what is wrong and what to do next
};

// Runs the program to its end. Several runs may exist side by side; `interrupt`, where given, ends the run soon after it becomes true.
[[nodiscard]] std::expected<RunResult, StartError> run_program(const RunOptions& options,
                                                               const std::atomic<bool>* interrupt = nullptr);

}  // namespace vitrine
