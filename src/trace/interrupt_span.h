// InterruptSpan: whose doing an event is. What happens between a clock interrupt and the next act of a thread (timers
// expire, waits end, threads become ready) is the interrupt's doing, whoever was running.
#pragma once

#include "trace/event.h"

namespace vitrine::trace {

class InterruptSpan {
 public:
  // Each event, in order.
  void observe(EventType type) {
    switch (type) {
      case EventType::clock_tick:
        inside_ = true;
        break;
      case EventType::timer_expire:
      case EventType::wait_end:
      case EventType::priority_change:
      case EventType::thread_ready:
        break;
      default:
        inside_ = false;
    }
  }
  // Who did what is recorded next: the thread given, or 0, an interrupt.
  [[nodiscard]] u32 doer(u32 thread_id) const { return inside_ ? 0 : thread_id; }

 private:
  bool inside_ = false;
};

}  // namespace vitrine::trace
