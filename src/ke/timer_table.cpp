#include "ke/timer_table.h"

#include <algorithm>

#include "base/check.h"

namespace vitrine::ke {

TimerTable::TimerTable(u32 size, u32 clock_interval_100ns) : lists_(size), interval_(clock_interval_100ns) {
  VITRINE_CHECK(size > 0 && clock_interval_100ns > 0);
}

u32 TimerTable::index_of(Ticks due) const {
  return static_cast<u32>((static_cast<u64>(std::max<i64>(due.value, 0)) / interval_) % lists_.size());
}

void TimerTable::insert(TimerCore& timer) {
  List& list = lists_[index_of(timer.due)];
  // From the back: a later request is usually due later, and equal times keep their order.
  TimerCore* before = list.back();
  while (before != nullptr && before->due > timer.due) before = list.previous(*before);
  TimerCore* after = before == nullptr ? list.front() : list.next(*before);
  if (after == nullptr) {
    list.push_back(timer);
  } else {
    list.insert_before(*after, timer);
  }
  ++count_;
  if (earliest_valid_ && (!earliest_ || timer.due < *earliest_)) earliest_ = timer.due;
}

void TimerTable::remove(TimerCore& timer) {
  List& list = lists_[index_of(timer.due)];
  TimerCore* after = list.next(timer);
  const bool was_earliest = earliest_valid_ && earliest_ && timer.due == *earliest_ && list.front() == &timer;
  timer.table_link.unlink();
  --count_;
  if (!was_earliest) return;
  // All timers of one tick share a list, so a successor of the same tick is the next earliest.
  const bool same_tick = after != nullptr && after->due.value / interval_ == timer.due.value / interval_;
  if (same_tick) {
    earliest_ = after->due;
  } else {
    earliest_valid_ = false;
  }
}

TimerCore* TimerTable::expire_one(Ticks now) {
  const std::optional<Ticks> due = earliest();
  if (!due || *due > now) return nullptr;
  TimerCore* timer = lists_[index_of(*due)].front();
  remove(*timer);
  return timer;
}

std::optional<Ticks> TimerTable::earliest() const {
  if (!earliest_valid_) {
    earliest_.reset();
    for (const List& list : lists_) {
      const TimerCore* first = list.front();
      if (first != nullptr && (!earliest_ || first->due < *earliest_)) earliest_ = first->due;
    }
    earliest_valid_ = true;
  }
  return earliest_;
}

}  // namespace vitrine::ke
