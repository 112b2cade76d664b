// Recorder: the one sink of trace events. It always keeps the trace hash and the counts; listeners (strace, exporters,
// tests) get each event as it happens. Whoever records says nothing of who listens.
//
// The trace hash is XXH3-64 over the bytes of all events in order: equal hashes mean equal runs.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "trace/event.h"

namespace vitrine::trace {

class Recorder {
 public:
  using Listener = std::function<void(const Event&)>;

  Recorder();
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  void record(const Event& event);
  // Mixes bytes that are part of the outcome but of no event (guest output, exit code) into the hash.
  void absorb(const void* bytes, std::size_t size);
  void add_listener(Listener listener) { listeners_.push_back(std::move(listener)); }
  void remove_listeners() { listeners_.clear(); }

  [[nodiscard]] u64 hash() const;
  [[nodiscard]] u64 count(EventType type) const { return counts_[static_cast<u16>(type)]; }
  [[nodiscard]] u64 total() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::array<u64, static_cast<u16>(EventType::count_of_types)> counts_{};
  std::vector<Listener> listeners_;
};

}  // namespace vitrine::trace
