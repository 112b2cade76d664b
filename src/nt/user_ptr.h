// Typed views of guest arguments. A UserPtr is an address that a guest handed over: it is never dereferenced, only copied
// through the page tables, and every copy can fail. Handle is a handle value as the guest gave it.
#pragma once

#include <span>
#include <type_traits>

#include "base/status.h"
#include "base/types.h"
#include "ex/handle_table.h"
#include "mm/address_space.h"

namespace vitrine::nt {

using ex::Handle;

template <typename T>
struct UserPtr {
  Va address = 0;

  [[nodiscard]] bool is_null() const { return address == 0; }
  explicit operator bool() const { return address != 0; }

  // Copies the value out of the guest. Errors: access_violation, and what a failing page-in gives.
  [[nodiscard]] Result<T> read(mm::AddressSpace& space) const {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    const Status status = space.read(address, std::as_writable_bytes(std::span(&value, 1)));
    if (!is_success(status)) return Failure(status);
    return value;
  }
  [[nodiscard]] Status write(mm::AddressSpace& space, const T& value) const {
    static_assert(std::is_trivially_copyable_v<T>);
    return space.write(address, std::as_bytes(std::span(&value, 1)));
  }
  [[nodiscard]] UserPtr element(u64 index) const { return {address + index * sizeof(T)}; }
};

// Untyped guest buffer.
template <>
struct UserPtr<void> {
  Va address = 0;
  [[nodiscard]] bool is_null() const { return address == 0; }
  explicit operator bool() const { return address != 0; }
  template <typename T>
  [[nodiscard]] UserPtr<T> as() const { return {address}; }
};

using Buffer = UserPtr<void>;

}  // namespace vitrine::nt
