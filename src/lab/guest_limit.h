// The experiment of seed 001 done by a Windows program: src/guest/thread_creator creates the threads, and the machine
// is watched from outside.
#pragma once

#include <expected>
#include <string>

#include "lab/thread_limit.h"
#include "vitrine/run.h"

namespace vitrine::lab {

// What the program does about CSRSS.
enum class GuestCall : u8 {
  kernel,   // nothing: the kernel tells CSRSS for it, as for every program
  library,  // it tells CSRSS itself, through csrclient.dll
  patched,  // the same with the call overwritten by no-ops: the seed's way out
};

struct GuestLimitOptions {
  RunOptions run;                // machine and standard streams; program, arguments and hooks are filled in here
  PopulationOptions population;  // stack, creators, threads, limits and hooks
  GuestCall call = GuestCall::kernel;
};

struct GuestLimitReport {
  ThreadLimitReport limit;
  u64 csrss_threads = 0, csrss_refused = 0;  // that CSRSS was told of, and would not take
  u64 copied_pages = 0;                      // by copy-on-write, since the program started
  u32 exit_code = 0;
};

// `on_growth_end` (may be empty) gets the report when the threads exist, in the middle of the run, which then goes on
// until the program has ended or, after an interruption or with the host short of memory, is cut short. The error is
// one line for the user.
[[nodiscard]] std::expected<GuestLimitReport, std::string> measure_guest_limit(
    const GuestLimitOptions& options, const std::function<void(const ThreadLimitReport&)>& on_growth_end);

}  // namespace vitrine::lab
