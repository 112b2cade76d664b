// TimerTable: the hash of all set timers by due time: list (due / clock interval) mod size, each list sorted by due time,
// equal times in the order of insertion. A clock interrupt looks only at the lists whose time has come [facts 7.4].
//
// Does not own the timers. Knows nothing of what expiry means: it hands the expired ones over.
#pragma once

#include <optional>
#include <vector>

#include "ke/dispatcher_object.h"

namespace vitrine::ke {

class TimerTable {
 public:
  TimerTable(u32 size, u32 clock_interval_100ns);

  // Precondition: not in the table. Any due time is accepted; one that has passed expires at the next call of `expire`.
  void insert(TimerCore& timer);
  void remove(TimerCore& timer);  // precondition: in the table
  // The first timer due at or before `now`, removed from the table; null when there is none. Call until null.
  TimerCore* expire_one(Ticks now);
  // The earliest due time; walks the list heads only when the earliest timer has gone.
  [[nodiscard]] std::optional<Ticks> earliest() const;
  [[nodiscard]] u64 count() const { return count_; }

  using List = IntrusiveList<TimerCore, &TimerCore::table_link>;
  [[nodiscard]] const std::vector<List>& lists() const { return lists_; }
  // Which list a due time belongs to.
  [[nodiscard]] u32 index_of(Ticks due) const;

 private:
  std::vector<List> lists_;
  u32 interval_;
  u64 count_ = 0;
  mutable std::optional<Ticks> earliest_;
  mutable bool earliest_valid_ = true;
};

}  // namespace vitrine::ke
