// Arena and Table: host memory for the tables of the code cache. They only grow, several at a time and fast, while code
// is translated; a first touch of fresh memory costs more than what is written there, so that all of them share large
// pages where the host has them.
#pragma once

#include <algorithm>
#include <bit>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

#include "base/types.h"

namespace vitrine::cpu::translator {

inline constexpr u64 kLargePage = 2ull << 20;

// Zeroed address space, aligned to large pages, that costs memory only where it is touched.
class Reservation {
 public:
  Reservation() = default;
  Reservation(u64 bytes, bool executable);
  ~Reservation();
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) = delete;
  [[nodiscard]] u8* data() const { return data_; }

 private:
  void* memory_ = nullptr;
  u64 mapped_ = 0;
  u8* data_ = nullptr;
};

class Arena {
 public:
  // Zeroed, aligned to a cache line, valid as long as the arena. At most kPiece bytes.
  [[nodiscard]] void* allocate(u64 bytes);
  static constexpr u64 kPiece = 2 * kLargePage;

 private:
  std::vector<Reservation> pieces_;
  u64 used_ = kPiece;  // of the last
};

// A sequence that grows at its end, whose elements stay where they are.
template <typename T>
class Table {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  explicit Table(Arena& arena) : arena_(&arena) {}
  T& push_back(const T& value) {
    if (size_ == chunks_.size() * kChunk) chunks_.push_back(static_cast<T*>(arena_->allocate(kChunk * sizeof(T))));
    T* const at = std::construct_at(&chunks_[size_ / kChunk][size_ % kChunk], value);
    ++size_;
    return *at;
  }
  [[nodiscard]] T& operator[](std::size_t n) { return chunks_[n / kChunk][n % kChunk]; }
  [[nodiscard]] const T& operator[](std::size_t n) const { return chunks_[n / kChunk][n % kChunk]; }
  [[nodiscard]] std::size_t size() const { return size_; }
  void clear() { size_ = 0; }  // keeps the memory

 private:
  static constexpr std::size_t kChunk = std::bit_floor(std::max<std::size_t>(32768 / sizeof(T), 1));
  Arena* arena_;
  std::vector<T*> chunks_;
  std::size_t size_ = 0;
};

}  // namespace vitrine::cpu::translator
