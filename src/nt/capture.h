// Capturing what a guest passes by address, and handing results back. Every function copies through the page tables, bounds
// every length, and fails with the status that NT gives. None suspends.
//
// NT's order of checks: class or flags, probing, length, handle, state, resources [facts 10.2].
#pragma once

#include <string>
#include <vector>

#include "abi/strings.h"
#include "nt/call.h"
#include "nt/executive.h"
#include "nt/user_ptr.h"

namespace vitrine::nt {

using abi::ObjectAttributes;
using abi::UnicodeString;

// The calling thread's rights: its process's token, user mode.
[[nodiscard]] ob::AccessState user_access(Call call);

// A counted string. Errors: access_violation; object_name_invalid for an odd length.
[[nodiscard]] Result<std::u16string> capture_string(Call call, UserPtr<UnicodeString> string);

// OBJECT_ATTRIBUTES with its name and root. Null address: no attributes. Errors: invalid_parameter (length or attribute bits),
// access_violation, object_name_invalid, invalid_handle (root).
[[nodiscard]] Result<ob::ObjectAttributes> capture_attributes(Call call, UserPtr<ObjectAttributes> attributes);

// `bytes` of guest memory, at most `limit`: longer gives invalid_parameter.
[[nodiscard]] Result<std::vector<u8>> capture_bytes(Call call, Buffer buffer, u64 bytes, u64 limit);

// A timeout or due time: null address gives an empty optional, which is "for ever".
[[nodiscard]] Result<std::optional<Ticks>> capture_timeout(Call call, UserPtr<i64> timeout);

// ObReferenceObjectByHandle for the caller's table, user mode.
template <typename T>
[[nodiscard]] Result<ob::Ref<T>> reference(Call call, Handle handle, const ob::ObjectType& type, u32 desired_access) {
  return ob::reference_by_handle<T>(*call.process().handles, handle, type, desired_access, se::Mode::user);
}
// Any type. Errors: invalid_handle, access_denied.
[[nodiscard]] Result<ob::Ref<ob::Object>> reference_any(Call call, Handle handle, u32 desired_access);

[[nodiscard]] inline Result<ob::Ref<ps::Process>> reference_process(Call call, Handle handle, u32 access) {
  return reference<ps::Process>(call, handle, call->processes.process_type(), access);
}
[[nodiscard]] inline Result<ob::Ref<ps::Thread>> reference_thread(Call call, Handle handle, u32 access) {
  return reference<ps::Thread>(call, handle, call->processes.thread_type(), access);
}

// Fixed-size query: the guest's length must be exactly the structure's (most classes) or at least it. *return_length is written
// where it is not null, also when the length is wrong. Status: info_length_mismatch, access_violation.
enum class LengthRule : u8 { exact, at_least };
[[nodiscard]] Status return_bytes(Call call, Buffer buffer, u32 length, std::span<const std::byte> value,
                                  UserPtr<u32> return_length, LengthRule rule);
template <typename T>
[[nodiscard]] Status return_value(Call call, Buffer buffer, u32 length, const T& value, UserPtr<u32> return_length,
                                  LengthRule rule = LengthRule::exact) {
  return return_bytes(call, buffer, length, std::as_bytes(std::span(&value, 1)), return_length, rule);
}

// A UNICODE_STRING with its text behind it in one guest buffer (file names, object names). Too short: `too_short` with
// *return_length set to what is needed.
[[nodiscard]] Status return_string(Call call, Buffer buffer, u32 length, std::u16string_view text,
                                   UserPtr<u32> return_length, Status too_short = Status::info_length_mismatch);

// Writes a new handle to the guest; if that fails the handle is closed again.
[[nodiscard]] Status return_handle(Call call, UserPtr<Handle> address, Handle handle);

// Reads a fixed structure that the guest passes to a set class: exact length. Error: info_length_mismatch, access_violation.
template <typename T>
[[nodiscard]] Result<T> capture_value(Call call, Buffer buffer, u32 length) {
  if (length != sizeof(T)) return Failure(Status::info_length_mismatch);
  return buffer.as<T>().read(call.space());
}

}  // namespace vitrine::nt
