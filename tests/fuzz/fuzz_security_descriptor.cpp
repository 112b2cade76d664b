// links: se
// Any bytes are parsed as a self-relative security descriptor, as an ACL and as a SID. What comes out must serialise and parse
// to the same again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "se/access_check.h"
#include "se/security_descriptor.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vitrine::se;
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  (void)parse_sid(bytes);
  (void)parse_acl(bytes);
  const auto descriptor = parse_self_relative(bytes);
  if (!descriptor) return 0;
  const TokenData token = make_user_token(1, false);
  (void)access_check(&*descriptor, token, 0x0200'0001, {1, 2, 4, 7}, Mode::user);
  const auto once = serialize_self_relative(*descriptor, security_information::kAll);
  const auto again = parse_self_relative(once);
  if (!again || serialize_self_relative(*again, security_information::kAll) != once) std::abort();
  return 0;
}
