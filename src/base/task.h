// Task<T>: a lazily started coroutine for kernel code that may suspend (system services, the fault path, I/O). A task
// awaited by another task resumes it by symmetric transfer when it ends; a top-level task is driven by `start()` and by
// whoever holds the leaf's handle (the dispatcher, when a wait ends). Kernel code never throws.
//
// Rules (DESIGN 3.5): no reference parameter, no lock and no capturing lambda across a co_await; what was read before a
// suspension is validated again after it. A frame is always resumed, with a status, until it ends; it is destroyed only
// when it is done (the destructor checks that).
#pragma once

#include <coroutine>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/check.h"

namespace vitrine {

template <typename T>
class [[nodiscard]] Task {
 public:
  struct promise_type {
    std::optional<T> result;
    std::coroutine_handle<> continuation;

    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    struct FinalAwaiter {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) noexcept {
        std::coroutine_handle<> next = self.promise().continuation;
        return next ? next : std::noop_coroutine();
      }
      void await_resume() noexcept {}
    };
    FinalAwaiter final_suspend() noexcept { return {}; }
    void return_value(T value) { result = std::move(value); }
    void unhandled_exception() { std::abort(); }
  };

  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})), started_(std::exchange(other.started_, false)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(started_, other.started_);
    return *this;
  }
  ~Task() {
    if (!handle_) return;
    VITRINE_CHECK(handle_.done() || !started());
    handle_.destroy();
  }

  [[nodiscard]] bool valid() const { return static_cast<bool>(handle_); }
  [[nodiscard]] bool done() const { return handle_.done(); }
  // Runs to the first suspension, or to the end.
  void start() {
    VITRINE_CHECK(handle_ && !handle_.done());
    started_ = true;
    handle_.resume();
  }
  // Precondition: done().
  [[nodiscard]] T& result() const { return *handle_.promise().result; }
  void reset() { *this = Task(); }

  auto operator co_await() && noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> handle;
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) noexcept {
        handle.promise().continuation = caller;
        return handle;
      }
      T await_resume() { return std::move(*handle.promise().result); }
    };
    started_ = true;
    return Awaiter{handle_};
  }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  [[nodiscard]] bool started() const { return started_; }

  std::coroutine_handle<promise_type> handle_;
  bool started_ = false;
};

}  // namespace vitrine
