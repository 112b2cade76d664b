#include "se/token.h"

#include <algorithm>
#include <initializer_list>

#include "se/access.h"

namespace vitrine::se {
namespace {

constexpr u32 kGroupDefault =
    group_attributes::kMandatory | group_attributes::kEnabledByDefault | group_attributes::kEnabled;
constexpr u32 kEnabledByDefault = privilege_attributes::kEnabledByDefault | privilege_attributes::kEnabled;

void add_privileges(TokenData& token, std::initializer_list<Privilege> privileges, u32 attributes) {
  for (const Privilege privilege : privileges)
    token.privileges.push_back({{static_cast<u32>(privilege), 0}, attributes});
  std::sort(token.privileges.begin(), token.privileges.end(),
            [](const TokenPrivilege& left, const TokenPrivilege& right) { return left.luid.low < right.luid.low; });
}

}  // namespace

bool TokenData::has_sid(const Sid& sid, bool for_denial) const {
  if (sid == user) return true;
  return std::any_of(groups.begin(), groups.end(), [&](const TokenGroup& group) {
    if (!(group.sid == sid)) return false;
    if ((group.attributes & group_attributes::kEnabled) != 0) return true;
    return for_denial && (group.attributes & group_attributes::kUseForDenyOnly) != 0;
  });
}

const TokenPrivilege* TokenData::find_privilege(Luid luid) const {
  const auto found = std::find_if(privileges.begin(), privileges.end(),
                                  [&](const TokenPrivilege& privilege) { return privilege.luid == luid; });
  return found == privileges.end() ? nullptr : &*found;
}

bool TokenData::has_privilege(Privilege privilege) const {
  const TokenPrivilege* held = find_privilege({static_cast<u32>(privilege), 0});
  return held != nullptr && (held->attributes & privilege_attributes::kEnabled) != 0;
}

Result<u32> TokenData::adjust_privilege(Luid luid, u32 attributes) {
  const auto found = std::find_if(privileges.begin(), privileges.end(),
                                  [&](const TokenPrivilege& privilege) { return privilege.luid == luid; });
  if (found == privileges.end()) return Failure(Status::not_all_assigned);
  const u32 before = found->attributes;
  if ((attributes & privilege_attributes::kRemoved) != 0) {
    privileges.erase(found);
    return before;
  }
  found->attributes = (before & ~privilege_attributes::kEnabled) | (attributes & privilege_attributes::kEnabled);
  return before;
}

u32 TokenData::booked_variable_bytes() const {
  // SID_AND_ATTRIBUTES of user and groups (16 bytes each on x64) with their SIDs, LUID_AND_ATTRIBUTES (12), the default
  // list.
  u32 bytes = 16 + user.booked_bytes() + 12 * static_cast<u32>(privileges.size());
  for (const TokenGroup& group : groups) bytes += 16 + group.sid.booked_bytes();
  for (const Ace& ace : default_dacl) bytes += 8 + ace.sid.booked_bytes();
  return bytes;
}

TokenData make_system_token() {
  TokenData token;
  token.id = {0x3E7, 0};
  token.authentication_id = {0x3E7, 0};  // NT: SYSTEM_LUID
  token.session_id = 0;
  token.elevated = true;
  token.integrity_level = 0x4000;
  token.user = well_known::local_system();
  token.primary_group = well_known::local_system();
  token.groups = {{well_known::administrators(),
                   group_attributes::kEnabledByDefault | group_attributes::kEnabled | group_attributes::kOwner},
                  {well_known::everyone(), kGroupDefault},
                  {well_known::authenticated_users(), kGroupDefault}};
  add_privileges(
      token,
      {Privilege::assign_primary_token, Privilege::increase_quota, Privilege::security, Privilege::take_ownership,
       Privilege::load_driver, Privilege::system_time, Privilege::backup, Privilege::restore, Privilege::shutdown,
       Privilege::system_environment, Privilege::undock, Privilege::manage_volume},
      0);
  add_privileges(
      token,
      {Privilege::tcb, Privilege::lock_memory, Privilege::system_profile, Privilege::profile_single_process,
       Privilege::increase_base_priority, Privilege::create_pagefile, Privilege::create_permanent, Privilege::debug,
       Privilege::audit, Privilege::change_notify, Privilege::impersonate, Privilege::create_global,
       Privilege::increase_working_set, Privilege::time_zone, Privilege::create_symbolic_link},
      kEnabledByDefault);
  token.default_dacl = {{AceType::allowed, 0, access::kGenericAll, well_known::local_system()},
                        {AceType::allowed, 0, access::kGenericExecute | access::kGenericRead | access::kReadControl,
                         well_known::administrators()}};
  return token;
}

TokenData make_user_token(u32 session_id, bool elevated) {
  TokenData token;
  token.id = {0x1'0000, 0};
  token.authentication_id = {0x1'0001, 0};
  token.modified_id = token.id;
  token.session_id = session_id;
  token.elevated = elevated;
  token.integrity_level = elevated ? 0x3000 : 0x2000;
  token.user = well_known::machine_user(1000);
  token.primary_group = well_known::machine_user(513);  // NT: DOMAIN_GROUP_RID_USERS
  const u32 administrator = elevated ? kGroupDefault | group_attributes::kOwner : group_attributes::kUseForDenyOnly;
  token.groups = {{well_known::machine_user(513), kGroupDefault},
                  {well_known::everyone(), kGroupDefault},
                  {well_known::local(), kGroupDefault},
                  {well_known::interactive(), kGroupDefault},
                  {well_known::authenticated_users(), kGroupDefault},
                  {well_known::administrators(), administrator},
                  {well_known::users(), kGroupDefault},
                  {well_known::logon(0, session_id), kGroupDefault | group_attributes::kLogonId}};
  add_privileges(token, {Privilege::shutdown, Privilege::undock, Privilege::increase_working_set, Privilege::time_zone},
                 0);
  add_privileges(token, {Privilege::change_notify}, kEnabledByDefault);
  if (elevated) {
    add_privileges(token,
                   {Privilege::increase_quota, Privilege::security, Privilege::take_ownership, Privilege::load_driver,
                    Privilege::system_profile, Privilege::system_time, Privilege::profile_single_process,
                    Privilege::increase_base_priority, Privilege::create_pagefile, Privilege::backup,
                    Privilege::restore, Privilege::debug, Privilege::system_environment, Privilege::remote_shutdown,
                    Privilege::manage_volume, Privilege::lock_memory, Privilege::create_symbolic_link},
                   0);
    add_privileges(token, {Privilege::impersonate, Privilege::create_global}, kEnabledByDefault);
  }
  token.default_dacl = {{AceType::allowed, 0, access::kGenericAll, token.user},
                        {AceType::allowed, 0, access::kGenericAll, well_known::local_system()}};
  return token;
}

}  // namespace vitrine::se
