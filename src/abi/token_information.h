// TOKEN_INFORMATION_CLASS and its records as a 64-bit guest lays them out. [winnt.h, public header]
#pragma once

#include <array>

#include "base/types.h"

namespace vitrine::abi {

enum class TokenInformationClass : u32 {
  user = 1, groups, privileges, owner, primary_group, default_dacl, source, type, impersonation_level, statistics,
  restricted_sids, session_id, groups_and_privileges, session_reference, sandbox_inert, audit_policy, origin, elevation_type,
  linked_token, elevation, has_restrictions, access_information, virtualization_allowed, virtualization_enabled,
  integrity_level, ui_access, mandatory_policy, logon_sid, is_app_container, capabilities, app_container_sid,
  app_container_number,
};
static_assert(static_cast<u32>(TokenInformationClass::integrity_level) == 25);
static_assert(static_cast<u32>(TokenInformationClass::app_container_number) == 32);

namespace token_access {
inline constexpr u32 kAssignPrimary = 1, kDuplicate = 2, kImpersonate = 4, kQuery = 8, kQuerySource = 0x10,
                     kAdjustPrivileges = 0x20, kAdjustGroups = 0x40, kAdjustDefault = 0x80, kAdjustSessionId = 0x100,
                     kAll = 0xF'01FF;
}

struct Luid { u32 low; i32 high; };
struct LuidAndAttributes { Luid luid; u32 attributes; };
static_assert(sizeof(LuidAndAttributes) == 12);
struct SidAndAttributes {
  Va sid;
  u32 attributes, padding;
};
static_assert(sizeof(SidAndAttributes) == 16);

struct TokenSource {
  std::array<char, 8> name;
  Luid identifier;
};
struct TokenStatistics {
  Luid token_id, authentication_id;
  i64 expiration_time;
  u32 token_type, impersonation_level;
  u32 dynamic_charged, dynamic_available;  // bytes
  u32 group_count, privilege_count;
  Luid modified_id;
};
static_assert(sizeof(TokenStatistics) == 56);

// TOKEN_ELEVATION_TYPE: a token without a linked twin.
inline constexpr u32 kElevationTypeDefault = 1;
inline constexpr u32 kMandatoryPolicyNoWriteUp = 1;

struct PrivilegeSet { u32 count, control; };  // then LuidAndAttributes
inline constexpr u32 kPrivilegeSetAllNecessary = 1;

struct SecurityQualityOfService {
  u32 length, impersonation_level;
  u8 context_tracking, effective_only;
  u16 padding;
};
static_assert(sizeof(SecurityQualityOfService) == 12);

}  // namespace vitrine::abi
