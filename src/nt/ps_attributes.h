// PS_ATTRIBUTE_LIST: what NtCreateThreadEx and NtCreateUserProcess take and give back beside their arguments.
#pragma once

#include <vector>

#include "abi/thread_information.h"
#include "nt/capture.h"

namespace vitrine::nt {

// The list at `list`; null gives an empty one. Errors: access_violation, invalid_parameter (its length is none of a list, or it is
// longer than any list of NT's).
[[nodiscard]] Result<std::vector<abi::PsAttribute>> capture_attribute_list(Call call, Va list);

// Writes an output attribute and its length where the guest wants them; a null value address takes nothing.
template <typename T>
[[nodiscard]] Status return_attribute(Call call, const abi::PsAttribute& attribute, const T& value) {
  if (attribute.value == 0) return Status::success;
  VITRINE_TRY(UserPtr<T>{attribute.value}.write(call.space(), value));
  if (attribute.return_length == 0) return Status::success;
  return UserPtr<u64>{attribute.return_length}.write(call.space(), sizeof(T));
}

}  // namespace vitrine::nt
