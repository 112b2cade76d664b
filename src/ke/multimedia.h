// MultimediaScheduler: NT's multimedia class scheduler (6.0+). Threads that register for a task run in its category's
// priorities for most of each period and below everybody else for the rest, so that what a player needs comes in time
// and others still get their share [WI5 ch.5 "Priority Boosts for Multimedia Applications and Games (MMCSS)";
// Microsoft: "Multimedia Class Scheduler Service"]. Its own thread, of priority 27, moves them.
//
// The period is the smallest number of clock ticks that the two shares divide: NT's is 10 ms, for which it makes the
// clock tick faster; here the clock has one interval. Owns the list of members, not the threads. Refuses names and
// registry: who registers says what the task is.
#pragma once

#include <vector>

#include "ke/kernel.h"

namespace vitrine::ke {

enum class MultimediaCategory : u8 { low, medium, high };

struct MultimediaTask {
  MultimediaCategory category = MultimediaCategory::medium;
  u8 priority = 2;  // 1 to 8, within the category; high: always as 2 [Microsoft]
};

class MultimediaScheduler {
 public:
  static constexpr Priority kOwnPriority = 27;
  static constexpr Priority kExhausted = 4;  // of 1 to 7 [WI5 ch.5]: the middle, assumed
  static constexpr u32 kDefaultResponsiveness = 20;

  MultimediaScheduler(Kernel& kernel, u32 clock_interval_100ns)
      : kernel_(kernel), clock_interval_(clock_interval_100ns) {}

  // SystemResponsiveness: the per cent of time that is left to others. NT: rounded down to tens; below 10 and above 100
  // it is 20; 100 turns the service off [Microsoft].
  void set_responsiveness(u32 percent);
  [[nodiscard]] u32 responsiveness() const { return responsiveness_; }

  // False: it is a member already, or the service is off.
  bool join(Thread& thread, const MultimediaTask& task);
  // From -2 to 2 around the task's own (AvSetMmThreadPriority). False: not a member.
  bool set_relative_priority(Thread& thread, i32 relative);
  // The thread gets back what it had before. Also when it ends. False: not a member.
  bool leave(Thread& thread);
  // The priority that a task gives while its share lasts.
  [[nodiscard]] static Priority priority_of(const MultimediaTask& task, i32 relative);

  // The body of its thread: it ends when its wait is aborted.
  Task<Status> run(Thread* self);

 private:
  struct Member {
    Thread* thread;
    MultimediaTask task;
    i32 relative = 0;
    i32 previous_increment;  // over the process's base priority, or saturated
  };
  [[nodiscard]] Member* find(const Thread& thread);
  void apply(Member& member);
  void begin_share(bool raised);
  Task<Status> sleep(Thread* self, u32 ticks);

  Kernel& kernel_;
  u32 clock_interval_;  // 100 ns
  u32 responsiveness_ = kDefaultResponsiveness;
  std::vector<Member> members_;  // in the order of joining
  Event joined_{EventKind::synchronization};
  bool raised_ = false;
};

}  // namespace vitrine::ke
