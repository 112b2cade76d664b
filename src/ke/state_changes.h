// The changes of state that a thread makes in its life, and which of them NT knows. The kernel notes each pair that
// occurs, once and for all threads; the invariant checker refuses a pair that NT has not.
#pragma once

#include <array>
#include <initializer_list>

#include "ke/types.h"

namespace vitrine::ke {

inline constexpr u32 kThreadStates = 9;

// A set of pairs (from, to).
class StateChanges {
 public:
  struct Pair {
    ThreadState from, to;
    bool operator==(const Pair&) const = default;
  };
  constexpr StateChanges() = default;
  constexpr StateChanges(std::initializer_list<Pair> pairs) {
    for (const Pair pair : pairs) add(pair);
  }
  constexpr void add(Pair pair) { to_[static_cast<u8>(pair.from)] |= static_cast<u16>(1u << static_cast<u8>(pair.to)); }
  // `state` becomes `to`, and the pair is noted.
  void change(ThreadState& state, ThreadState to) {
    add({state, to});
    state = to;
  }
  [[nodiscard]] constexpr bool contains(Pair pair) const {
    return (to_[static_cast<u8>(pair.from)] >> static_cast<u8>(pair.to) & 1) != 0;
  }
  bool operator==(const StateChanges&) const = default;

 private:
  std::array<u16, kThreadStates> to_{};  // by `from`: a bit per `to`
};

// NT: KTHREAD.State's changes [facts 5.1; ROS for 0 to 1, 1 to 6, 1 to 7]. What makes each of them: the table of ke/state_changes_test.
inline constexpr StateChanges kStateChanges{
    {ThreadState::initialized, ThreadState::deferred_ready},
    {ThreadState::initialized, ThreadState::ready},
    {ThreadState::deferred_ready, ThreadState::standby},
    {ThreadState::deferred_ready, ThreadState::ready},
    {ThreadState::ready, ThreadState::standby},
    {ThreadState::ready, ThreadState::running},
    {ThreadState::ready, ThreadState::deferred_ready},
    {ThreadState::ready, ThreadState::transition},
    {ThreadState::standby, ThreadState::running},
    {ThreadState::standby, ThreadState::deferred_ready},
    {ThreadState::running, ThreadState::ready},
    {ThreadState::running, ThreadState::deferred_ready},
    {ThreadState::running, ThreadState::waiting},
    {ThreadState::running, ThreadState::gate_wait},
    {ThreadState::running, ThreadState::terminated},
    {ThreadState::waiting, ThreadState::deferred_ready},
    {ThreadState::waiting, ThreadState::transition},
    {ThreadState::waiting, ThreadState::ready},
    {ThreadState::gate_wait, ThreadState::deferred_ready},
    {ThreadState::transition, ThreadState::deferred_ready},
};

}  // namespace vitrine::ke
