// MessageQueue: what a GUI thread is told: posted messages in order, its quit message, its timers; and the event that
// its waits for them use. A thread's queue holds at most 10,000 messages [Microsoft: PostMessage,
// USERPostMessageLimit].
//
// Two sets of QS_ bits say what is there: `wake` what is in the queue, `changed` what came since the thread last
// looked. Refuses: sent messages, input, painting (there are no windows). Owned by the subsystem, one per thread.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "abi/window_messages.h"
#include "ke/kernel.h"

namespace vitrine::win32k {

inline constexpr std::size_t kMaximumPostedMessages = 10'000;
// NT: a thread woken by window activity is 2 better than its base [WI5 ch.5 "Priority Boosts for Threads After Waking
// Up Because of Window Input"][facts 6.5].
inline constexpr i8 kIncrementWindowInput = 2;

// What a program looks for: thread messages [first, last] of the kinds in `status` (QS_ bits).
struct MessageFilter {
  u32 first = 0, last = ~0u;
  u32 status = abi::queue_status::kAllInput;
  [[nodiscard]] bool takes(u32 message) const { return message >= first && message <= last; }
};

class MessageQueue {
 public:
  explicit MessageQueue(ke::Kernel& kernel);
  ~MessageQueue();
  MessageQueue(const MessageQueue&) = delete;
  MessageQueue& operator=(const MessageQueue&) = delete;

  // False: it is full.
  [[nodiscard]] bool post(u32 message, u64 wparam, u64 lparam);
  // WM_QUIT comes when no posted message is left.
  void post_quit(i32 exit_code);
  // The next message that passes, in NT's order: posted ones, quit, timers. Looking makes what is there no longer new.
  std::optional<abi::Message> next(const MessageFilter& filter, bool remove);

  // GetQueueStatus: changed bits low, wake bits high; the ones asked for are no longer new.
  u32 take_status(u32 bits);
  [[nodiscard]] u32 wake_bits() const { return wake_; }

  // A wait for any of `bits`; what is there already counts if it is new, or always if `include_old`. The event is
  // signalled while one counts. `end_wait` before anything else happens in this thread.
  [[nodiscard]] ke::DispatcherHeader& begin_wait(u32 bits, bool include_old);
  void end_wait() { wanted_ = 0; }

  // Timers without a window. `id` 0, or that of no timer: a new one. Returns its id; 0: there are too many.
  u64 set_timer(u64 id, u32 period_ms, Va procedure);
  bool kill_timer(u64 id);  // false: there is none

 private:
  struct Timer;
  void set_bits(u32 bits);
  void clear_bits(u32 bits) { wake_ &= ~bits; }
  static void timer_expired(ke::Kernel& kernel, ke::Dpc& dpc, void* context);
  std::optional<abi::Message> next_timer(const MessageFilter& filter, bool remove);
  [[nodiscard]] abi::Message make(u32 message, u64 wparam, u64 lparam) const;

  ke::Kernel& kernel_;
  ke::Event event_{ke::EventKind::notification};
  u32 wake_ = 0, changed_ = 0, wanted_ = 0;
  std::deque<abi::Message> posted_;
  std::optional<i32> quit_;
  std::vector<std::unique_ptr<Timer>> timers_;  // in the order in which they were made
  std::deque<Timer*> due_;                      // in the order in which they came due
  u64 next_timer_id_ = 1;
};

}  // namespace vitrine::win32k
