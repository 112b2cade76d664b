// Reading a process's memory as it is, without touching it: no fault, no accessed bit. What is not in guest RAM now
// (never touched, in a file, not filled in yet) is not there for kd either, with one exception: the first bytes of an
// untouched TEB are made from the thread's record, as its first touch would make them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <type_traits>

#include "kd/target.h"

namespace vitrine::kd {

// False: some byte is not there; `into` then holds anything.
[[nodiscard]] bool read_guest(const Target& target, const ps::Process& process, Va va, std::span<std::byte> into);

template <typename T>
  requires std::is_trivially_copyable_v<T>
[[nodiscard]] std::optional<T> read_guest(const Target& target, const ps::Process& process, Va va) {
  T value;
  if (!read_guest(target, process, va, std::as_writable_bytes(std::span(&value, 1)))) return std::nullopt;
  return value;
}

}  // namespace vitrine::kd
