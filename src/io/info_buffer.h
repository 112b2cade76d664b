// Filling and reading the buffers of information classes.
#pragma once

#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "base/status.h"
#include "base/types.h"

namespace vitrine::io {

// Copies a fixed structure. info_length_mismatch when it does not fit.
template <typename T>
Status put(std::span<u8> out, const T& value, u32* written, std::size_t bytes = sizeof(T)) {
  if (out.size() < bytes) return Status::info_length_mismatch;
  std::memcpy(out.data(), &value, bytes);
  *written = static_cast<u32>(bytes);
  return Status::success;
}

// A fixed part of `name_offset` bytes and then as much of the name as fits. NT: buffer_overflow when the name was cut.
inline Status put_with_name(std::span<u8> out, const void* fixed, u32 name_offset, std::u16string_view name,
                            u32* written) {
  if (out.size() < name_offset) return Status::info_length_mismatch;
  std::memcpy(out.data(), fixed, name_offset);
  const std::size_t whole = name.size() * sizeof(char16_t);
  const std::size_t fits = whole < out.size() - name_offset ? whole : (out.size() - name_offset) & ~std::size_t{1};
  if (fits != 0) std::memcpy(out.data() + name_offset, name.data(), fits);
  *written = static_cast<u32>(name_offset + fits);
  return fits == whole ? Status::success : Status::buffer_overflow;
}

// Reads a fixed structure; nullopt when the buffer is shorter.
template <typename T>
std::optional<T> take(std::span<const u8> in, std::size_t bytes = sizeof(T)) {
  if (in.size() < bytes) return std::nullopt;
  T value{};
  std::memcpy(&value, in.data(), bytes);
  return value;
}

}  // namespace vitrine::io
