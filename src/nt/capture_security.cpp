#include "nt/capture_security.h"

#include "abi/object_information.h"

namespace vitrine::nt {
namespace {

constexpr u32 kSidHeaderBytes = 8, kAclHeaderBytes = 8;

// Where the four parts lie; 0: absent.
struct Parts {
  u16 control;
  Va owner, group, sacl, dacl;
};

Result<Parts> locate_parts(Call call, Va address) {
  const auto head = UserPtr<abi::SelfRelativeDescriptor>{address}.read(call.space());
  if (!head) return Failure(head.error());
  if (head->revision != 1) return Failure(Status::invalid_security_descr);
  if ((head->control & abi::kSelfRelative) != 0) {
    auto at = [address](u32 offset) { return offset == 0 ? Va{0} : address + offset; };
    return Parts{head->control, at(head->owner), at(head->group), at(head->sacl), at(head->dacl)};
  }
  const auto absolute = UserPtr<abi::AbsoluteDescriptor>{address}.read(call.space());
  if (!absolute) return Failure(absolute.error());
  return Parts{absolute->control, absolute->owner, absolute->group, absolute->sacl, absolute->dacl};
}

}  // namespace

Result<se::Sid> capture_sid(Call call, Va address) {
  std::array<std::byte, kSidHeaderBytes + 4 * se::kMaximumSubAuthorities> bytes{};
  if (const Status s = call.space().read(address, std::span(bytes).first(kSidHeaderBytes)); !is_success(s))
    return Failure(s);
  const u32 count = static_cast<u8>(bytes[1]);
  if (count > se::kMaximumSubAuthorities) return Failure(Status::invalid_sid);
  const auto tail = std::span(bytes).subspan(kSidHeaderBytes, 4 * count);
  if (const Status s = call.space().read(address + kSidHeaderBytes, tail); !is_success(s)) return Failure(s);
  return se::parse_sid(std::span(bytes).first(kSidHeaderBytes + 4 * count));
}

Result<std::vector<se::Ace>> capture_acl(Call call, Va address) {
  struct Header {
    u8 revision, reserved;
    u16 size, count, reserved2;
  };
  const auto header = UserPtr<Header>{address}.read(call.space());
  if (!header) return Failure(header.error());
  if (header->size < kAclHeaderBytes) return Failure(Status::invalid_acl);
  std::vector<std::byte> bytes(header->size);
  if (const Status s = call.space().read(address, bytes); !is_success(s)) return Failure(s);
  return se::parse_acl(bytes);
}

Result<se::SecurityDescriptor> capture_descriptor(Call call, Va address) {
  const auto parts = locate_parts(call, address);
  if (!parts) return Failure(parts.error());
  se::SecurityDescriptor descriptor;
  if (parts->owner != 0) {
    auto sid = capture_sid(call, parts->owner);
    if (!sid) return Failure(sid.error());
    descriptor.owner = *sid;
  }
  if (parts->group != 0) {
    auto sid = capture_sid(call, parts->group);
    if (!sid) return Failure(sid.error());
    descriptor.group = *sid;
  }
  // A list that is "present" but null grants everything, like an absent one [WI6 ch. 6].
  if ((parts->control & abi::kDaclPresent) != 0 && parts->dacl != 0) {
    auto acl = capture_acl(call, parts->dacl);
    if (!acl) return Failure(acl.error());
    descriptor.dacl = std::move(*acl);
  }
  if ((parts->control & abi::kSaclPresent) != 0 && parts->sacl != 0) {
    auto acl = capture_acl(call, parts->sacl);
    if (!acl) return Failure(acl.error());
    descriptor.sacl = std::move(*acl);
  }
  return descriptor;
}

}  // namespace vitrine::nt
