// CostTable: what work costs in virtual time. Prices make the clock move the same way on every host; they are part of the
// profile. `source` says where a price comes from; "assumed" is said where nothing better is known.
#pragma once

#include <string_view>

#include "base/types.h"

namespace vitrine::sim {

struct Cost {
  u64 picoseconds;
  std::string_view source;
};

struct CostTable {
  Cost instruction;         // one guest instruction
  Cost system_call;         // entry, argument capture and exit, without the service's own work
  Cost context_switch;
  Cost page_fault;          // trap, VAD look-up, PTE made valid
  Cost zero_page;
  Cost copy_page;
  Cost interrupt;           // clock interrupt
  Cost exception_dispatch;  // building the user frame
  Cost disk_access;         // one read or write that reaches the device
  Cost disk_page;           // per page transferred
  Cost thread_create;       // NtCreateThreadEx without CSRSS
  Cost lpc_call;            // request and reply: two copies, two hand-overs of the processor
  Cost csrss_visit;         // one hash-chain entry visited
  Cost csrss_request;       // CSRSS's work on one request or notice of death, without look-ups
  Cost csrss_lock_transfer; // its lock was last held on another processor: the line comes over
};

}  // namespace vitrine::sim
