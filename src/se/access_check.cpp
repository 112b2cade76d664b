#include "se/access_check.h"

namespace vitrine::se {
namespace {

// What the list says about `wanted`: entries in order, each right decided by the first entry that names it.
struct Decision {
  u32 granted = 0;
  u32 denied = 0;
};

Decision apply(const std::vector<Ace>& dacl, const TokenData& token, u32 wanted, const GenericMapping& mapping) {
  Decision decision;
  for (const Ace& ace : dacl) {
    if ((ace.flags & ace_flags::kInheritOnly) != 0) continue;
    const u32 undecided = map_generic(ace.mask, mapping) & wanted & ~decision.granted & ~decision.denied;
    if (undecided == 0) continue;
    if (ace.type == AceType::allowed && token.has_sid(ace.sid, false)) decision.granted |= undecided;
    if (ace.type == AceType::denied && token.has_sid(ace.sid, true)) decision.denied |= undecided;
  }
  return decision;
}

}  // namespace

Result<u32> access_check(const SecurityDescriptor* descriptor, const TokenData& token, u32 desired,
                         const GenericMapping& mapping, Mode mode) {
  const bool wants_maximum = (desired & access::kMaximumAllowed) != 0;
  u32 wanted = map_generic(desired, mapping) & ~access::kMaximumAllowed;
  u32 granted = 0;
  if (mode == Mode::kernel) return wants_maximum ? wanted | mapping.all : wanted;
  if ((wanted & access::kAccessSystemSecurity) != 0) {
    if (!token.has_privilege(Privilege::security)) return Failure(Status::privilege_not_held);
    granted |= access::kAccessSystemSecurity;
    wanted &= ~access::kAccessSystemSecurity;
  }
  if (descriptor == nullptr || !descriptor->dacl) return granted | wanted | (wants_maximum ? mapping.all : 0);

  u32 free_rights = 0;
  if (token.has_privilege(Privilege::take_ownership)) free_rights |= access::kWriteOwner;
  if (descriptor->owner && token.has_sid(*descriptor->owner, false)) {
    free_rights |= access::kReadControl | access::kWriteDac;
  }
  granted |= wanted & free_rights;
  wanted &= ~free_rights;
  if (wants_maximum) {
    constexpr u32 kEveryRight = access::kStandardRightsAll | access::kSpecificRightsAll;
    granted |= apply(*descriptor->dacl, token, kEveryRight, mapping).granted | free_rights;
    if ((wanted & ~granted) != 0 || granted == 0) return Failure(Status::access_denied);
    return granted;
  }
  if (apply(*descriptor->dacl, token, wanted, mapping).granted != wanted) return Failure(Status::access_denied);
  return granted | wanted;
}

}  // namespace vitrine::se
