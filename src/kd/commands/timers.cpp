// !timer: the timers that are set, by due time: those built into waiting threads, and timer objects.
#include <algorithm>
#include <tuple>

#include "kd/command.h"

namespace vitrine::kd {

void show_timers(const Target& target, const Arguments&, Report& report) {
  struct Line {
    i64 due;
    std::string whose, period;
  };
  std::vector<Line> lines;
  for (const ps::Thread* thread : target.threads()) {
    const ke::TimerCore& timer = thread->tcb.timer;
    if (timer.header.inserted != 0) lines.push_back({timer.due.value, "time-out of " + name_of(*thread), "-"});
  }
  std::vector<const ob::Object*> seen;
  for (const ps::Process* process : target.processes()) {
    if (process->handles == nullptr) continue;
    for (ex::Handle h = process->handles->next({0}); h; h = process->handles->next(h)) {
      const ob::Object* object = process->handles->peek(h);
      if (&object->type() != &target.executive().sync.timer() || std::ranges::find(seen, object) != seen.end())
        continue;
      seen.push_back(object);
      const ke::Timer& timer = static_cast<const ob::TimerObject*>(object)->timer;
      if (timer.header.inserted == 0) continue;
      lines.push_back({timer.due.value, name_of(target, *object),
                       timer.period_ms == 0 ? "once" : fmt::format("every {} ms", timer.period_ms)});
    }
  }
  if (lines.empty()) return report.say("No timer is set.");
  std::ranges::stable_sort(lines, {}, &Line::due);
  Table& table = report.table({"due in", "timer", "period"});
  const i64 now = target.kernel().interrupt_time().value;
  for (const Line& line : lines) {
    table.rows.push_back(
        {milliseconds(static_cast<u64>(std::max<i64>(line.due - now, 0)) * 100), line.whose, line.period});
  }
}

}  // namespace vitrine::kd
