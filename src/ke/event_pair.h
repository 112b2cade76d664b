// EventPair (KEVENT_PAIR, type 21): two synchronization events between two threads that take turns: one sets its own
// side and waits for the other's in one step. NT's first client-server transport; 5.2 still has the object [facts 7.1].
#pragma once

#include "ke/kernel.h"

namespace vitrine::ke {

struct EventPair {
  Event low{EventKind::synchronization};
  Event high{EventKind::synchronization};
};

enum class EventPairSide : u8 { low, high };

inline Event& side_of(EventPair& pair, EventPairSide side) { return side == EventPairSide::low ? pair.low : pair.high; }

// NtWaitLowEventPair, NtWaitHighEventPair.
inline Task<Status> wait_event_pair(Kernel* kernel, Thread* thread, EventPair* pair, EventPairSide side, Mode mode) {
  return kernel->wait_single(thread, &side_of(*pair, side).header,
                             {WaitReason::wr_event_pair, mode, false, std::nullopt});
}
// NtSetLowWaitHighEventPair, NtSetHighWaitLowEventPair: sets `side` and waits for the other one.
inline Task<Status> set_and_wait_event_pair(Kernel* kernel, Thread* thread, EventPair* pair, EventPairSide side,
                                            Mode mode) {
  Event& other = side_of(*pair, side == EventPairSide::low ? EventPairSide::high : EventPairSide::low);
  return kernel->signal_and_wait(thread, &side_of(*pair, side).header, &other.header,
                                 {WaitReason::wr_event_pair, mode, false, std::nullopt});
}

}  // namespace vitrine::ke
