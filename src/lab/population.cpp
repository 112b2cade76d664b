#include "lab/population.h"

#include <algorithm>

namespace vitrine::lab {
namespace {

constexpr u64 kCurrentProcess = ~0ull, kCurrentThread = ~1ull;
constexpr u64 kAllAccess = 0x1F'FFFF;
constexpr u64 kCreateSuspended = 1;

}  // namespace

Population::Population(LabMachine& lab, const PopulationOptions& options)
    : lab_(lab), machine_(lab.machine()), options_(options), loop_(machine_, limits()) {
  sleeper_ = machine_.scripted->register_program(
      [](cpu::ScriptContext& context) -> cpu::Script { (void)co_await context.compute(1); });
  start_ns_ = now();
  csrss_at_start_ = machine_.csrss->statistics();
}

RunLoop::Limits Population::limits() {
  RunLoop::Limits limits;
  limits.host_bytes = options_.host_limit_bytes;
  limits.interrupt = &stop_;  // ours, for a creator to leave the loop with; the user's is looked at below
  limits.between_windows = [this] {
    if (options_.interrupt == nullptr || !options_.interrupt->load(std::memory_order_relaxed)) return;
    asked_to_stop_ = true;
    stop_ = true;
  };
  return limits;
}

u64 latest_clock(const Machine& machine) {
  u64 latest = 0;
  for (u32 i = 0; i < machine.hal.processor_count(); ++i) latest = std::max(latest, machine.hal.clock(i).value);
  return latest;
}

Sample Population::sample() const {
  const csr::Statistics& csrss = machine_.csrss->statistics();
  return {.threads = threads_,
          .virtual_ns = now() - start_ns_,
          .host_ns = loop_.host_nanoseconds(),
          .lookups = csrss.lookups - csrss_at_start_.lookups,
          .visits = csrss.visits - csrss_at_start_.visits,
          .lock_wait_ns = csrss.lock_wait_ns - csrss_at_start_.lock_wait_ns};
}

void Population::made(Brood& brood) {
  ++brood.threads;
  if (++threads_ % options_.sample_every == 0 && options_.on_sample) options_.on_sample(sample());
}

void Population::refused(Brood& brood, Status status) {
  if (brood.full) return;
  brood.full = true;
  refusal_.status = status;
  refusal_.uses = resource_uses(machine_, *brood.process);
  const ResourceUse* by = what_refused(uses_before_, refusal_.uses);
  refusal_.resource = by == nullptr ? std::nullopt : std::optional(by->resource);
}

// Values and a pointer to the experiment, which outlives every script.
cpu::Script Population::create_threads(cpu::ScriptContext& context, Population* self, Brood* brood) {
  const u32 create = LabMachine::service("NtCreateThreadEx"), close = LabMachine::service("NtClose");
  const Va slot = context.initial(cpu::Gpr::rsp) - 0x100;
  (void)co_await context.store(slot, 0);
  while (!brood->full && self->claimed_ < self->options_.threads) {
    ++self->claimed_;
    const u64 status = co_await context.syscall(create, slot, kAllAccess, 0, kCurrentProcess, self->sleeper_, 0,
                                                kCreateSuspended, 0, kPageSize, self->options_.stack_bytes, 0);
    if (status != 0) {
      --self->claimed_;
      self->refused(*brood, Status{static_cast<u32>(status)});
      break;
    }
    const u64 handle = co_await context.load(slot);
    (void)co_await context.syscall(close, handle);
    self->made(*brood);
    // Windows are measured in instructions, and a creation is a handful of them that takes long: without this one
    // processor would create thousands before the next one's turn.
    if (self->machine_.hal.processor_count() > 1) (void)co_await context.pause();
  }
  // The last one leaves the run loop: until then another may be between a creation and its count.
  if (++brood->parked == brood->creators) self->stop_ = true;
  const u32 suspend = LabMachine::service("NtSuspendThread");
  for (;;) (void)co_await context.syscall(suspend, kCurrentThread, 0);
}

Status Population::add_process() {
  auto process = lab_.new_process();
  if (!process) return process.error();
  Brood& brood = broods_.emplace_back(Brood{.process = std::move(*process)});
  uses_before_ = resource_uses(machine_, *brood.process);
  const Va entry = machine_.scripted->register_program(
      [this, &brood](cpu::ScriptContext& context) { return create_threads(context, this, &brood); });
  for (u32 i = 0; i < options_.creators; ++i) {
    const auto creator = lab_.start_windows(*brood.process, entry);
    if (creator) {
      ++brood.creators;
      continue;
    }
    if (i == 0) return creator.error();
    refused(brood, creator.error());
    break;
  }
  // With the creators, so that what follows is the threads' alone.
  if (uses_at_start_.empty()) uses_at_start_ = resource_uses(machine_, *brood.process);
  return Status::success;
}

GrowthEnd Population::grow() {
  while (broods_.size() < options_.processes) {
    stop_ = false;
    const std::vector<ResourceUse> before = uses_before_;
    if (const Status status = add_process(); !is_success(status)) {
      // The process itself, or its first thread, found no room any more.
      if (!before.empty()) uses_before_ = before;
      if (!broods_.empty()) {
        broods_.back().full = false;
        refused(broods_.back(), status);
      }
      return GrowthEnd::refused;
    }
    const RunEnd end = loop_.run(*broods_.front().process);
    if (end == RunEnd::host_limit || asked_to_stop_) {
      refusal_ = {Status::success, std::nullopt, resource_uses(machine_, *broods_.back().process)};
      return end == RunEnd::host_limit ? GrowthEnd::host_limit : GrowthEnd::interrupted;
    }
    if (!broods_.back().full) {
      refusal_ = {Status::success, std::nullopt, resource_uses(machine_, *broods_.back().process)};
      return GrowthEnd::enough;
    }
    if (refusal_.resource != Resource::user_address_space) return GrowthEnd::refused;
  }
  return GrowthEnd::refused;
}

bool Population::end() {
  stop_ = false;
  for (Brood& brood : broods_) {
    (void)machine_.processes->terminate_process(*brood.process, Status::success, nullptr);
  }
  for (Brood& brood : broods_) {
    const RunEnd end = loop_.run(*brood.process);
    if (end != RunEnd::exited) return false;
  }
  loop_.settle();
  for (Brood& brood : broods_) brood.process.reset();
  return true;
}

}  // namespace vitrine::lab
