// Trace events: what the machine did and when, in virtual time. Plain numbers only, never a host address, so that two runs
// of the same thing give the same bytes.
#pragma once

#include <array>
#include <string_view>

#include "base/types.h"

namespace vitrine::trace {

enum class EventType : u16 {
  // arguments in comments, unused ones are 0
  process_create,   // process id, parent id
  process_exit,     // process id, exit status
  thread_create,    // thread id, process id, start address
  thread_exit,      // thread id, exit status
  thread_ready,     // thread id, priority, processor chosen, increment
  context_switch,   // old thread id, new thread id, old thread's state, old thread's wait reason
  wait_begin,       // object kind, wait reason, count, due time (100 ns, 0 none)
  wait_end,         // status, thread id
  priority_change,  // thread id, old, new, reason
  quantum_end,      // thread id
  clock_tick,       // tick count
  timer_expire,     // due time (100 ns)
  apc_deliver,      // thread id, kind, routine
  service_enter,    // service number, first three arguments
  service_exit,     // service number, status
  page_fault,       // address, error code, resolution, frame
  exception,        // code, address, chance
  file_io,          // 0 read / 1 write, bytes, status
  csrss_call,       // new thread's id, look-up visits, status
  csrss_death,      // ended thread's id, look-up visits, nanoseconds since the message was sent
  count_of_types,
};
[[nodiscard]] std::string_view event_name(EventType type);

struct Event {
  u64 time_ns = 0;  // the processor's clock
  EventType type{};
  u16 processor = 0;
  u32 thread_id = 0;  // current thread, 0 when idle
  std::array<u64, 4> arguments{};
};
static_assert(sizeof(Event) == 48);

}  // namespace vitrine::trace
