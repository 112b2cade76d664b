#include "base/task.h"

#include <gtest/gtest.h>

namespace vitrine {
namespace {

// Suspends and hands the leaf's handle to the test, as a wait hands it to the dispatcher.
struct Suspend {
  std::coroutine_handle<>* out;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) const { *out = handle; }
  void await_resume() const {}
};

Task<int> leaf(std::coroutine_handle<>* out, int value) {
  co_await Suspend{out};
  co_return value;
}
Task<int> parent(std::coroutine_handle<>* out) {
  const int first = co_await leaf(out, 20);
  const int second = co_await leaf(out, 22);
  co_return first + second;
}

TEST(Task, RunsNothingBeforeItIsStarted) {
  std::coroutine_handle<> handle;
  Task<int> task = leaf(&handle, 1);
  EXPECT_FALSE(handle);
}

TEST(Task, ResumingTheLeafCarriesTheWholeChainToItsEnd) {
  std::coroutine_handle<> handle;
  Task<int> task = parent(&handle);
  task.start();
  EXPECT_FALSE(task.done());
  handle.resume();
  EXPECT_FALSE(task.done());
  handle.resume();
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.result(), 42);
}

TEST(Task, DestroyingASuspendedFrameIsRefused) {
  std::coroutine_handle<> handle;
  EXPECT_DEATH(
      {
        Task<int> task = leaf(&handle, 1);
        task.start();
      },
      "done");
}

}  // namespace
}  // namespace vitrine
