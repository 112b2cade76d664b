// How values that several structures share are written, and the descriptions themselves, one per file.
#pragma once

#include "kd/structure.h"

namespace vitrine::kd {

// Who waits, oldest first: `thread 0x120, thread 0x124, a completion packet`; empty when nobody does.
[[nodiscard]] std::string waiter_names(const ke::DispatcherHeader& header);
[[nodiscard]] std::string header_text(const ke::DispatcherHeader& header);  // `state 0, 2 waiters`
[[nodiscard]] std::string apc_text(const ke::ApcQueues& queues, const ke::ApcFlags& flags);
[[nodiscard]] std::string timer_text(const Target& target, const ke::TimerCore& timer);
[[nodiscard]] std::string object_text(const Target& target, const ke::DispatcherHeader& header);
[[nodiscard]] std::string optional_object(const Target& target, const ob::Object* object);
[[nodiscard]] std::string time_text(Ticks system_time);  // FILETIME as hex, 0 as "-"
[[nodiscard]] Va stack_base(const Target& target, const ps::Thread& thread);
[[nodiscard]] Va stack_limit(const Target& target, const ps::Thread& thread);
[[nodiscard]] Va win32_thread(const Target& target, const ps::Thread& thread);  // its W32THREAD; 0: it is no GUI thread
template <typename List>
[[nodiscard]] u64 length(const List& list) {
  u64 count = 0;
  for (const auto& element : list) {
    (void)element;
    ++count;
  }
  return count;
}

// A list entry: its neighbours, as `after 0x8, last`. `name` says what an element is.
template <typename List, typename Element, typename Name>
[[nodiscard]] std::string entry_text(const List& list, const Element& element, bool linked, Name name) {
  if (!linked) return "not linked";
  const auto* before = list.previous(element);
  const auto* after = list.next(element);
  return (before == nullptr ? std::string("first") : "after " + name(*before)) +
         (after == nullptr ? std::string(", last") : ", before " + name(*after));
}

extern const Structure kKthread, kEthread, kKprocess, kEprocess, kEjob, kTeb, kPeb, kKprcb;
extern const Structure kDispatcherHeader, kKwaitBlock, kKtimer, kKapc, kKapcState, kKsemaphore, kKmutant, kKevent,
    kKqueue;
extern const Structure kObjectHeader, kHandleTable, kMmvad, kMmpfn;

}  // namespace vitrine::kd
