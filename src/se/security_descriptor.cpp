#include "se/security_descriptor.h"

#include <utility>

namespace vitrine::se {
namespace {

// SECURITY_DESCRIPTOR_CONTROL and layout of the self-relative form. [winnt.h]
constexpr u16 kDaclPresent = 0x0004;
constexpr u16 kSaclPresent = 0x0010;
constexpr u16 kSelfRelative = 0x8000;
constexpr u32 kHeaderBytes = 20;
constexpr u32 kAclHeaderBytes = 8;
constexpr u32 kAceHeaderBytes = 8;  // type, flags, size, mask

u32 read_u16(std::span<const std::byte> bytes, std::size_t offset) {
  return static_cast<u32>(bytes[offset]) | static_cast<u32>(bytes[offset + 1]) << 8;
}
u32 read_u32(std::span<const std::byte> bytes, std::size_t offset) {
  return read_u16(bytes, offset) | read_u16(bytes, offset + 2) << 16;
}
void append_u16(std::vector<std::byte>& bytes, u32 value) {
  bytes.push_back(static_cast<std::byte>(value));
  bytes.push_back(static_cast<std::byte>(value >> 8));
}
void append_u32(std::vector<std::byte>& bytes, u32 value) {
  append_u16(bytes, value);
  append_u16(bytes, value >> 16);
}
void write_u32(std::vector<std::byte>& bytes, std::size_t offset, std::size_t value) {
  for (u32 i = 0; i < 4; ++i) bytes[offset + i] = static_cast<std::byte>(value >> (8 * i));
}

u32 acl_bytes(const std::vector<Ace>& acl) {
  u32 bytes = kAclHeaderBytes;
  for (const Ace& ace : acl) bytes += kAceHeaderBytes + ace.sid.booked_bytes();
  return bytes;
}

// The part of `bytes` at an offset of the header; empty result: no such part.
Result<std::span<const std::byte>> part(std::span<const std::byte> bytes, u32 offset) {
  if (offset < kHeaderBytes || offset >= bytes.size()) return Failure(Status::invalid_security_descr);
  return bytes.subspan(offset);
}

Result<std::optional<Sid>> parse_sid_at(std::span<const std::byte> bytes, u32 offset) {
  if (offset == 0) return std::optional<Sid>{};
  const auto where = part(bytes, offset);
  if (!where) return Failure(where.error());
  const Result<Sid> sid = parse_sid(*where);
  if (!sid) return Failure(sid.error());
  return std::optional<Sid>(*sid);
}

// NT: a list that is "present" at offset 0 is the null list, which grants everything, like an absent one.
Result<Acl> parse_acl_at(std::span<const std::byte> bytes, bool present, u32 offset) {
  if (!present || offset == 0) return Acl{};
  const auto where = part(bytes, offset);
  if (!where) return Failure(where.error());
  Result<std::vector<Ace>> entries = parse_acl(*where);
  if (!entries) return Failure(entries.error());
  return Acl(std::move(*entries));
}

}  // namespace

u32 SecurityDescriptor::booked_bytes() const {
  u32 bytes = kHeaderBytes;
  if (owner) bytes += owner->booked_bytes();
  if (group) bytes += group->booked_bytes();
  if (dacl) bytes += acl_bytes(*dacl);
  if (sacl) bytes += acl_bytes(*sacl);
  return bytes;
}

Result<std::vector<Ace>> parse_acl(std::span<const std::byte> bytes) {
  if (bytes.size() < kAclHeaderBytes) return Failure(Status::invalid_acl);
  const u32 revision = static_cast<u32>(bytes[0]);
  const u32 size = read_u16(bytes, 2);
  const u32 count = read_u16(bytes, 4);
  if (revision < 2 || revision > 4 || size < kAclHeaderBytes || size > bytes.size())
    return Failure(Status::invalid_acl);
  std::vector<Ace> acl;
  u32 offset = kAclHeaderBytes;
  for (u32 i = 0; i < count; ++i) {
    if (size - offset < kAceHeaderBytes) return Failure(Status::invalid_acl);
    const u32 ace_size = read_u16(bytes, offset + 2);
    if (ace_size < kAceHeaderBytes || ace_size > size - offset || ace_size % 4 != 0)
      return Failure(Status::invalid_acl);
    Ace ace{static_cast<AceType>(bytes[offset]), static_cast<u8>(bytes[offset + 1]), read_u32(bytes, offset + 4), {}};
    switch (ace.type) {
      case AceType::allowed:
      case AceType::denied:
      case AceType::audit:
      case AceType::mandatory_label: {
        const Result<Sid> sid = parse_sid(bytes.subspan(offset + kAceHeaderBytes, ace_size - kAceHeaderBytes));
        if (!sid) return Failure(sid.error());
        ace.sid = *sid;
        acl.push_back(ace);
        break;
      }
      default:  // object and callback entries have no effect here and are left out
        break;
    }
    offset += ace_size;
  }
  return acl;
}

void append_acl(std::vector<std::byte>& bytes, const std::vector<Ace>& acl) {
  append_u16(bytes, 2);  // revision 2, padding
  append_u16(bytes, acl_bytes(acl));
  append_u16(bytes, static_cast<u32>(acl.size()));
  append_u16(bytes, 0);
  for (const Ace& ace : acl) {
    bytes.push_back(static_cast<std::byte>(ace.type));
    bytes.push_back(std::byte{ace.flags});
    append_u16(bytes, kAceHeaderBytes + ace.sid.booked_bytes());
    append_u32(bytes, ace.mask);
    append_sid(bytes, ace.sid);
  }
}

Result<SecurityDescriptor> parse_self_relative(std::span<const std::byte> bytes) {
  if (bytes.size() < kHeaderBytes || bytes.size() > kMaximumDescriptorBytes || static_cast<u8>(bytes[0]) != 1) {
    return Failure(Status::invalid_security_descr);
  }
  const u32 control = read_u16(bytes, 2);
  if ((control & kSelfRelative) == 0) return Failure(Status::invalid_security_descr);
  const auto owner = parse_sid_at(bytes, read_u32(bytes, 4));
  if (!owner) return Failure(owner.error());
  const auto group = parse_sid_at(bytes, read_u32(bytes, 8));
  if (!group) return Failure(group.error());
  Result<Acl> sacl = parse_acl_at(bytes, (control & kSaclPresent) != 0, read_u32(bytes, 12));
  if (!sacl) return Failure(sacl.error());
  Result<Acl> dacl = parse_acl_at(bytes, (control & kDaclPresent) != 0, read_u32(bytes, 16));
  if (!dacl) return Failure(dacl.error());
  return SecurityDescriptor{*owner, *group, std::move(*dacl), std::move(*sacl)};
}

std::vector<std::byte> serialize_self_relative(const SecurityDescriptor& descriptor, u32 information) {
  const bool with_dacl = (information & security_information::kDacl) != 0;
  const bool with_sacl = (information & (security_information::kSacl | security_information::kLabel)) != 0;
  u32 control = kSelfRelative;
  if (with_dacl) control |= kDaclPresent;
  if (with_sacl && descriptor.sacl) control |= kSaclPresent;
  std::vector<std::byte> bytes;
  append_u16(bytes, 1);  // revision 1, padding
  append_u16(bytes, control);
  bytes.resize(kHeaderBytes);
  if ((information & security_information::kOwner) != 0 && descriptor.owner) {
    write_u32(bytes, 4, bytes.size());
    append_sid(bytes, *descriptor.owner);
  }
  if ((information & security_information::kGroup) != 0 && descriptor.group) {
    write_u32(bytes, 8, bytes.size());
    append_sid(bytes, *descriptor.group);
  }
  if (with_sacl && descriptor.sacl) {
    write_u32(bytes, 12, bytes.size());
    append_acl(bytes, *descriptor.sacl);
  }
  if (with_dacl && descriptor.dacl) {
    write_u32(bytes, 16, bytes.size());
    append_acl(bytes, *descriptor.dacl);
  }
  return bytes;
}

void merge(SecurityDescriptor& target, const SecurityDescriptor& source, u32 information) {
  if ((information & security_information::kOwner) != 0) target.owner = source.owner;
  if ((information & security_information::kGroup) != 0) target.group = source.group;
  if ((information & security_information::kDacl) != 0) target.dacl = source.dacl;
  if ((information & (security_information::kSacl | security_information::kLabel)) != 0) target.sacl = source.sacl;
}

}  // namespace vitrine::se
