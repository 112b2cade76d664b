// Execution: who runs now, for whoever needs to stamp an event or find the current stack: mm's ExecutionSource.
#pragma once

#include "hal/machine.h"
#include "ke/kernel.h"
#include "mm/memory_manager.h"
#include "ps/process_manager.h"

namespace vitrine {

class Execution final : public mm::ExecutionSource {
 public:
  Execution(const ke::Kernel& kernel, const hal::Machine& machine) : kernel_(kernel), machine_(machine) {}
  void set_processes(const ps::ProcessManager* processes) { processes_ = processes; }

  [[nodiscard]] mm::ExecutionContext current() const override {
    const u32 processor = kernel_.executing_processor();
    mm::ExecutionContext context{.time_ns = machine_.clock(processor).value, .processor = static_cast<u16>(processor)};
    if (const ps::Thread* thread = processes_ == nullptr ? nullptr : processes_->current()) {
      context.thread_id = thread->id;
      context.space = thread->process->space.get();
      context.teb = thread->teb;
    }
    return context;
  }

 private:
  const ke::Kernel& kernel_;
  const hal::Machine& machine_;
  const ps::ProcessManager* processes_ = nullptr;
};

}  // namespace vitrine
