// The threads that run threaded DPCs: one per processor, bound to it, of priority 31, in the System process
// (KiExecuteDpc). The profile says whether its NT has them (6.0+), the registry whether they are wanted.
#pragma once

#include "ke/kernel.h"
#include "ps/process_manager.h"

namespace vitrine::ps {

inline constexpr ke::Priority kDpcThreadPriority = 31;

// They came with 6.0 [WI5 ch.3].
[[nodiscard]] constexpr bool has_dpc_threads(const sim::Profile& profile) { return profile.version >= sim::kVista; }

// Errors: those of create_system_thread.
[[nodiscard]] Status start_dpc_threads(ke::Kernel& kernel, ProcessManager& processes);

}  // namespace vitrine::ps
