#include "trace/recorder.h"

#include <xxhash.h>

#include <numeric>

#include "base/check.h"

namespace vitrine::trace {

std::string_view event_name(EventType type) {
  static constexpr std::string_view kNames[] = {
      "process_create", "process_exit", "thread_create",   "thread_exit",  "thread_ready", "context_switch", "wait_begin",
      "wait_end",       "priority_change", "quantum_end",  "clock_tick",   "timer_expire", "apc_deliver",    "service_enter",
      "service_exit",   "page_fault",      "exception",    "file_io",
      "csrss_call",   "csrss_death"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(EventType::count_of_types));
  return kNames[static_cast<u16>(type)];
}

struct Recorder::State {
  XXH3_state_t* xxh = XXH3_createState();
  State() { XXH3_64bits_reset(xxh); }
  ~State() { XXH3_freeState(xxh); }
};

Recorder::Recorder() : state_(std::make_unique<State>()) {}
Recorder::~Recorder() = default;

void Recorder::record(const Event& event) {
  XXH3_64bits_update(state_->xxh, &event, sizeof event);
  ++counts_[static_cast<u16>(event.type)];
  for (const Listener& listener : listeners_) listener(event);
}

void Recorder::absorb(const void* bytes, std::size_t size) { XXH3_64bits_update(state_->xxh, bytes, size); }

u64 Recorder::hash() const { return XXH3_64bits_digest(state_->xxh); }

u64 Recorder::total() const { return std::accumulate(counts_.begin(), counts_.end(), u64{0}); }

}  // namespace vitrine::trace
