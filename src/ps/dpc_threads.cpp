#include "ps/dpc_threads.h"

namespace vitrine::ps {

Status start_dpc_threads(ke::Kernel& kernel, ProcessManager& processes) {
  for (u32 number = 0; number < kernel.processor_count(); ++number) {
    const auto thread = processes.create_system_thread(
        kDpcThreadPriority, [&kernel, number](ke::Thread* self) { return kernel.run_threaded_dpcs(self, number); });
    if (!thread) return thread.error();
    // It has not run: binding it is what decides where it first does.
    if (const auto bound = kernel.set_affinity((*thread)->tcb, ke::AffinityMask{1} << number); !bound)
      return bound.error();
    if (const auto set = kernel.set_ideal_processor((*thread)->tcb, static_cast<u8>(number)); !set) return set.error();
  }
  return Status::success;
}

}  // namespace vitrine::ps
