#include "se/sid.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace vitrine::se {

bool Sid::operator==(const Sid& other) const {
  return authority == other.authority && count == other.count &&
         std::equal(sub_authorities.begin(), sub_authorities.begin() + count, other.sub_authorities.begin());
}

std::string Sid::text() const {
  u64 value = 0;
  for (const u8 byte : authority) value = value << 8 | byte;
  // NT: authorities of more than 32 bits are printed in hexadecimal [RtlConvertSidToUnicodeString].
  std::string result = value >> 32 == 0 ? fmt::format("S-1-{}", value) : fmt::format("S-1-{:#014x}", value);
  for (u32 i = 0; i < count; ++i) result += fmt::format("-{}", sub_authorities[i]);
  return result;
}

Sid make_sid(u8 authority, std::initializer_list<u32> sub_authorities) {
  VITRINE_CHECK(sub_authorities.size() <= kMaximumSubAuthorities);
  Sid sid;
  sid.authority[5] = authority;
  for (const u32 value : sub_authorities) sid.sub_authorities[sid.count++] = value;
  return sid;
}

Result<Sid> parse_sid(std::span<const std::byte> bytes) {
  const auto byte_at = [&](std::size_t offset) { return static_cast<u8>(bytes[offset]); };
  if (bytes.size() < 8 || byte_at(0) != 1 || byte_at(1) > kMaximumSubAuthorities) return Failure(Status::invalid_sid);
  Sid sid;
  sid.count = byte_at(1);
  if (bytes.size() < sid.booked_bytes()) return Failure(Status::invalid_sid);
  for (u32 i = 0; i < 6; ++i) sid.authority[i] = byte_at(2 + i);
  for (u32 i = 0; i < sid.count; ++i) {
    u32 value = 0;
    for (u32 j = 0; j < 4; ++j) value |= u32{byte_at(8 + 4 * i + j)} << (8 * j);
    sid.sub_authorities[i] = value;
  }
  return sid;
}

void append_sid(std::vector<std::byte>& bytes, const Sid& sid) {
  bytes.push_back(std::byte{1});
  bytes.push_back(std::byte{sid.count});
  for (const u8 value : sid.authority) bytes.push_back(std::byte{value});
  for (u32 i = 0; i < sid.count; ++i) {
    for (u32 j = 0; j < 4; ++j) bytes.push_back(static_cast<std::byte>(sid.sub_authorities[i] >> (8 * j)));
  }
}

namespace well_known {
Sid everyone() { return make_sid(1, {0}); }
Sid local() { return make_sid(2, {0}); }
Sid interactive() { return make_sid(5, {4}); }
Sid authenticated_users() { return make_sid(5, {11}); }
Sid local_system() { return make_sid(5, {18}); }
Sid administrators() { return make_sid(5, {32, 544}); }
Sid users() { return make_sid(5, {32, 545}); }
Sid logon(u32 high, u32 low) { return make_sid(5, {5, high, low}); }
Sid integrity(u32 level) { return make_sid(16, {level}); }
Sid machine_user(u32 relative_id) { return make_sid(5, {21, 0, 0, 0, relative_id}); }
}  // namespace well_known

}  // namespace vitrine::se
