#include "nt/capture.h"

#include <limits>

#include "abi/object_constants.h"

namespace vitrine::nt {

ob::AccessState user_access(Call call) {
  // NT: the impersonation token counts from the impersonation level up; below it access is checked for nobody in particular, and
  // here for the process.
  if (call.thread->has_flag(ps::cross_thread_flags::kActiveImpersonation)) {
    const auto extra = call.process().thread_extras.find(call.thread->id);
    if (extra != call.process().thread_extras.end() && extra->second.impersonation &&
        extra->second.impersonation->data.impersonation_level >= se::ImpersonationLevel::impersonation) {
      return {se::Mode::user, &extra->second.impersonation->data};
    }
  }
  return {se::Mode::user, call.process().token ? &call.process().token->data : nullptr};
}

Result<std::u16string> capture_string(Call call, UserPtr<UnicodeString> string) {
  const auto header = string.read(call.space());
  if (!header) return Failure(header.error());
  if (header->length % 2 != 0) return Failure(Status::object_name_invalid);
  std::u16string text(header->length / 2, u'\0');
  if (text.empty()) return text;
  const Status status = call.space().read(header->buffer, std::as_writable_bytes(std::span(text)));
  if (!is_success(status)) return Failure(status);
  return text;
}

Result<ob::ObjectAttributes> capture_attributes(Call call, UserPtr<ObjectAttributes> attributes) {
  ob::ObjectAttributes captured;
  if (attributes.is_null()) return captured;
  const auto raw = attributes.read(call.space());
  if (!raw) return Failure(raw.error());
  if (raw->length != sizeof(ObjectAttributes)) return Failure(Status::invalid_parameter);
  if ((raw->attributes & ~abi::obj::kValidAttributes) != 0) return Failure(Status::invalid_parameter);
  captured.attributes = raw->attributes & ~abi::obj::kKernelHandle;  // NT: user mode cannot make kernel handles
  if (raw->object_name != 0) {
    auto name = capture_string(call, {raw->object_name});
    if (!name) return Failure(name.error());
    captured.name = std::move(*name);
  }
  if (raw->root_directory != 0) {
    auto root = reference_any(call, Handle{raw->root_directory}, 0);
    if (!root) return Failure(root.error());
    captured.root = std::move(*root);
  }
  return captured;
}

Result<std::vector<u8>> capture_bytes(Call call, Buffer buffer, u64 bytes, u64 limit) {
  if (bytes > limit) return Failure(Status::invalid_parameter);
  std::vector<u8> data(bytes);
  if (bytes == 0) return data;
  const Status status = call.space().read(buffer.address, std::as_writable_bytes(std::span(data)));
  if (!is_success(status)) return Failure(status);
  return data;
}

Result<std::optional<Ticks>> capture_timeout(Call call, UserPtr<i64> timeout) {
  if (timeout.is_null()) return std::optional<Ticks>();
  const auto value = timeout.read(call.space());
  if (!value) return Failure(value.error());
  // Programs pass the largest or smallest value for "for ever"; no clock reaches either.
  if (*value == std::numeric_limits<i64>::max() || *value == std::numeric_limits<i64>::min()) return std::optional<Ticks>();
  return std::optional(Ticks{*value});
}

Result<ob::Ref<ob::Object>> reference_any(Call call, Handle handle, u32 desired_access) {
  return call.process().handles->reference(handle, nullptr, desired_access, se::Mode::user);
}

Status return_bytes(Call call, Buffer buffer, u32 length, std::span<const std::byte> value, UserPtr<u32> return_length,
                    LengthRule rule) {
  const u32 size = static_cast<u32>(value.size());
  if (return_length) VITRINE_TRY(return_length.write(call.space(), size));
  if (rule == LengthRule::exact ? length != size : length < size) return Status::info_length_mismatch;
  return call.space().write(buffer.address, value);
}

Status return_string(Call call, Buffer buffer, u32 length, std::u16string_view text, UserPtr<u32> return_length,
                     Status too_short) {
  const u64 text_bytes = text.size() * 2;
  const u64 needed = sizeof(UnicodeString) + (text.empty() ? 0 : text_bytes + 2);
  if (text_bytes > 0xFFFC) return Status::name_too_long;
  if (return_length) VITRINE_TRY(return_length.write(call.space(), static_cast<u32>(needed)));
  if (length < needed) return too_short;
  UnicodeString header{};
  if (!text.empty()) {
    header = {static_cast<u16>(text_bytes), static_cast<u16>(text_bytes + 2), 0, buffer.address + sizeof(UnicodeString)};
    std::u16string terminated(text);
    terminated.push_back(u'\0');
    VITRINE_TRY(call.space().write(header.buffer, std::as_bytes(std::span(terminated.data(), terminated.size()))));
  }
  return buffer.as<UnicodeString>().write(call.space(), header);
}

Status return_handle(Call call, UserPtr<Handle> address, Handle handle) {
  const Status status = address.write(call.space(), handle);
  if (!is_success(status)) (void)call.process().handles->close(handle, se::Mode::kernel);
  return status;
}

}  // namespace vitrine::nt
