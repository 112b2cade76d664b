#include "win32k/message_queue.h"

#include <algorithm>

namespace vitrine::win32k {
namespace {

namespace qs = abi::queue_status;

constexpr u32 kPostedBits = qs::kPostMessage | qs::kAllPostMessage;
// NT: periods are held to these bounds [Microsoft: SetTimer, USER_TIMER_MINIMUM and MAXIMUM].
constexpr u32 kShortestPeriod = 10, kLongestPeriod = 0x7FFF'FFFF;
constexpr std::size_t kMaximumTimers = 10'000;  // of a thread: a bound of ours; NT's is the session's heap
constexpr i64 kTicksPerMillisecond = 10'000;

}  // namespace

struct MessageQueue::Timer {
  Timer(MessageQueue& queue_, u64 id_) : queue(queue_), id(id_), dpc(&MessageQueue::timer_expired, this) {}
  MessageQueue& queue;
  u64 id;
  Va procedure = 0;
  ke::Timer timer{ke::TimerKind::notification};
  ke::Dpc dpc;
};

MessageQueue::MessageQueue(ke::Kernel& kernel) : kernel_(kernel) {}

MessageQueue::~MessageQueue() {
  for (const auto& timer : timers_) {
    kernel_.cancel_timer(timer->timer);
    ke::Kernel::remove_dpc(timer->dpc);
  }
}

abi::Message MessageQueue::make(u32 message, u64 wparam, u64 lparam) const {
  const u64 milliseconds = static_cast<u64>(kernel_.interrupt_time().value / kTicksPerMillisecond);
  return {.window = 0,
          .message = message,
          .padding = 0,
          .wparam = wparam,
          .lparam = lparam,
          .time = static_cast<u32>(milliseconds),
          .x = 0,
          .y = 0,
          .reserved = 0};
}

void MessageQueue::set_bits(u32 bits) {
  wake_ |= bits;
  changed_ |= bits;
  if ((wanted_ & bits) != 0) kernel_.set_event(event_, kIncrementWindowInput);
}

bool MessageQueue::post(u32 message, u64 wparam, u64 lparam) {
  if (posted_.size() >= kMaximumPostedMessages) return false;
  posted_.push_back(make(message, wparam, lparam));
  set_bits(kPostedBits);
  return true;
}

void MessageQueue::post_quit(i32 exit_code) {
  quit_ = exit_code;
  set_bits(kPostedBits);
}

std::optional<abi::Message> MessageQueue::next(const MessageFilter& filter, bool remove) {
  changed_ &= ~filter.status;
  if ((filter.status & kPostedBits) != 0) {
    const auto found = std::ranges::find_if(posted_, [&](const abi::Message& m) { return filter.takes(m.message); });
    if (found != posted_.end()) {
      const abi::Message message = *found;
      if (remove) posted_.erase(found);
      if (posted_.empty() && !quit_) clear_bits(kPostedBits);
      return message;
    }
    // NT: WM_QUIT passes every filter of numbers, but comes behind what was posted [Microsoft: PostQuitMessage,
    // GetMessage].
    if (quit_ && posted_.empty()) {
      const abi::Message message = make(abi::kWmQuit, static_cast<u32>(*quit_), 0);
      if (remove) {
        quit_.reset();
        clear_bits(kPostedBits);
      }
      return message;
    }
  }
  return (filter.status & qs::kTimer) != 0 ? next_timer(filter, remove) : std::nullopt;
}

std::optional<abi::Message> MessageQueue::next_timer(const MessageFilter& filter, bool remove) {
  if (due_.empty() || !filter.takes(abi::kWmTimer)) return std::nullopt;
  const Timer& timer = *due_.front();
  const abi::Message message = make(abi::kWmTimer, timer.id, timer.procedure);
  if (remove) {
    due_.pop_front();
    if (due_.empty()) clear_bits(qs::kTimer);
  }
  return message;
}

u32 MessageQueue::take_status(u32 bits) {
  const u32 status = (changed_ & bits) | (wake_ & bits) << 16;
  changed_ &= ~bits;
  return status;
}

ke::DispatcherHeader& MessageQueue::begin_wait(u32 bits, bool include_old) {
  wanted_ = bits;
  if (((include_old ? wake_ : changed_) & bits) != 0) {
    kernel_.set_event(event_, ke::kIncrementNone);
  } else {
    kernel_.reset_event(event_);
  }
  return event_.header;
}

u64 MessageQueue::set_timer(u64 id, u32 period_ms, Va procedure) {
  auto found = std::ranges::find_if(timers_, [&](const auto& timer) { return timer->id == id; });
  if (found == timers_.end()) {
    if (timers_.size() >= kMaximumTimers) return 0;
    timers_.push_back(std::make_unique<Timer>(*this, next_timer_id_++));
    found = timers_.end() - 1;
  }
  Timer& timer = **found;
  timer.procedure = procedure;
  const u32 period = std::clamp(period_ms, kShortestPeriod, kLongestPeriod);
  kernel_.set_timer(timer.timer, Ticks{-static_cast<i64>(period) * kTicksPerMillisecond}, period, &timer.dpc);
  return timer.id;
}

bool MessageQueue::kill_timer(u64 id) {
  const auto found = std::ranges::find_if(timers_, [&](const auto& timer) { return timer->id == id; });
  if (found == timers_.end()) return false;
  kernel_.cancel_timer((*found)->timer);
  ke::Kernel::remove_dpc((*found)->dpc);
  std::erase(due_, found->get());
  if (due_.empty()) clear_bits(qs::kTimer);
  timers_.erase(found);
  return true;
}

// NT: expirations are not counted: one that has not been fetched yet is the same message [Microsoft: WM_TIMER].
void MessageQueue::timer_expired(ke::Kernel&, ke::Dpc&, void* context) {
  auto& timer = *static_cast<Timer*>(context);
  MessageQueue& queue = timer.queue;
  if (std::ranges::find(queue.due_, &timer) != queue.due_.end()) return;
  queue.due_.push_back(&timer);
  queue.set_bits(qs::kTimer);
}

}  // namespace vitrine::win32k
