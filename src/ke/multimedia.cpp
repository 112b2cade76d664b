#include "ke/multimedia.h"

#include <algorithm>
#include <numeric>

namespace vitrine::ke {
namespace {

struct Range {
  i32 first, last;
};
// [WI5 ch.5, the table of MMCSS's scheduling categories]
constexpr Range kRanges[] = {{8, 15}, {16, 22}, {23, 26}};
constexpr u8 kPriorityOfHighTasks = 2;
constexpr i32 kFurthestRelative = 2;
constexpr u32 kWhole = 100, kStep = 10;

}  // namespace

// Where in its category a task's priority of 1 to 8 lies is not documented: taken as one level each, from the lowest.
Priority MultimediaScheduler::priority_of(const MultimediaTask& task, i32 relative) {
  const Range& range = kRanges[static_cast<u8>(task.category)];
  const i32 own =
      task.category == MultimediaCategory::high ? kPriorityOfHighTasks : std::clamp<i32>(task.priority, 1, 8);
  const i32 moved = range.first + own - 1 + std::clamp(relative, -kFurthestRelative, kFurthestRelative);
  return static_cast<Priority>(std::clamp(moved, range.first, range.last));
}

void MultimediaScheduler::set_responsiveness(u32 percent) {
  percent -= percent % kStep;
  responsiveness_ = percent < kStep || percent > kWhole ? kDefaultResponsiveness : percent;
}

MultimediaScheduler::Member* MultimediaScheduler::find(const Thread& thread) {
  const auto found = std::ranges::find(members_, &thread, &Member::thread);
  return found == members_.end() ? nullptr : &*found;
}

// NT: KeSetActualBasePriorityThread (6.0+): into the real-time range and out of it, whatever the thread's process is.
void MultimediaScheduler::apply(Member& member) {
  const Priority priority = raised_ ? priority_of(member.task, member.relative) : kExhausted;
  member.thread->base_priority = priority;
  member.thread->saturation = 0;
  kernel_.set_priority(*member.thread, priority);
}

bool MultimediaScheduler::join(Thread& thread, const MultimediaTask& task) {
  if (responsiveness_ == kWhole || find(thread) != nullptr) return false;
  const bool first = members_.empty();
  members_.push_back({&thread, task, 0, kernel_.query_base_priority(thread)});
  if (first) {
    kernel_.set_event(joined_);  // a period begins with the first member
  } else {
    apply(members_.back());
  }
  return true;
}

bool MultimediaScheduler::set_relative_priority(Thread& thread, i32 relative) {
  Member* const member = find(thread);
  if (member == nullptr) return false;
  member->relative = relative;
  if (raised_) apply(*member);
  return true;
}

bool MultimediaScheduler::leave(Thread& thread) {
  Member* const member = find(thread);
  if (member == nullptr) return false;
  const i32 increment = member->previous_increment;
  members_.erase(members_.begin() + (member - members_.data()));
  // A thread that has ended has no priority to get back.
  if (thread.state != ThreadState::terminated) kernel_.set_base_priority(thread, increment);
  return true;
}

void MultimediaScheduler::begin_share(bool raised) {
  raised_ = raised;
  for (Member& member : members_) apply(member);
}

// Half a tick less than it takes: the last of its ticks ends it.
Task<Status> MultimediaScheduler::sleep(Thread* self, u32 ticks) {
  const i64 length = static_cast<i64>(ticks) * clock_interval_ - clock_interval_ / 2;
  co_return co_await kernel_.delay_execution(self,
                                             {WaitReason::wr_delay_execution, Mode::kernel, false, Ticks{-length}});
}

Task<Status> MultimediaScheduler::run(Thread* self) {
  for (;;) {
    const Status status = co_await kernel_.wait_single(self, &joined_.header,
                                                       {WaitReason::wr_executive, Mode::kernel, false, std::nullopt});
    if (status != Status::success) co_return status;
    while (!members_.empty()) {
      const u32 part = std::gcd(responsiveness_, kWhole);
      const u32 others = responsiveness_ / part, own = kWhole / part - others;
      begin_share(true);
      if (const Status ended = co_await sleep(self, own); ended != Status::success) co_return ended;
      begin_share(false);
      if (members_.empty()) break;
      if (const Status ended = co_await sleep(self, others); ended != Status::success) co_return ended;
    }
    raised_ = false;
  }
}

}  // namespace vitrine::ke
