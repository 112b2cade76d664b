// Integer names and unit types shared by every folder. A quantity whose unit matters is a type of its own: mixing a page
// number with an address must not compile.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace vitrine {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

// A guest virtual address. Never a host pointer; only `mm` and `cpu` may turn one into bytes.
using Va = u64;
// A guest physical address, in bytes.
using Pa = u64;

inline constexpr u64 kPageSize = 4096;
inline constexpr u64 kPageShift = 12;
inline constexpr u64 kPageMask = kPageSize - 1;

[[nodiscard]] constexpr u64 page_floor(u64 address) { return address & ~kPageMask; }
[[nodiscard]] constexpr u64 page_ceil(u64 address) { return (address + kPageMask) & ~kPageMask; }
[[nodiscard]] constexpr u64 bytes_to_pages(u64 bytes) { return (bytes + kPageMask) >> kPageShift; }
[[nodiscard]] constexpr u64 align_up(u64 value, u64 alignment) { return (value + alignment - 1) & ~(alignment - 1); }
[[nodiscard]] constexpr u64 align_down(u64 value, u64 alignment) { return value & ~(alignment - 1); }

// A guest physical page frame number.
struct Pfn {
  u64 value = 0;
  auto operator<=>(const Pfn&) const = default;
  [[nodiscard]] constexpr Pa address() const { return value << kPageShift; }
};

// Guest time in units of 100 ns, as NT counts it. Interrupt time starts at 0 at boot; system time is a FILETIME.
struct Ticks {
  i64 value = 0;
  auto operator<=>(const Ticks&) const = default;
  constexpr Ticks operator+(Ticks other) const { return {value + other.value}; }
  constexpr Ticks operator-(Ticks other) const { return {value - other.value}; }
};

// Virtual nanoseconds on one processor's clock: the unit in which the cost table prices work.
struct Nanoseconds {
  u64 value = 0;
  auto operator<=>(const Nanoseconds&) const = default;
  constexpr Nanoseconds operator+(Nanoseconds other) const { return {value + other.value}; }
  constexpr Nanoseconds& operator+=(Nanoseconds other) { value += other.value; return *this; }
};

}  // namespace vitrine
