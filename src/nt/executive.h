// Executive: the parts that system services work on. Plain references; the machine owns them all.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "cc/cache_manager.h"
#include "cm/registry.h"
#include "hal/machine.h"
#include "io/io_manager.h"
#include "io/named_pipe.h"
#include "io/socket_device.h"
#include "ke/kernel.h"
#include "ldr/loader.h"
#include "mm/memory_manager.h"
#include "ob/object_manager.h"
#include "ob/sync_objects.h"
#include "ps/process_manager.h"
#include "sim/profile.h"
#include "sim/random.h"
#include "trace/recorder.h"

namespace vitrine::csr {
class Subsystem;
}

namespace vitrine::nt {

struct ExecutiveState;  // executive_state.h
[[nodiscard]] std::shared_ptr<ExecutiveState> make_executive_state();

struct Executive {
  const sim::Profile& profile;
  hal::Machine& machine;
  trace::Recorder& trace;
  sim::Random& random;  // random numbers that programs ask for
  cpu::Backend& processor;
  ke::Kernel& kernel;
  ex::Pool& pool;
  ob::ObjectManager& objects;
  ob::SyncTypes& sync;  // Event, Mutant, Semaphore, Timer, KeyedEvent
  mm::MemoryManager& memory;
  cc::CacheManager& cache;
  io::IoManager& io;
  io::NamedPipeDevice& pipes;
  io::SocketDevice& sockets;
  cm::Registry& registry;
  ps::ProcessManager& processes;
  ldr::Loader* loader;    // null on a machine without ntdll (scripted processors)
  csr::Subsystem* csrss;  // null: nobody is told of threads and processes
  // A line for the user: a service that nobody implements, a diagnostic that the guest wrote. Never empty.
  std::function<void(std::string_view)> notice;
  // What services keep between calls; made with the Executive.
  std::shared_ptr<ExecutiveState> state = make_executive_state();
};

}  // namespace vitrine::nt
