// NTSTATUS as a type, the only error type of the kernel. The values are NT's own (ntstatus.h, facts in the public WDK);
// the list is base/status.def, one line per code, so that the name of every status can be printed.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/types.h"

namespace vitrine {

enum class [[nodiscard]] Status : u32 {
#define VITRINE_STATUS(name, value) name = value,
#include "base/status.def"
#undef VITRINE_STATUS
};

// NT: severity is the top two bits; success and informational are not errors (NT_SUCCESS).
[[nodiscard]] constexpr bool is_success(Status status) { return static_cast<i32>(status) >= 0; }
[[nodiscard]] constexpr bool is_error(Status status) { return (static_cast<u32>(status) >> 30) == 3; }

// "STATUS_ACCESS_DENIED", or "0xC0001234" for a code that has no line in status.def.
[[nodiscard]] std::string status_name(Status status);

template <typename T>
using Result = std::expected<T, Status>;
using Failure = std::unexpected<Status>;

}  // namespace vitrine

// Propagates a failing Status (or Result) from the current function.
#define VITRINE_TRY(expression)                                       \
  do {                                                                \
    if (::vitrine::Status try_status_ = (expression); !::vitrine::is_success(try_status_)) return try_status_; \
  } while (false)
