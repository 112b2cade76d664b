#include "vitrine/counters.h"

#include <algorithm>

#include "ex/unicode.h"
#include "vitrine/machine.h"

namespace vitrine {
namespace {

double percent(u64 ticks, u64 of) { return of == 0 ? 0 : 100.0 * static_cast<double>(ticks) / static_cast<double>(of); }

std::string name_of(const ps::Thread& thread) {
  const auto extra = thread.process->thread_extras.find(thread.id);
  return extra == thread.process->thread_extras.end() ? std::string() : ex::to_utf8(extra->second.name);
}

}  // namespace

u64 CounterSampler::now_ns() const {
  u64 latest = 0;
  for (u32 p = 0; p < machine_.hal.processor_count(); ++p) latest = std::max(latest, machine_.hal.clock(p).value);
  return latest - machine_.start_time().value;
}

CounterSampler::Seen CounterSampler::advance(std::map<Life, Seen>& all, const Life& life, const Seen& now) {
  Seen& before = all[life];
  const Seen added{now.kernel_ticks - before.kernel_ticks, now.user_ticks - before.user_ticks,
                   now.switches - before.switches};
  before = now;
  return added;
}

// NT: % times are ticks of the interval's ticks, elapsed time counts from the creation time [facts 5.6].
CounterSample CounterSampler::sample() {
  const u64 ticks = machine_.hal.tick_count() - last_tick_;
  last_tick_ = machine_.hal.tick_count();
  const u64 tick_ns = machine_.hal.clock_interval().value;
  const double seconds = static_cast<double>(ticks * tick_ns) / 1e9;
  CounterSample sample{now_ns(), ticks * tick_ns, machine_.hal.processor_count(), {}, {}};
  std::map<Life, Seen> ended_threads;
  ended_threads.swap(threads_);  // only those that are still there stay
  for (const ps::Process& process : machine_.processes->active_processes()) {
    const Seen used = advance(processes_, {process.id, process.create_time.value},
                              {process.pcb.kernel_time, process.pcb.user_time, 0});
    ProcessCounters& counters = sample.processes.emplace_back();
    counters.process_id = process.id;
    counters.image = process.short_name();
    counters.base_priority = process.pcb.base_priority;
    counters.handles = process.handles == nullptr ? 0 : process.handles->count();
    counters.privileged_percent = percent(used.kernel_ticks, ticks);
    counters.user_percent = percent(used.user_ticks, ticks);
    for (const ps::Thread& thread : process.threads) {
      const ke::Thread& tcb = thread.tcb;
      if (tcb.state == ke::ThreadState::terminated) continue;
      ++counters.threads;
      const Life life{thread.id, thread.create_time.value};
      if (const auto known = ended_threads.find(life); known != ended_threads.end()) threads_[life] = known->second;
      const Seen run = advance(threads_, life, {tcb.kernel_time, tcb.user_time, tcb.context_switches});
      const i64 age = machine_.hal.system_time().value - thread.create_time.value;  // 100 ns
      sample.threads.push_back(
          {process.id, thread.id, name_of(thread), thread.start_address, tcb.state, tcb.wait_reason, tcb.priority,
           tcb.base_priority, percent(run.kernel_ticks, ticks), percent(run.user_ticks, ticks),
           seconds == 0 ? 0 : static_cast<double>(run.switches) / seconds, static_cast<double>(age) / 1e7});
    }
  }
  return sample;
}

}  // namespace vitrine
