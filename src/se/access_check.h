// SeAccessCheck: which of the desired rights a token gets on an object. [WI6 ch. 6]
#pragma once

#include "base/status.h"
#include "se/access.h"
#include "se/security_descriptor.h"
#include "se/token.h"

namespace vitrine::se {

// `desired` may hold generic bits and MAXIMUM_ALLOWED. Kernel mode and a null descriptor grant all that was asked
// (MAXIMUM_ALLOWED: the type's GENERIC_ALL). Returns the granted mask without generic bits.
//
// NT: entries apply in order, a right once decided stays decided; the owner always gets READ_CONTROL and WRITE_DAC;
// ACCESS_SYSTEM_SECURITY needs SeSecurityPrivilege, WRITE_OWNER can come from SeTakeOwnershipPrivilege.
// Errors: access_denied, privilege_not_held (ACCESS_SYSTEM_SECURITY only).
[[nodiscard]] Result<u32> access_check(const SecurityDescriptor* descriptor, const TokenData& token, u32 desired,
                                       const GenericMapping& mapping, Mode mode);

}  // namespace vitrine::se
