#include "ps/balance_set.h"

namespace vitrine::ps {
namespace {

constexpr i64 kOneSecond = 10'000'000;  // 100 ns
constexpr i64 kSwapPeriodSeconds = 4;   // every fourth time [facts 6.9]
// NT takes 5 stacks a pass while memory suffices [WI6p2 ch.10]; a pass here takes what is due, as threads may be a
// million.
constexpr u32 kStacksPerPass = 1u << 20;
constexpr ke::WaitParameters kSystemWait{ke::WaitReason::executive, ke::Mode::kernel, false, std::nullopt};

}  // namespace

BalanceSet::BalanceSet(ke::Kernel& kernel, const sim::Profile& profile) : kernel_(kernel), profile_(profile) {
  kernel_.set_host(this);
}

Status BalanceSet::start(ProcessManager& processes) {
  const auto manager =
      processes.create_system_thread(kBalanceSetPriority, [this](ke::Thread* thread) { return manage(thread); });
  if (!manager) return manager.error();
  const auto swapper =
      processes.create_system_thread(kSwapperPriority, [this](ke::Thread* thread) { return swap(thread); });
  return swapper ? Status::success : swapper.error();
}

// NT: KeBalanceSetManager. It ends when its wait is aborted.
Task<Status> BalanceSet::manage(ke::Thread* thread) {
  for (;;) {
    const Status status = co_await kernel_.wait_single(thread, &kernel_.balance_timer(), kSystemWait);
    if (status != Status::success) co_return status;
    if (working_set_manager) working_set_manager();
    if (kernel_.interrupt_time().value / kOneSecond % kSwapPeriodSeconds == 0) {
      take_out_due_ = true;
      kernel_.set_event(swap_event_);
    }
  }
}

// NT: KeSwapProcessOrStack: what was asked for comes in before anything goes out.
Task<Status> BalanceSet::swap(ke::Thread* thread) {
  for (;;) {
    const Status status = co_await kernel_.wait_single(thread, &swap_event_.header, kSystemWait);
    if (status != Status::success) co_return status;
    bring_in();
    if (std::exchange(take_out_due_, false)) take_out();
  }
}

void BalanceSet::bring_in() {
  for (ke::Process* process : std::exchange(processes_wanted_, {})) {
    charge_faults(1);
    kernel_.process_inswapped(*process);
  }
  while (ke::Thread* thread = kernel_.first_inswap()) {
    charge_faults(profile_.stack.pages);
    ++stacks_in_;
    kernel_.stack_inswapped(*thread);
  }
}

void BalanceSet::take_out() {
  const u32 ticks =
      static_cast<u32>(profile_.scheduler.stack_protect_seconds * kOneSecond / profile_.scheduler.clock_interval_100ns);
  const auto swapped = [](void* context, ke::Thread& thread) {
    auto& self = *static_cast<BalanceSet*>(context);
    ++self.stacks_out_;
    if (thread.process->stack_count == 0) self.emptied_.push_back(thread.process);
  };
  (void)kernel_.outswap_stacks(ticks, kStacksPerPass, swapped, this);
  for (ke::Process* process : std::exchange(emptied_, {})) kernel_.outswap_process(*process);
}

void BalanceSet::charge_faults(u32 count) {
  kernel_.charge_picoseconds(kernel_.executing_processor(), count * profile_.costs.page_fault.picoseconds,
                             ke::Mode::kernel);
}

void BalanceSet::request_stack_inswap(ke::Thread&) { kernel_.set_event(swap_event_); }

void BalanceSet::request_process_inswap(ke::Process& process) {
  processes_wanted_.push_back(&process);
  kernel_.set_event(swap_event_);
}

}  // namespace vitrine::ps
