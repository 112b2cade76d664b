// Target: the machine that kd looks at, and how its threads, processes and objects are found and named.
//
// Reads only: nothing here changes the machine, takes a reference, faults a page in or opens a coroutine frame. So a
// run with kd is the run without it (tests compare the trace hashes). Valid at any moment when no kernel function is
// half done: between windows, at the entry of a service, at an exception.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nt/executive.h"
#include "nt/service_table.h"

namespace vitrine::kd {

class History;

class Target {
 public:
  // All outlive it. `start`: the processors' clocks when the machine was made; `history` may be null.
  Target(const nt::Executive& executive, const nt::ServiceTable& services, Nanoseconds start, const History* history)
      : executive_(executive), services_(services), start_(start), history_(history) {}

  [[nodiscard]] const nt::Executive& executive() const { return executive_; }
  [[nodiscard]] const ke::Kernel& kernel() const { return executive_.kernel; }
  [[nodiscard]] const sim::Profile& profile() const { return executive_.profile; }
  [[nodiscard]] const nt::ServiceTable& services() const { return services_; }
  [[nodiscard]] const History* history() const { return history_; }
  [[nodiscard]] Nanoseconds start() const { return start_; }

  // In order of creation; System comes first. Threads: those not deleted, ended ones too.
  [[nodiscard]] std::vector<const ps::Process*> processes() const;
  [[nodiscard]] std::vector<const ps::Thread*> threads() const;

  // By id ("0x10", "16") or "." for the current one; the error is one line.
  [[nodiscard]] std::expected<const ps::Process*, std::string> process(std::string_view text) const;
  // The same; a thread may also be named as its program named it (SetThreadDescription).
  [[nodiscard]] std::expected<const ps::Thread*, std::string> thread(std::string_view text) const;
  [[nodiscard]] const ps::Thread* thread_by_id(u64 id) const;
  // The executive object around a dispatcher header; null when it is none (a part of a request, a wait's own timer).
  // Finds what a handle or the process list leads to.
  [[nodiscard]] const ob::Object* object_of(const ke::DispatcherHeader& header) const;
  // An object by kernel address ("0xfffffa80...") or by handle of a process ("0x8:0x24").
  [[nodiscard]] std::expected<const ob::Object*, std::string> object(std::string_view text) const;

  // Where NT's structure would be.
  [[nodiscard]] Va address(const ob::Object& object) const { return executive_.pool.address(object.block()); }

  // Virtual time, nanoseconds since the start: the furthest clock.
  [[nodiscard]] u64 now_ns() const;
  // An idle machine's clocks stand still until the next timer: what is looked at in between is looked at as of then.
  void stand_at(u64 now_ns) { stands_at_ns_ = now_ns; }
  // From a clock-tick count as KTHREAD.WaitTime keeps it (its low half) to nanoseconds ago.
  [[nodiscard]] u64 ticks_ago_ns(u32 tick_count_low) const;

 private:
  const nt::Executive& executive_;
  const nt::ServiceTable& services_;
  Nanoseconds start_;
  u64 stands_at_ns_ = 0;
  const History* history_;
};

// Words for people.
[[nodiscard]] std::optional<u64> parse_number(std::string_view text);  // decimal or 0x
[[nodiscard]] std::string hex(u64 value);
[[nodiscard]] std::string milliseconds(u64 nanoseconds);  // "1.234 ms"
// `thread 0x10` or `thread 0x10 "reader"`.
[[nodiscard]] std::string name_of(const ps::Thread& thread);
// `event "Go" 0xfffffa8000012340`, without the name if it has none.
[[nodiscard]] std::string name_of(const Target& target, const ob::Object& object);
[[nodiscard]] std::string state_of(const ps::Thread& thread);  // "Waiting (UserRequest)"

}  // namespace vitrine::kd
