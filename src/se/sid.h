// Sid: a security identifier, plain and of fixed size in the host (68 bytes); `booked_bytes` is its size in NT.
// [winnt.h]
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/types.h"

namespace vitrine::se {

inline constexpr u32 kMaximumSubAuthorities = 15;  // NT: SID_MAX_SUB_AUTHORITIES

struct Sid {
  std::array<u8, 6> authority{};
  u8 count = 0;  // of sub-authorities in use
  std::array<u32, kMaximumSubAuthorities> sub_authorities{};

  [[nodiscard]] u32 booked_bytes() const { return 8 + 4 * count; }
  // "S-1-5-21-1-2-3-1000"; the form of the \Registry\User keys.
  [[nodiscard]] std::string text() const;
  bool operator==(const Sid& other) const;
};

// S-1-<authority>-<subs...>; at most 15 sub-authorities (checked).
[[nodiscard]] Sid make_sid(u8 authority, std::initializer_list<u32> sub_authorities);
// Reads a SID in NT's binary form from the front of `bytes`. Error: invalid_sid.
[[nodiscard]] Result<Sid> parse_sid(std::span<const std::byte> bytes);
// Appends the binary form.
void append_sid(std::vector<std::byte>& bytes, const Sid& sid);

// Well-known ones. [winnt.h]
namespace well_known {
[[nodiscard]] Sid everyone();                     // S-1-1-0
[[nodiscard]] Sid local();                        // S-1-2-0
[[nodiscard]] Sid interactive();                  // S-1-5-4
[[nodiscard]] Sid authenticated_users();          // S-1-5-11
[[nodiscard]] Sid local_system();                 // S-1-5-18
[[nodiscard]] Sid administrators();               // S-1-5-32-544
[[nodiscard]] Sid users();                        // S-1-5-32-545
[[nodiscard]] Sid logon(u32 high, u32 low);       // S-1-5-5-x-y
[[nodiscard]] Sid integrity(u32 level);           // S-1-16-level: 0x2000 medium, 0x3000 high, 0x4000 system
[[nodiscard]] Sid machine_user(u32 relative_id);  // S-1-5-21-0-0-0-rid: the one account of this machine is 1000
}  // namespace well_known

}  // namespace vitrine::se
