// GuestRecord: a variable-sized record built in the host before it is copied to a guest buffer: fixed parts, then
// strings and SIDs that the fixed parts point to. Offsets inside become guest addresses because the record knows where
// it will lie.
//
// `deliver` is the end of every query of this kind: it writes the needed length where the guest wants it, and either
// the whole record or what NT gives when the buffer is too short.
#pragma once

#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "nt/capture.h"

namespace vitrine::nt {

class GuestRecord {
 public:
  // `base` is the address of the guest buffer; only pointers that are stored in the record depend on it.
  explicit GuestRecord(Va base = 0) : base_(base) {}

  [[nodiscard]] u64 size() const { return bytes_.size(); }
  [[nodiscard]] Va address(u64 offset) const { return base_ + offset; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

  // Each returns the offset of what it added.
  template <typename T>
  u64 add(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return add_bytes(std::as_bytes(std::span(&value, 1)));
  }
  u64 add_bytes(std::span<const std::byte> bytes) {
    const u64 offset = bytes_.size();
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return offset;
  }
  u64 add_text(std::u16string_view text) { return add_bytes(std::as_bytes(std::span(text.data(), text.size()))); }
  u64 add_zeros(u64 count) {
    const u64 offset = bytes_.size();
    bytes_.resize(bytes_.size() + count);
    return offset;
  }
  void align(u64 alignment) { bytes_.resize(align_up(bytes_.size(), alignment)); }

  // Precondition: the value lies inside the record.
  template <typename T>
  void put(u64 offset, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    VITRINE_CHECK(offset + sizeof(T) <= bytes_.size());
    std::memcpy(bytes_.data() + offset, &value, sizeof(T));
  }

  // All or nothing: `too_short` when `length` is less than the record.
  [[nodiscard]] Status deliver(Call call, Buffer buffer, u32 length, UserPtr<u32> return_length,
                               Status too_short = Status::info_length_mismatch) const {
    if (return_length) VITRINE_TRY(return_length.write(call.space(), static_cast<u32>(bytes_.size())));
    if (length < bytes_.size()) return too_short;
    return call.space().write(buffer.address, bytes_);
  }

  // NT's way for records that end in a name or data: at least `fixed` bytes must fit (else buffer_too_small); a shorter
  // tail is cut, with buffer_overflow.
  [[nodiscard]] Status deliver_cut(Call call, Buffer buffer, u32 length, u64 fixed, UserPtr<u32> return_length) const {
    if (return_length) VITRINE_TRY(return_length.write(call.space(), static_cast<u32>(bytes_.size())));
    if (length < fixed) return Status::buffer_too_small;
    const u64 copied = std::min<u64>(length, bytes_.size());
    VITRINE_TRY(call.space().write(buffer.address, std::span(bytes_).first(copied)));
    return copied < bytes_.size() ? Status::buffer_overflow : Status::success;
  }

 private:
  Va base_;
  std::vector<std::byte> bytes_;
};

}  // namespace vitrine::nt
