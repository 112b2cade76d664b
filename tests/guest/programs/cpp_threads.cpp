// The C++ library on top of winpthreads: threads, a bounded queue, futures, and exceptions across frames and threads.
#include <condition_variable>
#include <cstdio>
#include <future>
#include <mutex>
#include <queue>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "report.h"

namespace {
class BoundedQueue {
 public:
  void put(int value) {
    std::unique_lock lock(mutex_);
    not_full_.wait(lock, [&] { return items_.size() < 8; });
    items_.push(value);
    not_empty_.notify_one();
  }
  int take() {
    std::unique_lock lock(mutex_);
    not_empty_.wait(lock, [&] { return !items_.empty(); });
    int value = items_.front();
    items_.pop();
    not_full_.notify_one();
    return value;
  }

 private:
  std::mutex mutex_;
  std::condition_variable not_full_, not_empty_;
  std::queue<int> items_;
};

struct Witness {
  explicit Witness(int* count) : count_(count) {}
  ~Witness() { ++*count_; }
  int* count_;
};

int descend(int depth, int* unwound) {
  Witness witness(unwound);
  if (depth == 0) throw std::runtime_error("from the bottom");
  return descend(depth - 1, unwound) + 1;
}
}  // namespace

int main() {
  BoundedQueue queue;
  long long total = 0;
  std::vector<std::thread> producers;
  for (int p = 0; p < 3; ++p)
    producers.emplace_back([&queue, p] {
      for (int i = 0; i < 500; ++i) queue.put(p * 10000 + i);
    });
  std::thread consumer([&] {
    for (int i = 0; i < 1500; ++i) total += queue.take();
  });
  for (auto& producer : producers) producer.join();
  consumer.join();
  std::printf("total %lld\n", total);

  int unwound = 0;
  try {
    descend(100, &unwound);
  } catch (const std::exception& error) {
    std::printf("caught '%s' after %d frames\n", error.what(), unwound);
  }
  auto future = std::async(std::launch::async, [] {
    int count = 0;
    return descend(3, &count);
  });
  try {
    future.get();
  } catch (const std::runtime_error& error) {
    std::printf("future threw '%s'\n", error.what());
  }
  int handled = 0;
  for (int i = 0; i < 2000; ++i) {
    try {
      if (i % 2) throw i;
      throw std::string("s");
    } catch (int) {
      ++handled;
    } catch (const std::string&) {
      handled += 10;
    }
  }
  std::printf("handled %d\n", handled);
  try {
    try {
      throw std::out_of_range("inner");
    } catch (...) {
      std::throw_with_nested(std::logic_error("outer"));
    }
  } catch (const std::logic_error& outer) {
    try {
      std::rethrow_if_nested(outer);
    } catch (const std::out_of_range& inner) {
      Report{"%s holds %s\n", outer.what(), inner.what()};
    }
  }
  std::once_flag once;
  int calls = 0;
  for (int i = 0; i < 3; ++i) std::call_once(once, [&] { ++calls; });
  std::printf("once %d\n", calls);
  return 0;
}
