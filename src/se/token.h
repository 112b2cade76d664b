// TokenData: what an access token says, as plain values. The object (type Token) is ps's; this is its content.
#pragma once

#include <optional>
#include <vector>

#include "base/status.h"
#include "se/security_descriptor.h"
#include "se/sid.h"

namespace vitrine::se {

struct Luid {
  u32 low = 0;
  i32 high = 0;
  auto operator<=>(const Luid&) const = default;
};

// Privilege numbers are the low part of their LUID. [winnt.h / wdm.h SE_*_PRIVILEGE]
enum class Privilege : u32 {
  create_token = 2,
  assign_primary_token = 3,
  lock_memory = 4,
  increase_quota = 5,
  tcb = 7,
  security = 8,
  take_ownership = 9,
  load_driver = 10,
  system_profile = 11,
  system_time = 12,
  profile_single_process = 13,
  increase_base_priority = 14,
  create_pagefile = 15,
  create_permanent = 16,
  backup = 17,
  restore = 18,
  shutdown = 19,
  debug = 20,
  audit = 21,
  system_environment = 22,
  change_notify = 23,
  remote_shutdown = 24,
  undock = 25,
  manage_volume = 28,
  impersonate = 29,
  create_global = 30,
  increase_working_set = 33,
  time_zone = 34,
  create_symbolic_link = 35,
};

namespace privilege_attributes {
inline constexpr u32 kEnabledByDefault = 1;
inline constexpr u32 kEnabled = 2;
inline constexpr u32 kRemoved = 4;
inline constexpr u32 kUsedForAccess = 0x8000'0000;
}  // namespace privilege_attributes

namespace group_attributes {
inline constexpr u32 kMandatory = 1;
inline constexpr u32 kEnabledByDefault = 2;
inline constexpr u32 kEnabled = 4;
inline constexpr u32 kOwner = 8;
inline constexpr u32 kUseForDenyOnly = 0x10;
inline constexpr u32 kIntegrity = 0x20;
inline constexpr u32 kIntegrityEnabled = 0x40;
inline constexpr u32 kLogonId = 0xC000'0000;
}  // namespace group_attributes

struct TokenGroup {
  Sid sid;
  u32 attributes = 0;
};
struct TokenPrivilege {
  Luid luid;
  u32 attributes = 0;
};

enum class TokenType : u8 { primary = 1, impersonation = 2 };
enum class ImpersonationLevel : u8 { anonymous, identification, impersonation, delegation };

struct TokenData {
  Luid id;
  Luid authentication_id;
  Luid modified_id;
  TokenType type = TokenType::primary;
  ImpersonationLevel impersonation_level = ImpersonationLevel::anonymous;
  bool elevated = false;
  u32 session_id = 1;
  u32 integrity_level = 0x2000;
  Sid user;
  Sid primary_group;
  std::vector<TokenGroup> groups;
  std::vector<TokenPrivilege> privileges;  // ascending by LUID
  std::vector<Ace> default_dacl;
  char source_name[8] = {'V', 'i', 't', 'r', 'i', 'n', 'e', 0};

  // Enabled groups and the user itself; deny-only groups count for denials alone.
  [[nodiscard]] bool has_sid(const Sid& sid, bool for_denial) const;
  [[nodiscard]] bool has_privilege(Privilege privilege) const;  // and enabled
  [[nodiscard]] const TokenPrivilege* find_privilege(Luid luid) const;
  // NtAdjustPrivilegesToken for one privilege. kRemoved deletes it. Returns the attributes before.
  // Error: not_all_assigned when the token does not hold it.
  [[nodiscard]] Result<u32> adjust_privilege(Luid luid, u32 attributes);
  // Bytes that NT would book for the variable part.
  [[nodiscard]] u32 booked_variable_bytes() const;
};

// The token of LocalSystem in session 0, and that of the interactive user (an administrator, not elevated unless
// asked).
[[nodiscard]] TokenData make_system_token();
[[nodiscard]] TokenData make_user_token(u32 session_id, bool elevated);

}  // namespace vitrine::se
