// NtQueryInformationToken and NtSetInformationToken. [winnt.h; WI6 ch. 6]
#include "nt/token_information.h"

#include <algorithm>
#include <limits>

#include "abi/token_information.h"
#include "nt/capture_security.h"
#include "nt/guest_record.h"
#include "nt/token_reference.h"

namespace vitrine::nt {
namespace {

using abi::TokenInformationClass;
namespace token_access = abi::token_access;

abi::Luid guest(se::Luid luid) { return {luid.low, luid.high}; }

// Appends a SID, 4-aligned, and returns its guest address.
Va place_sid(GuestRecord& record, const se::Sid& sid) {
  record.align(4);
  std::vector<std::byte> bytes;
  se::append_sid(bytes, sid);
  return record.address(record.add_bytes(bytes));
}

void add_sid_and_attributes(GuestRecord& record, const se::Sid& sid, u32 attributes) {
  const u64 at = record.add_zeros(sizeof(abi::SidAndAttributes));
  record.put(at, abi::SidAndAttributes{place_sid(record, sid), attributes, 0});
}

void add_sid_pointer(GuestRecord& record, const se::Sid& sid) {
  const u64 at = record.add_zeros(sizeof(Va));
  record.put(at, place_sid(record, sid));
}

void add_groups(GuestRecord& record, const std::vector<se::TokenGroup>& groups) {
  record.add(u64{groups.size()});  // a count of 32 bits and padding
  const u64 array = record.add_zeros(groups.size() * sizeof(abi::SidAndAttributes));
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const Va sid = place_sid(record, groups[i].sid);
    record.put(array + i * sizeof(abi::SidAndAttributes), abi::SidAndAttributes{sid, groups[i].attributes, 0});
  }
}

abi::TokenStatistics statistics(const se::TokenData& token) {
  abi::TokenStatistics s{};
  s.token_id = guest(token.id);
  s.authentication_id = guest(token.authentication_id);
  s.expiration_time = std::numeric_limits<i64>::max();  // never
  s.token_type = static_cast<u32>(token.type);
  s.impersonation_level = static_cast<u32>(token.impersonation_level);
  s.dynamic_charged = token.booked_variable_bytes();
  s.group_count = static_cast<u32>(token.groups.size());
  s.privilege_count = static_cast<u32>(token.privileges.size());
  s.modified_id = guest(token.modified_id);
  return s;
}

// Records with SIDs or lists in them: how long they are depends on the token. False: another class.
bool fill_variable(GuestRecord& record, const se::TokenData& token, TokenInformationClass wanted) {
  switch (wanted) {
    case TokenInformationClass::user:
      add_sid_and_attributes(record, token.user, 0);
      return true;
    case TokenInformationClass::groups:
      add_groups(record, token.groups);
      return true;
    case TokenInformationClass::privileges:
      record.add(static_cast<u32>(token.privileges.size()));
      for (const se::TokenPrivilege& p : token.privileges)
        record.add(abi::LuidAndAttributes{guest(p.luid), p.attributes});
      return true;
    case TokenInformationClass::owner:
      add_sid_pointer(record, token.user);
      return true;  // NT: the default owner
    case TokenInformationClass::primary_group:
      add_sid_pointer(record, token.primary_group);
      return true;
    case TokenInformationClass::default_dacl: {
      const u64 at = record.add_zeros(sizeof(Va));
      std::vector<std::byte> acl;
      se::append_acl(acl, token.default_dacl);
      record.put(at, record.address(record.add_bytes(acl)));
      return true;
    }
    case TokenInformationClass::restricted_sids:
    case TokenInformationClass::capabilities:
      add_groups(record, {});
      return true;
    case TokenInformationClass::logon_sid: {
      std::vector<se::TokenGroup> logon;
      std::ranges::copy_if(token.groups, std::back_inserter(logon), [](const se::TokenGroup& g) {
        return (g.attributes & se::group_attributes::kLogonId) == se::group_attributes::kLogonId;
      });
      add_groups(record, logon);
      return true;
    }
    case TokenInformationClass::integrity_level:
      add_sid_and_attributes(record, se::well_known::integrity(token.integrity_level),
                             se::group_attributes::kIntegrity | se::group_attributes::kIntegrityEnabled);
      return true;
    case TokenInformationClass::app_container_sid:
      record.add(Va{0});
      return true;
    default:
      return false;
  }
}

Status fill_fixed(GuestRecord& record, const se::TokenData& token, TokenInformationClass wanted) {
  switch (wanted) {
    case TokenInformationClass::source: {
      abi::TokenSource source{};
      std::ranges::copy(token.source_name, source.name.begin());
      record.add(source);
      return Status::success;
    }
    case TokenInformationClass::type:
      record.add(static_cast<u32>(token.type));
      return Status::success;
    case TokenInformationClass::impersonation_level:
      if (token.type != se::TokenType::impersonation) return Status::invalid_parameter;
      record.add(static_cast<u32>(token.impersonation_level));
      return Status::success;
    case TokenInformationClass::statistics:
      record.add(statistics(token));
      return Status::success;
    case TokenInformationClass::session_id:
      record.add(token.session_id);
      return Status::success;
    case TokenInformationClass::origin:
      record.add(guest(token.authentication_id));
      return Status::success;
    case TokenInformationClass::elevation_type:
      record.add(abi::kElevationTypeDefault);
      return Status::success;
    // NT: a token that was not split at logon has no twin.
    case TokenInformationClass::linked_token:
      return Status::no_such_logon_session;
    case TokenInformationClass::elevation:
      record.add(u32{token.elevated});
      return Status::success;
    case TokenInformationClass::mandatory_policy:
      record.add(abi::kMandatoryPolicyNoWriteUp);
      return Status::success;
    case TokenInformationClass::sandbox_inert:
    case TokenInformationClass::has_restrictions:
    case TokenInformationClass::virtualization_allowed:
    case TokenInformationClass::virtualization_enabled:
    case TokenInformationClass::ui_access:
    case TokenInformationClass::is_app_container:
    case TokenInformationClass::app_container_number:
      record.add(u32{0});
      return Status::success;
    default:
      return Status::invalid_info_class;
  }
}

// The SID that a one-pointer record names.
Result<se::Sid> capture_sid_pointer(Call call, Buffer buffer, u32 length) {
  const auto pointer = capture_value<Va>(call, buffer, length);
  if (!pointer) return Failure(pointer.error());
  return capture_sid(call, *pointer);
}

}  // namespace

Status nt_query_information_token(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length,
                                  UserPtr<u32> return_length) {
  const auto wanted = static_cast<TokenInformationClass>(information_class);
  const u32 right = wanted == TokenInformationClass::source ? token_access::kQuerySource : token_access::kQuery;
  const auto token = reference_token(call, handle, right);
  if (!token) return token.error();
  GuestRecord record(buffer.address);
  if (fill_variable(record, (*token)->data, wanted)) {
    return record.deliver(call, buffer, length, return_length, Status::buffer_too_small);
  }
  VITRINE_TRY(fill_fixed(record, (*token)->data, wanted));
  return record.deliver(call, buffer, length, return_length, Status::info_length_mismatch);
}

Status nt_set_information_token(Call call, Handle handle, u32 information_class, Buffer buffer, u32 length) {
  const auto wanted = static_cast<TokenInformationClass>(information_class);
  switch (wanted) {
    case TokenInformationClass::owner: {
      const auto sid = capture_sid_pointer(call, buffer, length);
      if (!sid) return sid.error();
      const auto token = reference_token(call, handle, token_access::kAdjustDefault);
      if (!token) return token.error();
      // The user is the only owner that these tokens hold.
      return *sid == (*token)->data.user ? Status::success : Status::invalid_owner;
    }
    case TokenInformationClass::primary_group: {
      const auto sid = capture_sid_pointer(call, buffer, length);
      if (!sid) return sid.error();
      const auto token = reference_token(call, handle, token_access::kAdjustDefault);
      if (!token) return token.error();
      const auto& groups = (*token)->data.groups;
      if (std::ranges::none_of(groups, [&](const se::TokenGroup& g) { return g.sid == *sid; })) {
        return Status::invalid_primary_group;
      }
      (*token)->data.primary_group = *sid;
      return Status::success;
    }
    case TokenInformationClass::default_dacl: {
      const auto pointer = capture_value<Va>(call, buffer, length);
      if (!pointer) return pointer.error();
      std::vector<se::Ace> acl;
      if (*pointer != 0) {
        auto captured = capture_acl(call, *pointer);
        if (!captured) return captured.error();
        acl = std::move(*captured);
      }
      const auto token = reference_token(call, handle, token_access::kAdjustDefault);
      if (!token) return token.error();
      (*token)->data.default_dacl = std::move(acl);
      return Status::success;
    }
    case TokenInformationClass::integrity_level: {
      const auto label = capture_value<abi::SidAndAttributes>(call, buffer, length);
      if (!label) return label.error();
      const auto sid = capture_sid(call, label->sid);
      if (!sid) return sid.error();
      const auto token = reference_token(call, handle, token_access::kAdjustDefault);
      if (!token) return token.error();
      if (sid->count != 1 || !(*sid == se::well_known::integrity(sid->sub_authorities[0]))) return Status::invalid_sid;
      // NT: a program may lower its level; raising needs SeTcbPrivilege.
      if (sid->sub_authorities[0] > (*token)->data.integrity_level) return Status::privilege_not_held;
      (*token)->data.integrity_level = sid->sub_authorities[0];
      return Status::success;
    }
    case TokenInformationClass::session_id:
      return Status::privilege_not_held;  // NT: needs SeTcbPrivilege
    default:
      return Status::invalid_info_class;
  }
}

}  // namespace vitrine::nt
