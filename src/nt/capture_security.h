// Capturing security descriptors, SIDs and ACLs from guest memory, absolute or self-relative. Every count is bounded by NT's own
// limits (a SID has at most 15 sub-authorities, an ACL at most 64 KB).
#pragma once

#include "nt/capture.h"
#include "se/security_descriptor.h"

namespace vitrine::nt {

// Errors: access_violation, invalid_sid.
[[nodiscard]] Result<se::Sid> capture_sid(Call call, Va address);
// Errors: access_violation, invalid_acl.
[[nodiscard]] Result<std::vector<se::Ace>> capture_acl(Call call, Va address);
// Errors: access_violation, invalid_security_descr, invalid_sid, invalid_acl.
[[nodiscard]] Result<se::SecurityDescriptor> capture_descriptor(Call call, Va address);

}  // namespace vitrine::nt
