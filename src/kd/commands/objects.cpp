// !handle: a process's handles. !object: one object.
#include "ex/unicode.h"
#include "kd/command.h"
#include "kd/history.h"
#include "kd/structures/values.h"
#include "kd/wait_graph.h"

namespace vitrine::kd {

void show_handles(const Target& target, const Arguments& arguments, Report& report) {
  const auto process = target.process(arguments.empty() ? "." : arguments[0]);
  if (!process) return report.fail("{}", process.error());
  if ((*process)->handles == nullptr) return report.say("process {:#x} has no handle table.", (*process)->id);
  const ob::ObjectHandles& handles = *(*process)->handles;
  Table& table = report.table({"handle", "access", "attributes", "object"});
  for (ex::Handle h = handles.next({0}); h; h = handles.next(h)) {
    const ex::HandleEntry* entry = handles.table().find(h);
    std::string attributes;
    if ((entry->attributes() & ex::handle_attributes::kInherit) != 0) attributes += "inherit ";
    if ((entry->attributes() & ex::handle_attributes::kProtectFromClose) != 0) attributes += "protected ";
    table.rows.push_back({hex(h.value), hex(entry->granted_access()), attributes.empty() ? "-" : attributes,
                          name_of(target, *handles.peek(h))});
  }
}

void show_object(const Target& target, const Arguments& arguments, Report& report) {
  if (arguments.empty())
    return report.fail("!object which? Give an address, or PROCESS:HANDLE as `!handle` lists them");
  const auto found = target.object(arguments[0]);
  if (!found) return report.fail("{}", found.error());
  const ob::Object& object = **found;
  report.say("{}: {} references, {} handles, {} bytes of pool", name_of(target, object), object.pointer_count(),
             object.handle_count(), object.block() ? target.executive().pool.charged_bytes(object.block()) : 0);
  if (const ke::DispatcherHeader* header = ob::dispatcher_header(const_cast<ob::Object&>(object))) {
    const std::string waiters = waiter_names(*header);
    report.say("  signal state {}; waiting for it: {}", header->signal_state, waiters.empty() ? "nobody" : waiters);
  }
  if (target.history() == nullptr) return;
  static constexpr std::string_view kKinds[] = {"set", "pulsed", "reset", "released", "alerted"};
  for (const Signal& signal : target.history()->signals(object)) {
    report.say("  {} at {} by thread {:#x}{}", kKinds[static_cast<u8>(signal.kind)], milliseconds(signal.time_ns),
               signal.thread_id, signal.waited ? "" : ", when nobody waited");
  }
}

}  // namespace vitrine::kd
