// Dispatcher of system services: from a SYSCALL exit to the service and back. It captures the arguments (registers, then the
// guest's stack), runs the service or starts its coroutine, and writes the status to RAX when it ends.
//
// The run loop calls `enter` at the SYSCALL exit and `service_ended` after it resumed a suspended service.
#pragma once

#include <functional>
#include <string_view>

#include "nt/executive.h"
#include "nt/service_table.h"

namespace vitrine::nt {

class ServiceDispatcher {
 public:
  using Trace = std::function<void(std::string_view line)>;  // --strace

  ServiceDispatcher(Executive& executive, ServiceTable& table) : executive_(executive), table_(table) {}

  // Precondition: `thread` is running and stopped at SYSCALL. Afterwards either RAX holds the status, or a Task is suspended in
  // thread.user->service, or the thread has ended.
  void enter(ps::Thread& thread);
  // Precondition: thread.user->service is valid. If it is done, writes the status and drops it.
  void service_ended(ps::Thread& thread);

  void set_trace(Trace trace) { trace_ = std::move(trace); }
  // Calls per service number.
  [[nodiscard]] std::span<const u64> counts() const { return counts_; }

 private:
  void finish(ps::Thread& thread, Status status);
  void refuse(ps::Thread& thread, u32 number);
  void record(ps::Thread& thread, trace::EventType type, u64 a, u64 b = 0, u64 c = 0, u64 d = 0);

  Executive& executive_;
  ServiceTable& table_;
  Trace trace_;
  std::vector<u64> counts_;
};

}  // namespace vitrine::nt
