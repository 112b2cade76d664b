// The rules of one queue, on a bare dispatcher.
#include "win32k/message_queue.h"

#include <gtest/gtest.h>

#include "../ke/dispatcher_bench.h"

namespace vitrine::win32k {
namespace {

namespace qs = abi::queue_status;

class Queue : public testing::Test {
 protected:
  std::optional<u32> take(const MessageFilter& filter = {}) {
    const auto message = queue.next(filter, true);
    return message ? std::optional(message->message) : std::nullopt;
  }
  ke::Bench bench;
  MessageQueue queue{bench.kernel};
};

// Microsoft, PostQuitMessage and GetMessage: WM_QUIT comes behind all posted messages, through every filter, once.
TEST_F(Queue, QuitComesLastAndOnce) {
  queue.post_quit(3);
  ASSERT_TRUE(queue.post(0x401, 1, 2));
  EXPECT_EQ(take({.first = 0x500, .last = 0x600}), std::nullopt) << "a message that does not pass keeps it back";
  EXPECT_EQ(take(), 0x401u);
  EXPECT_EQ(queue.next({.first = 0x500, .last = 0x600}, false)->wparam, 3u);
  EXPECT_EQ(take(), abi::kWmQuit);
  EXPECT_EQ(take(), std::nullopt);
  EXPECT_EQ(queue.wake_bits(), 0u);
}

// Microsoft, GetQueueStatus: what a look has seen is not new, but still there.
TEST_F(Queue, WhatWasSeenIsNotNew) {
  ASSERT_TRUE(queue.post(0x401, 0, 0));
  EXPECT_EQ(queue.take_status(qs::kPostMessage), qs::kPostMessage | qs::kPostMessage << 16);
  EXPECT_EQ(queue.take_status(qs::kPostMessage), qs::kPostMessage << 16);
  const auto signalled = [&](bool include_old) {
    const bool is = ke::Kernel::read_state(queue.begin_wait(qs::kPostMessage, include_old)) != 0;
    queue.end_wait();
    return is;
  };
  EXPECT_FALSE(signalled(false));
  EXPECT_TRUE(signalled(true));
  ASSERT_TRUE(queue.post(0x402, 0, 0));
  EXPECT_TRUE(signalled(false));
}

TEST_F(Queue, AWaitEndsForItsKindsOnly) {
  ke::DispatcherHeader& event = queue.begin_wait(qs::kTimer, false);
  ASSERT_TRUE(queue.post(0x401, 0, 0));
  EXPECT_EQ(ke::Kernel::read_state(event), 0);
  queue.end_wait();
  (void)queue.begin_wait(qs::kPostMessage | qs::kTimer, true);
  EXPECT_NE(ke::Kernel::read_state(event), 0);
  queue.end_wait();
}

// Microsoft, SetTimer and WM_TIMER: at least 10 ms, behind posted messages, never twice in the queue; a timer that is
// killed is gone with what it had to say.
TEST_F(Queue, TimersAreTheLeastUrgent) {
  auto& running = bench.spinner(8);
  const u64 id = queue.set_timer(0, 1, 0x1234);
  const i64 set_at = bench.kernel.interrupt_time().value;
  while ((queue.wake_bits() & qs::kTimer) == 0) ASSERT_TRUE(bench.step());
  EXPECT_GE(bench.kernel.interrupt_time().value - set_at, 100'000);
  bench.run_ms(60);
  ASSERT_TRUE(queue.post(0x401, 0, 0));
  EXPECT_EQ(take(), 0x401u);
  EXPECT_EQ(take({.status = qs::kPostMessage}), std::nullopt);
  const auto message = queue.next({}, true);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->message, abi::kWmTimer);
  EXPECT_EQ(message->wparam, id);
  EXPECT_EQ(message->lparam, 0x1234u);
  EXPECT_EQ(take(), std::nullopt) << "several expirations are one message";
  bench.run_ms(30);
  EXPECT_NE(queue.wake_bits() & qs::kTimer, 0u);
  EXPECT_TRUE(queue.kill_timer(id));
  EXPECT_FALSE(queue.kill_timer(id));
  EXPECT_EQ(take(), std::nullopt);
  EXPECT_EQ(queue.wake_bits(), 0u);
  EXPECT_EQ(running.thread.state, ke::ThreadState::running);
  bench.stop();
}

TEST_F(Queue, ATimersIdIsKeptWhenItIsSetAnew) {
  const u64 first = queue.set_timer(0, 1000, 0), second = queue.set_timer(0, 1000, 0);
  EXPECT_NE(first, second);
  EXPECT_EQ(queue.set_timer(first, 500, 0), first);
  EXPECT_NE(queue.set_timer(0x777, 500, 0), 0x777u) << "without a window a new timer's id is the system's";
}

}  // namespace
}  // namespace vitrine::win32k
