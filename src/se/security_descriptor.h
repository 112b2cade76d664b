// SecurityDescriptor: owner, group and discretionary list as plain values, and its self-relative binary form. [winnt.h]
// Refuses auditing: a system list is carried through as bytes of entries, but nothing is audited.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "se/sid.h"

namespace vitrine::se {

enum class AceType : u8 { allowed = 0, denied = 1, audit = 2, mandatory_label = 0x11 };

namespace ace_flags {
inline constexpr u8 kObjectInherit = 1;
inline constexpr u8 kContainerInherit = 2;
inline constexpr u8 kNoPropagate = 4;
inline constexpr u8 kInheritOnly = 8;
}  // namespace ace_flags

struct Ace {
  AceType type = AceType::allowed;
  u8 flags = 0;
  u32 mask = 0;
  Sid sid;
};

// An absent list (nullopt) grants everything; an empty one grants nothing.
using Acl = std::optional<std::vector<Ace>>;

struct SecurityDescriptor {
  std::optional<Sid> owner;
  std::optional<Sid> group;
  Acl dacl;
  Acl sacl;

  // Size of the self-relative form in bytes.
  [[nodiscard]] u32 booked_bytes() const;
};

// SECURITY_INFORMATION bits: which parts a query or set concerns.
namespace security_information {
inline constexpr u32 kOwner = 1;
inline constexpr u32 kGroup = 2;
inline constexpr u32 kDacl = 4;
inline constexpr u32 kSacl = 8;
inline constexpr u32 kLabel = 0x10;
inline constexpr u32 kAll = 0x1F;
}  // namespace security_information

inline constexpr u32 kMaximumDescriptorBytes =
    0x2'0000;  // NT: an ACL's size is 16 bits, so two of them and two SIDs fit

// Every offset and count is checked against `bytes`. Errors: invalid_security_descr, invalid_acl, invalid_sid.
[[nodiscard]] Result<SecurityDescriptor> parse_self_relative(std::span<const std::byte> bytes);
// The parts that `information` names.
[[nodiscard]] std::vector<std::byte> serialize_self_relative(const SecurityDescriptor& descriptor, u32 information);
// One ACL in binary form, as token queries and absolute descriptors have it. Error: invalid_acl.
[[nodiscard]] Result<std::vector<Ace>> parse_acl(std::span<const std::byte> bytes);
void append_acl(std::vector<std::byte>& bytes, const std::vector<Ace>& acl);
// Overwrites the parts of `target` that `information` names.
void merge(SecurityDescriptor& target, const SecurityDescriptor& source, u32 information);

}  // namespace vitrine::se
