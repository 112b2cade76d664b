// BalanceSet: the balance set manager and the swapper, two threads of the System process, and what the dispatcher asks
// of them. The manager (priority 16) wakes once a second, with the working-set manager's work, and every fourth time
// wakes the swapper; the swapper (priority 23) takes the kernel stacks of threads that have waited in user mode for 15
// s, the process after its last stack, and brings both back when somebody needs them [facts 6.9].
//
// A stack that is out is in transition: its pages have left the thread, not the memory, as there is no page file to
// write them to; to bring it in costs a soft fault per page. Owns the swapper's event; the threads are the process
// manager's.
#pragma once

#include <functional>
#include <vector>

#include "ke/kernel.h"
#include "ps/process_manager.h"

namespace vitrine::ps {

inline constexpr ke::Priority kBalanceSetPriority = 16;
inline constexpr ke::Priority kSwapperPriority = 23;

class BalanceSet final : public ke::Host {
 public:
  // Both outlive it.
  BalanceSet(ke::Kernel& kernel, const sim::Profile& profile);
  ~BalanceSet() override { kernel_.set_host(nullptr); }
  // Makes both threads. Errors: those of create_system_thread.
  [[nodiscard]] Status start(ProcessManager& processes);

  // Once a second, in the manager's thread. May be empty.
  std::function<void()> working_set_manager;
  [[nodiscard]] u64 stacks_out() const { return stacks_out_; }  // taken so far
  [[nodiscard]] u64 stacks_in() const { return stacks_in_; }

  void request_stack_inswap(ke::Thread& thread) override;
  void request_process_inswap(ke::Process& process) override;

 private:
  Task<Status> manage(ke::Thread* thread);
  Task<Status> swap(ke::Thread* thread);
  void bring_in();
  void take_out();
  void charge_faults(u32 count);

  ke::Kernel& kernel_;
  const sim::Profile& profile_;
  ke::Event swap_event_{ke::EventKind::synchronization};
  std::vector<ke::Process*> processes_wanted_;  // in the order of asking
  std::vector<ke::Process*> emptied_;           // whose last stack went in this pass
  bool take_out_due_ = false;
  u64 stacks_out_ = 0, stacks_in_ = 0;
};

}  // namespace vitrine::ps
