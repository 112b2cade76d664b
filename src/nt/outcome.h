// Outcome: what a system service gives back: a status at once, or a Task that will give one. A service that need not
// suspend never makes a coroutine frame.
#pragma once

#include <utility>

#include "base/status.h"
#include "base/task.h"

namespace vitrine::nt {

class [[nodiscard]] Outcome {
 public:
  Outcome(Status status) : status_(status) {}                          // NOLINT: implicit on purpose
  Outcome(Task<Status> task) : task_(std::move(task)) {}               // NOLINT
  [[nodiscard]] bool suspends() const { return task_.valid(); }
  [[nodiscard]] Status status() const { return status_; }
  [[nodiscard]] Task<Status> take_task() { return std::move(task_); }

 private:
  Status status_ = Status::pending;
  Task<Status> task_;
};

}  // namespace vitrine::nt
