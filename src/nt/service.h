// Service: one system service as data: its name, what its arguments are, how much of it there is, and how to call it.
// `service<&function>("NtName", level, "a, b, c")` derives the argument list from the C++ signature, so that a 32-bit argument
// loses the garbage in its upper half in one place and `--strace` knows what to print.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "abi/strings.h"
#include "nt/call.h"
#include "nt/outcome.h"
#include "nt/user_ptr.h"

namespace vitrine::nt {

enum class SupportLevel : u8 {
  complete,  // every documented case that a program can reach
  partial,   // the note says what is missing; missing cases return a documented status
  refused,   // answers with the documented status of a system that does not offer it
};

enum class ArgumentKind : u8 {
  number32, signed32, number64, signed64, boolean, handle, pointer, handle_pointer, number_pointer, time_pointer, text_pointer,
  attributes_pointer, status_block_pointer,
};

inline constexpr std::size_t kMaximumArguments = 18;

struct Service {
  std::string_view name;
  SupportLevel level = SupportLevel::complete;
  std::string_view argument_names;  // comma separated, in order
  std::string_view note;
  std::array<ArgumentKind, kMaximumArguments> kinds{};
  u8 argument_count = 0;
  Outcome (*invoke)(Call call, const u64* arguments) = nullptr;
};

namespace detail {

template <typename T>
constexpr ArgumentKind kind_of() {
  if constexpr (std::is_same_v<T, bool>) return ArgumentKind::boolean;
  else if constexpr (std::is_same_v<T, Handle>) return ArgumentKind::handle;
  else if constexpr (std::is_same_v<T, UserPtr<u64>> || std::is_same_v<T, UserPtr<u32>>) return ArgumentKind::number_pointer;
  else if constexpr (std::is_same_v<T, UserPtr<Handle>>) return ArgumentKind::handle_pointer;
  else if constexpr (std::is_same_v<T, UserPtr<i64>>) return ArgumentKind::time_pointer;
  else if constexpr (std::is_same_v<T, UserPtr<abi::UnicodeString>>) return ArgumentKind::text_pointer;
  else if constexpr (std::is_same_v<T, UserPtr<abi::ObjectAttributes>>) return ArgumentKind::attributes_pointer;
  else if constexpr (std::is_same_v<T, UserPtr<abi::IoStatusBlock>>) return ArgumentKind::status_block_pointer;
  else if constexpr (requires(T p) { p.address; }) return ArgumentKind::pointer;
  else if constexpr (std::is_signed_v<T> && sizeof(T) == 8) return ArgumentKind::signed64;
  else if constexpr (std::is_signed_v<T>) return ArgumentKind::signed32;
  else if constexpr (sizeof(T) == 8) return ArgumentKind::number64;
  else return ArgumentKind::number32;
}

// A guest leaves garbage above the width that the argument declares (BOOLEAN is a byte).
template <typename T>
T convert(u64 raw) {
  if constexpr (std::is_same_v<T, bool>) return (raw & 0xFF) != 0;
  else if constexpr (std::is_same_v<T, Handle>) return Handle{raw};
  else if constexpr (requires(T p) { p.address; }) return T{raw};
  else return static_cast<T>(raw);
}

template <typename Function>
struct Signature;
template <typename R, typename... Arguments>
struct Signature<R (*)(Call, Arguments...)> {
  static constexpr std::size_t count = sizeof...(Arguments);
  static_assert(count <= kMaximumArguments);
  static constexpr std::array<ArgumentKind, kMaximumArguments> kinds{kind_of<Arguments>()...};
  template <R (*function)(Call, Arguments...)>
  static Outcome invoke(Call call, const u64* raw) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return Outcome(function(call, convert<Arguments>(raw[I])...));
    }(std::index_sequence_for<Arguments...>{});
  }
};
template <typename R>
struct Signature<R (*)(Call)> {
  static constexpr std::size_t count = 0;
  static constexpr std::array<ArgumentKind, kMaximumArguments> kinds{};
  template <R (*function)(Call)>
  static Outcome invoke(Call call, const u64*) { return Outcome(function(call)); }
};

}  // namespace detail

// `function` is Status, Outcome or Task<Status> (Call, typed arguments...).
template <auto function>
constexpr Service service(std::string_view name, SupportLevel level, std::string_view argument_names,
                          std::string_view note = {}) {
  using S = detail::Signature<decltype(function)>;
  return {name, level, argument_names, note, S::kinds, static_cast<u8>(S::count), &S::template invoke<function>};
}

}  // namespace vitrine::nt
